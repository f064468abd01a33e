package io.github.eventdedup.event;

/** What a mapped column holds, and which JSON values fit it. */
public enum ColumnType {
    /** A {@link String}: a JSON string's content, or a number's or boolean's text. The default. */
    TEXT("text", "a string, a number or a boolean"),
    /** A {@link Long}: a JSON integer of 64 bits. */
    BIGINT("bigint", "an integer between -2^63 and 2^63-1"),
    /** A {@link Double}: a JSON number within the range of a double. */
    DOUBLE("double", "a number within the range of a double"),
    /** A {@link Boolean}. */
    BOOLEAN("boolean", "true or false"),
    /**
     * A {@link java.time.Instant} between the years 1 and 9999, in microseconds: an ISO 8601 date or date-time in a
     * string (UTC where it names no offset), or a number of seconds or milliseconds since 1970.
     */
    TIMESTAMP("timestamp", "an ISO 8601 date-time, or epoch seconds or milliseconds, between the years 1 and 9999");

    private final String yamlName;
    private final String accepts;

    ColumnType(String yamlName, String accepts) {
        this.yamlName = yamlName;
        this.accepts = accepts;
    }

    /** The name in a stream definition. */
    public String yamlName() {
        return yamlName;
    }

    /** The values that fit, as an error message names them. */
    public String accepts() {
        return accepts;
    }
}
