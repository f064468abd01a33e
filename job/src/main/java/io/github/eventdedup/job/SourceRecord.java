package io.github.eventdedup.job;

/**
 * A record of the raw topic: its bytes, and where and when Kafka took it.
 *
 * @param value the event as it was sent, or null for a tombstone
 * @param partition the partition of the raw topic
 * @param offset the offset in the partition
 * @param timestamp the Kafka record time, in milliseconds since 1970
 */
public record SourceRecord(byte[] value, int partition, long offset, long timestamp) {}
