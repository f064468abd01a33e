package io.github.eventdedup.event;

import java.util.List;
import java.util.Locale;

/**
 * Why a record is a dead letter, in a form that does not change and that programs can group by. The sentence beside it, for
 * people, may change.
 */
public enum ReasonCode {
    /** Longer, deeper, or with longer numbers or names than an event may be. */
    TOO_LARGE,
    /** Not one JSON object. */
    NOT_JSON,
    /** Bytes that are not UTF-8, or that begin with a byte order mark. */
    NOT_UTF8,
    /** JSON that the database cannot store: U+0000, a lone surrogate, a number that jsonb cannot hold. */
    NOT_STORABLE,
    /** A field of the fingerprint, or of a column that must have a value, is missing or null. */
    MISSING_FIELD,
    /** A value that does not fit its place in the fingerprint, or its column. */
    WRONG_TYPE,
    /** A field of the fingerprint appears twice. */
    REPEATED_FIELD,
    /** A Kafka record without a value. */
    NO_VALUE,
    /** Reading or encoding the record failed with an unexpected exception. */
    UNREADABLE,
    /** Postgres rejected the row. */
    REJECTED_BY_POSTGRES,
    /** ClickHouse rejected the row. */
    REJECTED_BY_CLICKHOUSE;

    private static final String REJECTED_BY = "rejected-by-";
    private static final String REFUSED_THE_ROW = " refused the row";

    /** The code as it stands in headers and answers: lower case, with hyphens. Part of the contract with users. */
    public String code() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    /**
     * How the sentence begins that is beside the code of a database.
     *
     * @throws IllegalArgumentException for the other codes, whose sentences begin in many ways
     */
    public String rejection() {
        return switch (this) {
            case REJECTED_BY_POSTGRES -> "Postgres" + REFUSED_THE_ROW;
            case REJECTED_BY_CLICKHOUSE -> "ClickHouse" + REFUSED_THE_ROW;
            default -> throw new IllegalArgumentException(this + " is not of a database");
        };
    }

    /** Whether a code, as {@link #code} writes it, is of a database that rejected the row. */
    public static boolean isRejection(String code) {
        return code.startsWith(REJECTED_BY);
    }

    /** The code that a sentence stands for, where an earlier version wrote none; null where it is not of a database. */
    public static ReasonCode ofRejection(String sentence) {
        for (ReasonCode code : List.of(REJECTED_BY_POSTGRES, REJECTED_BY_CLICKHOUSE)) {
            if (sentence.startsWith(code.rejection())) {
                return code;
            }
        }
        return null;
    }
}
