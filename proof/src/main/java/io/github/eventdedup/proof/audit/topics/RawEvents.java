package io.github.eventdedup.proof.audit.topics;

import io.github.eventdedup.event.Event;
import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.InvalidEventException;
import io.github.eventdedup.event.ReasonCode;
import io.github.eventdedup.proof.audit.records.BucketedRecords;
import io.github.eventdedup.proof.audit.records.RecordLayout;
import io.github.eventdedup.proof.audit.records.StreamReport;
import io.github.eventdedup.proof.audit.tables.Rows;
import io.github.eventdedup.proof.system.TopicRange;
import io.github.eventdedup.proof.system.TopicReader;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Instant;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/**
 * The raw topic, read once: its events in buckets by fingerprint, each with the row that it must become, and a bit for the
 * position of each record that is not an event. Not thread-safe.
 */
public final class RawEvents {

    private final TopicRange range;
    private final EventReader reader;
    private final Rows rows;
    private final StreamReport report;
    private final boolean isCompacted;
    private final BucketedRecords buckets;
    private final Positions present;
    private final Positions invalid;
    private final Replays replays = new Replays();
    private final ByteBuffer expected;
    private final long[] ends;
    private long removedUntilMillis = Long.MIN_VALUE;

    /**
     * Reads a range of the topic.
     *
     * @param directory for the buckets
     * @param report gets counts, and holes in the topic
     */
    public RawEvents(
            TopicReader topics, TopicRange range, EventReader reader, Rows rows, Path directory, StreamReport report) {
        this.range = range;
        this.reader = reader;
        this.rows = rows;
        this.report = report;
        int columns = rows.columns().size();
        buckets = new BucketedRecords(directory, RecordLayout.eventBytes(columns));
        present = new Positions(range);
        invalid = new Positions(range);
        isCompacted = topics.isCompacted(range.topic());
        expected = ByteBuffer.allocate(RecordLayout.expectedBytes(columns));
        ends = range.begin().clone();
        topics.read(range, this::accept);
        for (int i = 0; i < ends.length; i++) {
            checkHole(i, ends[i], range.end()[i]);
            if (range.begin()[i] > 0 && ends[i] == range.begin()[i]) {
                // Nothing is left that says when the last one was.
                removedUntilMillis = Math.max(removedUntilMillis, Instant.now().toEpochMilli());
            }
        }
        buckets.finish();
    }

    private void accept(ConsumerRecord<byte[], byte[]> record) {
        int partition = record.partition();
        checkHole(partition, ends[partition], record.offset());
        if (ends[partition] == range.begin()[partition] && range.begin()[partition] > 0) {
            removedUntilMillis = Math.max(removedUntilMillis, record.timestamp());
        }
        ends[partition] = record.offset() + 1;
        report.raw++;
        present.add(partition, record.offset());
        Replayed replay = Replayed.of(record);
        if (replay != null) {
            report.replayed++;
            replays.add(new Position(partition, record.offset()), replay);
        }
        try {
            if (record.value() == null) {
                throw new InvalidEventException(ReasonCode.NO_VALUE, "has no value");
            }
            Event event = reader.read(record.value());
            rows.putExpected(event.columns(), record.value(), expected.clear());
            byte[] fingerprint = event.fingerprint().bytes();
            buckets.next(fingerprint[0])
                    .put(fingerprint)
                    .putInt(partition)
                    .putLong(record.offset())
                    .putLong(replay == null ? record.timestamp() : replay.ofMillis())
                    .put(expected.flip());
        } catch (InvalidEventException e) {
            invalid.add(partition, record.offset());
        }
    }

    /**
     * Offsets without a record. Kafka gives one to each transaction's marker, and readers of committed records do not see
     * those that were aborted. Only compaction takes away records between others.
     */
    private void checkHole(int partition, long from, long to) {
        if (!isCompacted) {
            report.withoutRecord += to - from;
        } else if (from < to) {
            report.offend(
                    "hole",
                    partition,
                    from,
                    null,
                    "the topic has no record from here to offset " + (to - 1)
                            + ", though it has earlier or later ones: its cleanup.policy is compact, which deletes events");
        }
    }

    /** What was read. */
    public TopicRange range() {
        return range;
    }

    /** By partition, the offset after the last record; the beginning where there is none. */
    public long[] ends() {
        return ends;
    }

    /** The events, as {@link RecordLayout} has them. */
    public BucketedRecords buckets() {
        return buckets;
    }

    /** Where records are. */
    public Positions present() {
        return present;
    }

    /** Where records are that are not events. */
    public Positions invalid() {
        return invalid;
    }

    /** The records that are replays. */
    public Replays replays() {
        return replays;
    }

    /** The record time up to which records are removed; {@link Long#MIN_VALUE} where all are there. */
    public long removedUntilMillis() {
        return removedUntilMillis;
    }
}
