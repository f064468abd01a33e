package io.github.eventdedup.job;

/**
 * A record of the raw topic: its bytes, and where and when Kafka took it.
 *
 * @param value the event as it was sent, or null for a tombstone
 * @param partition the partition of the raw topic
 * @param offset the offset in the partition
 * @param timestamp the Kafka record time, in milliseconds since 1970
 */
public record SourceRecord(byte[] value, int partition, long offset, long timestamp) {

    /** What Kafka gives a record without a time; no record has less. */
    private static final long NO_TIMESTAMP = -1;

    /** Stands for records that Kafka deleted before the job read them: without a value, and with a time that none has. */
    static SourceRecord deletedUnread(int partition, long first, long count) {
        return new SourceRecord(null, partition, first, NO_TIMESTAMP - count);
    }

    /** How many records this stands for that Kafka deleted before the job read them; 0 for a record. */
    long deletedUnread() {
        return Math.max(0, NO_TIMESTAMP - timestamp);
    }
}
