package io.github.eventdedup.event;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A type of ClickHouse columns that fields can fill. The one place that defines which JSON values a type accepts: the
 * job reads events by it, and the relay compares the columns of an outbox with it.
 *
 * @param name the type itself, without what wraps it and without parameters, as {@code DateTime64}
 * @param reads how the field is read
 * @param precision digits after the second, for {@code DateTime64}; otherwise 0
 * @param nullable whether the column may be NULL
 */
public record ClickHouseType(String name, ColumnType reads, int precision, boolean nullable) {

    private static final Pattern LOW_CARDINALITY = Pattern.compile("LowCardinality\\((.*)\\)");
    private static final Pattern NULLABLE = Pattern.compile("Nullable\\((.*)\\)");
    private static final Pattern PARAMETERS =
            Pattern.compile("(?<date>DateTime)(?:\\('.*'\\))?|(?<fine>DateTime64)\\((?<precision>\\d)(?:, '.*')?\\)");

    private static final Map<String, ColumnType> READS = readsByName();

    private static Map<String, ColumnType> readsByName() {
        Map<String, ColumnType> reads = new LinkedHashMap<>();
        for (String sign : new String[] {"Int", "UInt"}) {
            for (int bits = 8; bits <= 64; bits *= 2) {
                reads.put(sign + bits, ColumnType.BIGINT);
            }
        }
        reads.put("Float32", ColumnType.DOUBLE);
        reads.put("Float64", ColumnType.DOUBLE);
        reads.put("Bool", ColumnType.BOOLEAN);
        reads.put("String", ColumnType.TEXT);
        reads.put("DateTime", ColumnType.TIMESTAMP);
        reads.put("DateTime64", ColumnType.TIMESTAMP);
        return reads;
    }

    /** What ClickHouse writes in this way, as {@code LowCardinality(Nullable(String))}; null where no field can fill it. */
    public static ClickHouseType of(String type) {
        String inner = unwrap(LOW_CARDINALITY, type);
        String base = unwrap(NULLABLE, inner);
        Matcher parameters = PARAMETERS.matcher(base);
        boolean matches = parameters.matches();
        boolean fine = matches && parameters.group("fine") != null;
        String name = !matches ? base : fine ? parameters.group("fine") : parameters.group("date");
        // Without its precision, which ClickHouse always writes, it would be another type.
        if (!READS.containsKey(name) || base.equals("DateTime64")) {
            return null;
        }
        int precision = fine ? Integer.parseInt(parameters.group("precision")) : 0;
        return new ClickHouseType(name, READS.get(name), precision, !base.equals(inner));
    }

    /** The types that fields can fill, as a message names them. */
    public static String supported() {
        return String.join(", ", READS.keySet()) + ", and Nullable or LowCardinality of these";
    }

    private static String unwrap(Pattern wrapper, String type) {
        Matcher matcher = wrapper.matcher(type);
        return matcher.matches() ? matcher.group(1) : type;
    }
}
