package io.github.eventdedup.proof.audit.tables;

import io.github.eventdedup.config.Identifiers;
import io.github.eventdedup.event.Column;
import io.github.eventdedup.event.ColumnType;
import io.github.eventdedup.event.InvalidEventException;
import io.github.eventdedup.event.ReasonCode;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A column of a ClickHouse table: which values it can hold, and as which text both sides write them.
 *
 * @param column with the type that events are read by
 * @param base the type without LowCardinality, Nullable, time zone and precision
 * @param digits after the second, for DateTime64
 * @param nullable whether it may be NULL
 */
record ClickHouseValue(Column column, String base, int digits, boolean nullable) {

    private static final Pattern WRAPPED = Pattern.compile("(LowCardinality|Nullable)\\((.*)\\)");
    private static final Pattern TIME = Pattern.compile("(DateTime64)\\((\\d)(?:, '.*')?\\)|DateTime(?:\\('.*'\\))?");

    /** The least and the greatest integer of each type; of UInt64, what a reader of events can read. */
    private static final Map<String, long[]> INTEGERS = Map.of(
            "Int8", new long[] {Byte.MIN_VALUE, Byte.MAX_VALUE},
            "Int16", new long[] {Short.MIN_VALUE, Short.MAX_VALUE},
            "Int32", new long[] {Integer.MIN_VALUE, Integer.MAX_VALUE},
            "Int64", new long[] {Long.MIN_VALUE, Long.MAX_VALUE},
            "UInt8", new long[] {0, 255},
            "UInt16", new long[] {0, 65_535},
            "UInt32", new long[] {0, 4_294_967_295L},
            "UInt64", new long[] {0, Long.MAX_VALUE});

    private static final Instant MIN_DATETIME64 = Instant.parse("1900-01-01T00:00:00Z");
    private static final Instant END_DATETIME64 = Instant.parse("2300-01-01T00:00:00Z");

    /** The last tick of a DateTime64(9) that fits into 64 bits. */
    private static final Instant MAX_NANOS = Instant.ofEpochSecond(0, Long.MAX_VALUE);

    private static final DateTimeFormatter NANOS =
            DateTimeFormatter.ofPattern("uuuu-MM-dd HH:mm:ss.SSSSSSSSS").withZone(ZoneOffset.UTC);

    /** The column, or null where its type is none that a field can fill. */
    static ClickHouseValue of(Column column, String type) {
        String base = type;
        boolean nullable = false;
        for (Matcher wrapped = WRAPPED.matcher(base); wrapped.matches(); wrapped = WRAPPED.matcher(base)) {
            nullable |= wrapped.group(1).equals("Nullable");
            base = wrapped.group(2);
        }
        int digits = 0;
        Matcher time = TIME.matcher(base);
        if (time.matches()) {
            base = time.group(1) == null ? "DateTime" : time.group(1);
            digits = time.group(1) == null ? 0 : Integer.parseInt(time.group(2));
        }
        ColumnType read = switch (base) {
            case "String" -> ColumnType.TEXT;
            case "Bool" -> ColumnType.BOOLEAN;
            case "Float32", "Float64" -> ColumnType.DOUBLE;
            case "DateTime", "DateTime64" -> ColumnType.TIMESTAMP;
            default -> INTEGERS.containsKey(base) ? ColumnType.BIGINT : null;
        };
        return read == null
                ? null
                : new ClickHouseValue(new Column(column.name(), column.field(), read), base, digits, nullable);
    }

    /** An expression of SQL for {@link #text}. */
    String select() {
        String value = "assumeNotNull(" + Identifiers.clickHouse(column.name()) + ")";
        String text = switch (base) {
            case "String" -> value;
            case "Bool" -> "if(" + value + ", 'true', 'false')";
            case "Float32" -> "toString(reinterpretAsUInt32(" + value + "))";
            case "Float64" -> "toString(reinterpretAsUInt64(" + value + "))";
            case "DateTime" -> "toString(toUnixTimestamp(" + value + "))";
            case "DateTime64" -> "toString(toTimeZone(" + value + ", 'UTC'))";
            default -> "toString(" + value + ")";
        };
        return "CAST(if(isNull(" + Identifiers.clickHouse(column.name()) + "), NULL, " + text
                + ") AS Nullable(String))";
    }

    /**
     * A value as it is stored.
     *
     * @throws InvalidEventException where the column cannot hold it
     */
    String text(Object value) throws InvalidEventException {
        if (value == null) {
            if (!nullable) {
                throw new InvalidEventException(
                        ReasonCode.MISSING_FIELD, "has no value for the column '" + column.name() + "'");
            }
            return null;
        }
        return switch (base) {
            case "String", "Bool" -> value.toString();
            case "Float32" -> {
                float number = ((Double) value).floatValue();
                yield Integer.toUnsignedString(Float.floatToRawIntBits(inRange(Float.isFinite(number), number)));
            }
            case "Float64" -> Long.toUnsignedString(Double.doubleToRawLongBits((Double) value));
            case "DateTime" -> {
                long seconds = ((Instant) value).getEpochSecond();
                yield Long.toString(inRange(seconds >= 0 && seconds <= 4_294_967_295L, seconds));
            }
            case "DateTime64" -> datetime64((Instant) value);
            default -> {
                long[] range = INTEGERS.get(base);
                long number = (Long) value;
                yield Long.toString(inRange(number >= range[0] && number <= range[1], number));
            }
        };
    }

    private String datetime64(Instant value) throws InvalidEventException {
        boolean fits = !value.isBefore(MIN_DATETIME64)
                && value.isBefore(END_DATETIME64)
                && (digits < 9 || !value.isAfter(MAX_NANOS));
        inRange(fits, value);
        String text = NANOS.format(value);
        return text.substring(0, text.length() - (digits == 0 ? 10 : 9 - digits));
    }

    private <T> T inRange(boolean fits, T value) throws InvalidEventException {
        if (!fits) {
            throw new InvalidEventException(
                    ReasonCode.WRONG_TYPE, "has " + value + ", which the column '" + column.name() + "' cannot hold");
        }
        return value;
    }
}
