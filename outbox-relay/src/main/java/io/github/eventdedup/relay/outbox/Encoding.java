package io.github.eventdedup.relay.outbox;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * How a column's values are written in JSON. Every value comes from Postgres as text: points in time need no calendar
 * of the JVM, numbers no arithmetic, and the event has exactly Postgres' value.
 */
public enum Encoding {
    INTEGER {
        @Override
        public void write(byte[] text, JsonGenerator json) throws IOException {
            json.writeNumber(latin1(text, text.length));
        }
    },
    BOOLEAN {
        @Override
        public void write(byte[] text, JsonGenerator json) throws IOException {
            json.writeBoolean(text[0] == 't');
        }
    },
    STRING {
        @Override
        public void write(byte[] text, JsonGenerator json) throws IOException {
            json.writeUTF8String(text, 0, text.length);
        }
    },
    NUMBER {
        @Override
        public void write(byte[] text, JsonGenerator json) throws IOException, UnsendableRowException {
            if (!isDigit(text[text.length - 1])) {
                throw new UnsendableRowException("is " + latin1(text, text.length) + ", which is not a number in JSON");
            }
            json.writeNumber(latin1(text, text.length));
        }
    },
    /**
     * Seconds since 1970 with six decimals, of which trailing zeros are cut but for the first. From the year 5138 on,
     * where the reader of events interprets a number as milliseconds, the time is written as {@link #TIMESTAMP_TEXT}
     * writes it.
     */
    TIMESTAMP {
        @Override
        String select(String column) {
            return EPOCH.formatted(column);
        }

        @Override
        public void write(byte[] text, JsonGenerator json) throws IOException, UnsendableRowException {
            BigDecimal seconds = seconds(text);
            if (seconds.abs().compareTo(FIRST_MILLIS) >= 0) {
                TIMESTAMP_TEXT.write(text, json);
                return;
            }
            int length = text.length;
            while (text[length - 1] == '0' && text[length - 2] != '.') {
                length--;
            }
            json.writeNumber(latin1(text, length));
        }
    },
    /** ISO 8601 in UTC, always with six decimals: equal times have equal texts, so a fingerprint can be made of them. */
    TIMESTAMP_TEXT {
        @Override
        String select(String column) {
            return EPOCH.formatted(column);
        }

        @Override
        public void write(byte[] text, JsonGenerator json) throws IOException, UnsendableRowException {
            BigDecimal seconds = seconds(text);
            if (seconds.compareTo(YEAR_1) < 0 || seconds.compareTo(YEAR_10000) >= 0) {
                throw new UnsendableRowException(
                        "is not a time of the years 1 to 9999, which are all that an event can hold");
            }
            BigDecimal whole = seconds.setScale(0, RoundingMode.FLOOR);
            long nanos = seconds.subtract(whole).movePointRight(9).longValueExact();
            json.writeString(ISO.format(Instant.ofEpochSecond(whole.longValueExact(), nanos)));
        }
    },
    DATE {
        @Override
        public void write(byte[] text, JsonGenerator json) throws IOException, UnsendableRowException {
            // yyyy-MM-dd: what is longer or shorter is infinity, before Christ or after 9999.
            if (text.length != 10) {
                throw new UnsendableRowException("is not a date of the years 1 to 9999");
            }
            json.writeUTF8String(text, 0, text.length);
        }
    },
    JSON {
        @Override
        public void write(byte[] text, JsonGenerator json) throws IOException {
            json.writeRawValue(new String(text, StandardCharsets.UTF_8));
        }
    };

    private static final String EPOCH = "extract(epoch FROM %s)::text";

    /** A number from here on is read as milliseconds (configuration.md). */
    private static final BigDecimal FIRST_MILLIS = BigDecimal.valueOf(100_000_000_000L);

    private static final BigDecimal YEAR_1 =
            BigDecimal.valueOf(Instant.parse("0001-01-01T00:00:00Z").getEpochSecond());
    private static final BigDecimal YEAR_10000 =
            BigDecimal.valueOf(Instant.parse("9999-12-31T23:59:59Z").getEpochSecond() + 1);
    private static final DateTimeFormatter ISO = DateTimeFormatter.ofPattern(
                    "uuuu-MM-dd'T'HH:mm:ss.SSSSSS'Z'", Locale.ROOT)
            .withZone(ZoneOffset.UTC);

    /** By the name that Postgres gives the type without its modifiers. */
    private static final Map<String, Encoding> BY_TYPE = Map.ofEntries(
            Map.entry("smallint", INTEGER),
            Map.entry("integer", INTEGER),
            Map.entry("bigint", INTEGER),
            Map.entry("boolean", BOOLEAN),
            Map.entry("text", STRING),
            Map.entry("character varying", STRING),
            Map.entry("character", STRING),
            Map.entry("uuid", STRING),
            Map.entry("real", NUMBER),
            Map.entry("double precision", NUMBER),
            Map.entry("numeric", NUMBER),
            Map.entry("timestamp without time zone", TIMESTAMP),
            Map.entry("timestamp with time zone", TIMESTAMP),
            Map.entry("date", DATE),
            Map.entry("json", JSON),
            Map.entry("jsonb", JSON));

    /** The encoding of a type, or null where its values cannot be written. */
    static Encoding of(String type) {
        return BY_TYPE.get(type);
    }

    /** The types that have an encoding, for messages. */
    static String supportedTypes() {
        return BY_TYPE.keySet().stream().sorted().collect(Collectors.joining(", "));
    }

    /**
     * The encoding of the same column in a field of the fingerprint, which accepts strings, integers and booleans; null
     * for none.
     */
    public Encoding inFingerprint() {
        return switch (this) {
            case INTEGER, BOOLEAN, STRING, DATE, TIMESTAMP_TEXT -> this;
            case TIMESTAMP -> TIMESTAMP_TEXT;
            case NUMBER, JSON -> null;
        };
    }

    /**
     * Sample values as they are in an event, each of another kind; a destination that accepts none of them accepts no
     * row.
     */
    List<String> samples() {
        return switch (this) {
            case INTEGER -> List.of("1");
            case BOOLEAN -> List.of("true");
            case STRING, DATE, TIMESTAMP_TEXT -> List.of("\"2025-11-12\"");
            case NUMBER -> List.of("1", "0.5");
            case TIMESTAMP -> List.of("1762957231.5");
            // Not a scalar, which it may be: a column that holds those alone is rare.
            case JSON -> List.of("{}");
        };
    }

    /** Whether the values are points in time. */
    public boolean isTime() {
        return this == TIMESTAMP || this == TIMESTAMP_TEXT || this == DATE;
    }

    /** The seconds since 1970 that {@link #select} gave. */
    private static BigDecimal seconds(byte[] text) throws UnsendableRowException {
        if (!isDigit(text[text.length - 1])) {
            throw new UnsendableRowException("is infinity, which is not a time");
        }
        return new BigDecimal(latin1(text, text.length));
    }

    /** The SQL expression whose value {@link #write} accepts. */
    String select(String column) {
        return column + "::text";
    }

    /**
     * Writes a value.
     *
     * @param text what {@link #select} gave, in UTF-8; not empty but for strings
     * @throws UnsendableRowException where JSON has no form for it; the message continues after the column's name
     */
    public abstract void write(byte[] text, JsonGenerator json) throws IOException, UnsendableRowException;

    private static boolean isDigit(byte character) {
        return character >= '0' && character <= '9';
    }

    private static String latin1(byte[] text, int length) {
        return new String(text, 0, length, StandardCharsets.ISO_8859_1);
    }
}
