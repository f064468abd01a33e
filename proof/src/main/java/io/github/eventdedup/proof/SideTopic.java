package io.github.eventdedup.proof;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.Fingerprint;
import io.github.eventdedup.event.InvalidEventException;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;

/**
 * The positions that a topic of duplicates or of dead letters names, each once however often it is written. Not
 * thread-safe.
 */
final class SideTopic {

    private static final Pattern POSITION = Pattern.compile("(\\d{1,9}):(\\d{1,18})");

    /** How the job begins the reason where it was the database that did not take an event. */
    private static final Pattern REFUSED = Pattern.compile("(Postgres|ClickHouse) refused the row.*", Pattern.DOTALL);

    private final TopicRange raw;
    private final StreamReport report;
    private final String kind;
    private final EventReader reader;
    private final Positions decided;
    private final Positions refused;
    private final long[] furthest;
    private final boolean[] cut;
    private final Set<Fingerprint> refusedBefore = new HashSet<>();
    private long keptFromMillis = Long.MIN_VALUE;

    /**
     * Reads the topic as it is now.
     *
     * @param raw the range of the raw topic that is looked at
     * @param kind duplicate or dead-letter
     * @param reader of events, for those that were refused and are no longer in the raw topic
     */
    SideTopic(Topics topics, String topic, TopicRange raw, String kind, EventReader reader, StreamReport report) {
        this.raw = raw;
        this.report = report;
        this.kind = kind;
        this.reader = reader;
        decided = new Positions(raw);
        refused = new Positions(raw);
        furthest = new long[raw.partitions()];
        Arrays.fill(furthest, -1);
        TopicRange range = topics.range(topic);
        cut = new boolean[range.partitions()];
        for (int i = 0; i < cut.length; i++) {
            cut[i] = range.begin()[i] > 0;
            if (cut[i] && range.begin()[i] == range.end()[i]) {
                keptFromMillis = Long.MAX_VALUE;
            }
        }
        topics.read(range, this::take);
    }

    private void take(ConsumerRecord<byte[], byte[]> record) {
        if (cut[record.partition()]) {
            keptFromMillis = Math.max(keptFromMillis, record.timestamp());
            cut[record.partition()] = false;
        }
        Matcher position = POSITION.matcher(record.key() == null ? "" : new String(record.key(), UTF_8));
        if (!position.matches()) {
            report.offend(
                    kind + "-unreadable",
                    null,
                    null,
                    null,
                    "the record at " + record.partition() + ":" + record.offset() + " of " + record.topic()
                            + " does not say where it came from");
            return;
        }
        int partition = Integer.parseInt(position.group(1));
        long offset = Long.parseLong(position.group(2));
        Header reason = record.headers().lastHeader("reason");
        boolean byDatabase = reason != null
                && REFUSED.matcher(new String(reason.value(), UTF_8)).matches();
        if (raw.contains(partition, offset)) {
            (byDatabase ? refused : decided).add(partition, offset);
        } else if (raw.isBefore(partition, offset)) {
            report.unchecked++;
            if (byDatabase) {
                remember(record.value());
            }
        } else if (raw.isAfter(partition, offset)) {
            furthest[partition] = Math.max(furthest[partition], offset);
            report.later++;
        } else {
            unexpected(partition, offset);
        }
    }

    private void remember(byte[] value) {
        try {
            if (value != null) {
                refusedBefore.add(reader.read(value).fingerprint());
            }
        } catch (InvalidEventException e) {
            // What was an event when it was refused, before the stream definition changed. Its row is asked for then.
        }
    }

    private void unexpected(int partition, long offset) {
        report.offend(kind + "-unexpected", partition, offset, null, "the raw topic does not have such a record");
    }

    /** Looks whether what came after the range is really in the topic by now. */
    void check(TopicRange now) {
        for (int i = 0; i < furthest.length; i++) {
            if (furthest[i] >= 0 && now.isAfter(i, furthest[i])) {
                unexpected(i, furthest[i]);
            }
        }
    }

    /** What the job itself has put here. */
    Positions decided() {
        return decided;
    }

    /** What the database did not take. */
    Positions refused() {
        return refused;
    }

    /** Whether the event was refused by the database, and is gone from the raw topic. */
    boolean wasRefusedBefore(Fingerprint fingerprint) {
        return refusedBefore.contains(fingerprint);
    }

    /** Whether a record about an event of this time may have been here, and be removed. */
    boolean mayHaveLost(long millis) {
        return millis <= keptFromMillis;
    }
}
