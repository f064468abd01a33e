package io.github.eventdedup.relay;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * How a column's values are written in JSON. Every value comes from Postgres as text, made there: points in time need no
 * calendar of the JVM, numbers no arithmetic, and what is written is exactly what Postgres has.
 */
enum Encoding {
    INTEGER {
        @Override
        void write(byte[] text, JsonGenerator json) throws IOException {
            json.writeNumber(latin1(text, text.length));
        }
    },
    BOOLEAN {
        @Override
        void write(byte[] text, JsonGenerator json) throws IOException {
            json.writeBoolean(text[0] == 't');
        }
    },
    STRING {
        @Override
        void write(byte[] text, JsonGenerator json) throws IOException {
            json.writeUTF8String(text, 0, text.length);
        }
    },
    NUMBER {
        @Override
        void write(byte[] text, JsonGenerator json) throws IOException, UnsendableRowException {
            if (!isDigit(text[text.length - 1])) {
                throw new UnsendableRowException("is " + latin1(text, text.length) + ", which is no number in JSON");
            }
            json.writeNumber(latin1(text, text.length));
        }
    },
    /** Seconds since 1970 with six decimals, of which trailing zeros are cut but for the first. */
    TIMESTAMP {
        @Override
        String select(String column) {
            return "extract(epoch FROM " + column + ")::text";
        }

        @Override
        void write(byte[] text, JsonGenerator json) throws IOException, UnsendableRowException {
            if (!isDigit(text[text.length - 1])) {
                throw new UnsendableRowException("is infinity, which is no time");
            }
            int length = text.length;
            while (text[length - 1] == '0' && text[length - 2] != '.') {
                length--;
            }
            json.writeNumber(latin1(text, length));
        }
    },
    DATE {
        @Override
        void write(byte[] text, JsonGenerator json) throws IOException, UnsendableRowException {
            // yyyy-MM-dd: what is longer or shorter is infinity, before Christ or after 9999.
            if (text.length != 10) {
                throw new UnsendableRowException("is no date from the year 1 to 9999");
            }
            json.writeUTF8String(text, 0, text.length);
        }
    },
    JSON {
        @Override
        void write(byte[] text, JsonGenerator json) throws IOException {
            json.writeRawValue(new String(text, StandardCharsets.UTF_8));
        }
    };

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

    /** That of a type, or null where its values cannot be written. */
    static Encoding of(String type) {
        return BY_TYPE.get(type);
    }

    /** The types there is an encoding for, for people. */
    static String supportedTypes() {
        return BY_TYPE.keySet().stream().sorted().collect(Collectors.joining(", "));
    }

    /** Whether a fingerprint can be made of the values: it takes strings, integers and booleans. */
    boolean isFingerprintable() {
        return Arrays.asList(INTEGER, BOOLEAN, STRING, DATE).contains(this);
    }

    /** The SQL expression whose value {@link #write} takes. */
    String select(String column) {
        return column + "::text";
    }

    /**
     * Writes a value.
     *
     * @param text what {@link #select} gave, in UTF-8; not empty but for strings
     * @throws UnsendableRowException where JSON has no form for it; the message goes on after the column's name
     */
    abstract void write(byte[] text, JsonGenerator json) throws IOException, UnsendableRowException;

    private static boolean isDigit(byte character) {
        return character >= '0' && character <= '9';
    }

    private static String latin1(byte[] text, int length) {
        return new String(text, 0, length, StandardCharsets.ISO_8859_1);
    }
}
