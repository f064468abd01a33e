package io.github.eventdedup.event;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.exc.StreamConstraintsException;
import com.fasterxml.jackson.core.io.JsonEOFException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

/**
 * Reads events of one stream: a single pass over the JSON bytes that yields the fingerprint and the mapped columns, or
 * says why the bytes are not an event. The ingest and the job both decide with this class.
 *
 * <p>Thread-safe. Reading never throws anything but {@link InvalidEventException}, whatever the bytes.
 */
public final class EventReader {

    /** The longest event that is read, in bytes; a longer one is invalid. */
    public static final int MAX_EVENT_BYTES = 256 * 1024;

    /** The deepest that an event may nest objects and arrays; a deeper one is invalid. */
    public static final int MAX_NESTING = 1000;

    private static final int MAX_NUMBER_CHARS = 1000;
    private static final int MAX_NAME_CHARS = 50_000;

    private static final int MAX_QUOTED_CHARS = 60;
    private static final int MAX_SYNTAX_ERROR_CHARS = 200;

    /** What a jsonb number may have before and after the decimal point (Postgres documentation, 8.1.2). */
    private static final int MAX_NUMERIC_INTEGER_DIGITS = 131_072;

    private static final int MAX_NUMERIC_FRACTION_DIGITS = 16_383;

    private static final JsonFactory VALUES = new JsonFactory();

    /** What Jackson's messages end with and is of no use to who sent the event: its own options and positions. */
    private static final Pattern ADVICE_TO_PROGRAMMERS = Pattern.compile("(?s) \\([^(]*\\[Source: .*|: enable `.*");

    /** Control characters, and halves of surrogate pairs, which a cut leaves. */
    private static final Pattern UNPRINTABLE = Pattern.compile("[\\p{Cc}\\p{Cs}]");

    private final int maxEventBytes;
    private final int maxNesting;
    private final JsonFactory json;
    private final FingerprintFunction fingerprintFunction;
    private final List<String> fingerprintFields;
    private final List<Column> columns;
    private final boolean jsonb;
    private final Map<String, FieldUse> uses = new HashMap<>();

    /** What a field is needed for: its place in the fingerprint, or -1, and the columns it fills. */
    private record FieldUse(int fingerprintIndex, int[] columnIndexes) {}

    /** A reader for events of this stream. */
    public EventReader(StreamDefinition stream) {
        this(stream, MAX_EVENT_BYTES, MAX_NESTING);
    }

    /**
     * A reader for events of this stream that is stricter than what is stored.
     *
     * @param maxEventBytes the longest event to take, at most {@link #MAX_EVENT_BYTES}
     * @param maxNesting the levels of objects and arrays to take, at most {@link #MAX_NESTING}
     */
    public EventReader(StreamDefinition stream, int maxEventBytes, int maxNesting) {
        this(stream, stream.table().columns(), maxEventBytes, maxNesting);
    }

    /** A reader for events of this stream, with the types that the database gives the columns. */
    public EventReader(StreamDefinition stream, List<Column> columns) {
        this(stream, columns, MAX_EVENT_BYTES, MAX_NESTING);
    }

    private EventReader(StreamDefinition stream, List<Column> columns, int maxEventBytes, int maxNesting) {
        this.maxEventBytes = maxEventBytes;
        this.maxNesting = maxNesting;
        json = JsonFactory.builder()
                // Interning would fill the JVM's string table with whatever names clients invent.
                .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
                .disable(JsonFactory.Feature.FAIL_ON_SYMBOL_HASH_OVERFLOW)
                .streamReadConstraints(StreamReadConstraints.builder()
                        .maxNestingDepth(maxNesting)
                        .maxNumberLength(MAX_NUMBER_CHARS)
                        .maxNameLength(MAX_NAME_CHARS)
                        .build())
                .build();
        fingerprintFunction = new FingerprintFunction(stream.stream());
        fingerprintFields = stream.fingerprint();
        this.columns = List.copyOf(columns);
        jsonb = stream.table() instanceof PostgresTable postgres
                && postgres.document() != null
                && postgres.document().type() == PostgresTable.Document.Type.JSONB;
        for (String field : fingerprintFields) {
            uses.put(field, useOf(field));
        }
        for (Column column : columns) {
            uses.put(column.field(), useOf(column.field()));
        }
    }

    private FieldUse useOf(String field) {
        int[] indexes = IntStream.range(0, columns.size())
                .filter(i -> columns.get(i).field().equals(field))
                .toArray();
        return new FieldUse(fingerprintFields.indexOf(field), indexes);
    }

    /**
     * Reads one event.
     *
     * @param event the whole event as UTF-8; not kept and not changed
     * @throws InvalidEventException where the bytes are not an event of this stream
     */
    public Event read(byte[] event) throws InvalidEventException {
        if (event.length > maxEventBytes) {
            throw new InvalidEventException(
                    ReasonCode.TOO_LARGE,
                    "is too large: " + event.length + " bytes, at most " + maxEventBytes + " are taken");
        }
        ForeignFormat.check(event);
        StorableText.check(event);
        try (JsonParser parser = json.createParser(event)) {
            return read(parser);
        } catch (JsonEOFException e) {
            throw new InvalidEventException(
                    ReasonCode.NOT_JSON, "is not JSON: it ends in the middle, after " + event.length + " bytes");
        } catch (StreamConstraintsException e) {
            throw new InvalidEventException(
                    ReasonCode.TOO_LARGE,
                    "nests deeper than " + maxNesting + " levels, or has a number of more than " + MAX_NUMBER_CHARS
                            + " digits or a field name of more than " + MAX_NAME_CHARS + " characters");
        } catch (JsonProcessingException e) {
            throw new InvalidEventException(
                    ReasonCode.NOT_JSON,
                    "is not JSON: " + excerpt(syntaxError(e), MAX_SYNTAX_ERROR_CHARS) + " (byte "
                            + e.getLocation().getByteOffset() + ")");
        } catch (IOException e) {
            throw new UncheckedIOException("reading from an array does no I/O", e);
        }
    }

    private Event read(JsonParser parser) throws IOException, InvalidEventException {
        JsonToken start = parser.nextToken();
        if (start != JsonToken.START_OBJECT) {
            throw new InvalidEventException(
                    ReasonCode.NOT_JSON,
                    start == null ? "is empty; send one JSON object" : "is " + kind(start) + "; send one JSON object");
        }
        String[] texts = new String[fingerprintFields.size()];
        Object[] values = new Object[columns.size()];
        for (String field = parser.nextFieldName(); field != null; field = parser.nextFieldName()) {
            JsonToken token = parser.nextToken();
            FieldUse use = uses.get(field);
            if (use != null) {
                take(parser, token, field, use, texts, values);
            }
            if (jsonb) {
                skipJsonb(parser, token);
            } else {
                parser.skipChildren();
            }
        }
        if (parser.nextToken() != null) {
            throw new InvalidEventException(ReasonCode.NOT_JSON, "has more after the JSON object; send one object");
        }
        return new Event(fingerprint(texts), Collections.unmodifiableList(Arrays.asList(values)));
    }

    private void take(JsonParser parser, JsonToken token, String field, FieldUse use, String[] texts, Object[] values)
            throws IOException, InvalidEventException {
        if (use.fingerprintIndex >= 0) {
            if (texts[use.fingerprintIndex] != null) {
                throw new InvalidEventException(ReasonCode.REPEATED_FIELD, "repeats the field '" + field + "'");
            }
            texts[use.fingerprintIndex] = fingerprintText(parser, token, field);
        }
        // A field that is repeated and only mapped: the last one counts, as it does for `->>` on the document.
        for (int index : use.columnIndexes) {
            values[index] = token == JsonToken.VALUE_NULL ? null : value(parser, token, columns.get(index));
        }
    }

    /** Passes a value as {@link JsonParser#skipChildren()} does, and refuses the numbers that jsonb cannot hold. */
    private static void skipJsonb(JsonParser parser, JsonToken first) throws IOException, InvalidEventException {
        int depth = 0;
        for (JsonToken token = first; ; token = parser.nextToken()) {
            if (token.isStructStart()) {
                depth++;
            } else if (token.isStructEnd()) {
                depth--;
            } else if (token == JsonToken.VALUE_NUMBER_FLOAT && !isNumeric(parser.getText())) {
                throw new InvalidEventException(
                        ReasonCode.NOT_STORABLE,
                        "holds the number " + quoted(parser.getText()) + ", which the database cannot store");
            }
            if (depth == 0) {
                return;
            }
        }
    }

    private static boolean isNumeric(String number) {
        try {
            BigDecimal value = new BigDecimal(number);
            return value.scale() <= MAX_NUMERIC_FRACTION_DIGITS
                    && (long) value.precision() - value.scale() <= MAX_NUMERIC_INTEGER_DIGITS;
        } catch (NumberFormatException e) {
            // The exponent does not fit into an int.
            return false;
        }
    }

    private static String fingerprintText(JsonParser parser, JsonToken token, String field)
            throws IOException, InvalidEventException {
        return switch (token) {
            case VALUE_STRING, VALUE_TRUE, VALUE_FALSE -> parser.getText();
            case VALUE_NUMBER_INT -> parser.getText().equals("-0") ? "0" : parser.getText();
            default ->
                throw new InvalidEventException(
                        ReasonCode.WRONG_TYPE,
                        "has " + kind(token) + " in the field '" + field
                                + "', which must be a string, an integer or a boolean");
        };
    }

    private Fingerprint fingerprint(String[] texts) throws InvalidEventException {
        List<String> missing = new ArrayList<>();
        for (int i = 0; i < texts.length; i++) {
            if (texts[i] == null) {
                missing.add(fingerprintFields.get(i));
            }
        }
        if (!missing.isEmpty()) {
            throw new InvalidEventException(
                    ReasonCode.MISSING_FIELD,
                    "lacks the field" + (missing.size() == 1 ? " " : "s ") + String.join(", ", missing)
                            + aboutDots(missing));
        }
        return fingerprintFunction.apply(Arrays.asList(texts));
    }

    /** A name with a dot is, as a rule, meant as a path. */
    private static String aboutDots(List<String> missing) {
        return missing.stream()
                .filter(field -> field.indexOf('.') >= 0)
                .findFirst()
                .map(field -> " ('" + excerpt(field, MAX_QUOTED_CHARS)
                        + "' is the literal name of a field of the event itself; fields of nested objects cannot be"
                        + " used, so send the value in a field of its own)")
                .orElse("");
    }

    private static Object value(JsonParser parser, JsonToken token, Column column)
            throws IOException, InvalidEventException {
        Object value = switch (column.type()) {
            case TEXT -> token.isScalarValue() ? parser.getText() : null;
            case BIGINT -> bigint(parser, token);
            case DOUBLE -> token.isNumeric() ? finite(parser) : null;
            case BOOLEAN -> token.isBoolean() ? (Object) parser.getBooleanValue() : null;
            case TIMESTAMP -> timestamp(parser, token);
        };
        if (value == null) {
            String got = token.isScalarValue() ? quoted(parser.getText()) : kind(token);
            throw new InvalidEventException(
                    ReasonCode.WRONG_TYPE,
                    "has " + got + " in the field '" + column.field() + "', which must be "
                            + column.type().accepts());
        }
        return value;
    }

    /**
     * Whether a column of this type takes a value.
     *
     * @param json the value, as it stands in an event
     */
    public static boolean accepts(ColumnType type, String json) {
        try (JsonParser parser = VALUES.createParser(json)) {
            value(parser, parser.nextToken(), new Column("", "", type));
            return true;
        } catch (InvalidEventException e) {
            return false;
        } catch (IOException e) {
            throw new UncheckedIOException("not a JSON value: " + json, e);
        }
    }

    private static Long bigint(JsonParser parser, JsonToken token) throws IOException {
        boolean fits =
                token == JsonToken.VALUE_NUMBER_INT && parser.getNumberType() != JsonParser.NumberType.BIG_INTEGER;
        return fits ? (Long) parser.getLongValue() : null;
    }

    private static Double finite(JsonParser parser) throws IOException {
        double value = parser.getDoubleValue();
        return Double.isFinite(value) ? value : null;
    }

    private static Instant timestamp(JsonParser parser, JsonToken token) throws IOException {
        if (token == JsonToken.VALUE_STRING) {
            return Timestamps.parse(parser.getText());
        }
        return token.isNumeric() ? Timestamps.ofEpoch(parser.getText()) : null;
    }

    private static String syntaxError(JsonProcessingException e) {
        return ADVICE_TO_PROGRAMMERS.matcher(e.getOriginalMessage()).replaceFirst("");
    }

    private static String quoted(String text) {
        return '"' + excerpt(text, MAX_QUOTED_CHARS) + '"';
    }

    /** The start of a text on one line: a reason goes into headers, logs and answers, wherever the text came from. */
    private static String excerpt(String text, int maxChars) {
        String start = text.length() <= maxChars ? text : text.substring(0, maxChars) + "…";
        return UNPRINTABLE.matcher(start).replaceAll("\uFFFD");
    }

    private static String kind(JsonToken token) {
        return switch (token) {
            case START_OBJECT -> "an object";
            case START_ARRAY -> "an array";
            case VALUE_STRING -> "a string";
            case VALUE_NUMBER_INT -> "an integer";
            case VALUE_NUMBER_FLOAT -> "a number that is no integer";
            case VALUE_TRUE, VALUE_FALSE -> "a boolean";
            case VALUE_NULL -> "null";
            default -> token.asString();
        };
    }
}
