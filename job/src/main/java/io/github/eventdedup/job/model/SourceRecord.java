package io.github.eventdedup.job.model;

/**
 * A record of the raw topic: its bytes, and where and when Kafka took it.
 *
 * @param value the event as it was sent, or null for a tombstone
 * @param partition the partition of the raw topic
 * @param offset the offset in the partition
 * @param timestamp the Kafka record time, in milliseconds since 1970
 * @param key the record's key, or null where it has none
 * @param headers the record's headers as {@link HeaderBytes} writes them, or null where it has none
 */
public record SourceRecord(byte[] value, int partition, long offset, long timestamp, byte[] key, byte[] headers) {

    /** What Kafka gives a record without a time; no record has less. */
    private static final long NO_TIMESTAMP = -1;

    /** Stands for records that Kafka deleted before the job read them: without a value, and with a time that none has. */
    public static SourceRecord deletedUnread(int partition, long first, long count) {
        return new SourceRecord(null, partition, first, NO_TIMESTAMP - count);
    }

    /** How many records this stands for that Kafka deleted before the job read them; 0 for a record. */
    public long deletedUnread() {
        return Math.max(0, NO_TIMESTAMP - timestamp);
    }

    /** A record without key and headers. */
    public SourceRecord(byte[] value, int partition, long offset, long timestamp) {
        this(value, partition, offset, timestamp, null, null);
    }

    /** The same record at another place and time. */
    public SourceRecord at(int otherPartition, long otherOffset, long otherTimestamp) {
        return new SourceRecord(value, otherPartition, otherOffset, otherTimestamp, key, headers);
    }
}
