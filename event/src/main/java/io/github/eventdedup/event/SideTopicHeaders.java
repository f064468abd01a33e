package io.github.eventdedup.event;

/**
 * The names of the headers that the job writes to the topics of duplicates and dead letters, and that a dead letter has
 * when it is sent again (docs/adr/0021-replay.md). Part of the contract with users.
 */
public final class SideTopicHeaders {

    /** The raw topic of the original. */
    public static final String TOPIC = "topic";

    /** The partition of the original. */
    public static final String PARTITION = "partition";

    /** The offset of the original. */
    public static final String OFFSET = "offset";

    /** The record time of the original, in milliseconds since 1970. */
    public static final String TIMESTAMP = "timestamp";

    /** The fingerprint in hexadecimal digits, where the event has one. */
    public static final String FINGERPRINT = "fingerprint";

    /** Why it is a dead letter, for programs ({@link ReasonCode}). */
    public static final String REASON_CODE = "reason-code";

    /** Why it is a dead letter, in a sentence for people. */
    public static final String REASON = "reason";

    /** The lineage of the state that decided the record. */
    public static final String STATE_ID = "state-id";

    /** In place of a value that is too large to be copied. */
    public static final String VALUE_OMITTED = "value-omitted";

    /** In place of a key and headers that are too large to be copied. */
    public static final String ORIGINAL_OMITTED = "original-omitted";

    /** The key of the original. */
    public static final String ORIGINAL_KEY = "original-key";

    /** Before the name of each header of the original. */
    public static final String ORIGINAL_HEADER = "original-header.";

    /** Of a replay: the original, {@code partition:offset:time}; of its duplicate, {@code partition:offset}. */
    public static final String REPLAY_OF = "replay-of";

    /** How often the letter has been sent again, this time included. */
    public static final String REPLAY_ATTEMPT = "replay-attempt";

    /** Of a replay: the reason code of its dead letter. */
    public static final String REPLAY_REASON_CODE = "replay-reason-code";

    /** Of the dead letter of a replay: where the replay is, {@code partition:offset}. */
    public static final String REPLAYED_AT = "replayed-at";

    private SideTopicHeaders() {}
}
