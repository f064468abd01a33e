package io.github.eventdedup.proof.audit.topics;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.Fingerprint;
import io.github.eventdedup.event.InvalidEventException;
import io.github.eventdedup.event.ReasonCode;
import io.github.eventdedup.event.SideTopicHeaders;
import io.github.eventdedup.proof.audit.records.StreamReport;
import io.github.eventdedup.proof.system.TopicRange;
import io.github.eventdedup.proof.system.TopicReader;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;

/**
 * The positions that a topic of duplicates or of dead letters names, each once however often it is written. Not
 * thread-safe.
 */
public final class SideTopic {

    private static final Pattern POSITION = Pattern.compile("(\\d{1,9}):(\\d{1,18})");

    /** Of letters that earlier versions wrote, and whose reason is not a database's. */
    private static final String UNKNOWN_CODE = "unknown";

    private final TopicRange raw;
    private final StreamReport report;
    private final String kind;
    private final EventReader reader;
    private final Positions decided;
    private final Positions refused;
    private final long[] furthest;
    private final boolean[] cut;
    private final Set<Fingerprint> refusedBefore = new HashSet<>();
    private final Map<String, Positions> byCode = new TreeMap<>();
    private final Map<Position, String> codesBefore = new HashMap<>();
    private final BelowStart below;
    private long keptFromMillis = Long.MIN_VALUE;

    /**
     * Reads the topic as it is now.
     *
     * @param raw the range of the raw topic that is looked at
     * @param kind duplicate or dead-letter
     * @param reader of events, for those that were refused and are no longer in the raw topic
     * @param below is told what is named here and no longer in the raw topic
     */
    public SideTopic(
            TopicReader topics,
            String topic,
            TopicRange raw,
            String kind,
            EventReader reader,
            StreamReport report,
            BelowStart below) {
        this.below = below;
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
        topics.read(range, this::accept);
    }

    private void accept(ConsumerRecord<byte[], byte[]> record) {
        if (cut[record.partition()]) {
            keptFromMillis = Math.max(keptFromMillis, record.timestamp());
            cut[record.partition()] = false;
        }
        String key = record.key() == null ? "" : new String(record.key(), UTF_8);
        Matcher position = POSITION.matcher(key);
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
        // The letter of a replay has the position of the original as its key: this is about the replay.
        Matcher replayedAt = POSITION.matcher(text(record, SideTopicHeaders.REPLAYED_AT));
        Matcher at = replayedAt.matches() ? replayedAt : position;
        int partition = Integer.parseInt(at.group(1));
        long offset = Long.parseLong(at.group(2));
        String code = code(record);
        boolean byDatabase = ReasonCode.isRejection(code);
        if (raw.contains(partition, offset)) {
            (byDatabase ? refused : decided).add(partition, offset);
            byCode.computeIfAbsent(code, unused -> new Positions(raw)).add(partition, offset);
        } else if (raw.isBefore(partition, offset)) {
            report.unchecked++;
            below.add(partition, offset);
            codesBefore.put(new Position(Integer.parseInt(position.group(1)), Long.parseLong(position.group(2))), code);
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

    /** The reason code of a dead letter; of those that earlier versions wrote, what their reason says. */
    private static String code(ConsumerRecord<byte[], byte[]> record) {
        String code = text(record, SideTopicHeaders.REASON_CODE);
        if (!code.isEmpty()) {
            return code;
        }
        ReasonCode rejection = ReasonCode.ofRejection(text(record, SideTopicHeaders.REASON));
        return rejection == null ? UNKNOWN_CODE : rejection.code();
    }

    private static String text(ConsumerRecord<byte[], byte[]> record, String name) {
        Header header = record.headers().lastHeader(name);
        return header == null || header.value() == null ? "" : new String(header.value(), UTF_8);
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
    public void check(TopicRange now) {
        for (int i = 0; i < furthest.length; i++) {
            if (furthest[i] >= 0 && now.isAfter(i, furthest[i])) {
                unexpected(i, furthest[i]);
            }
        }
    }

    /** What the job itself has put here. */
    public Positions decided() {
        return decided;
    }

    /** What the database did not take. */
    public Positions refused() {
        return refused;
    }

    /** The positions that are named here, by reason code. */
    public Map<String, Positions> byCode() {
        return byCode;
    }

    /** The reason code at a position, or null. */
    String codeAt(Position at) {
        return byCode.entrySet().stream()
                .filter(it -> it.getValue().contains(at.partition(), at.offset()))
                .map(Map.Entry::getKey)
                .findFirst()
                .orElse(null);
    }

    /** The reason codes by the positions of originals, where what they are about is gone from the raw topic. */
    public Map<Position, String> codesBefore() {
        return codesBefore;
    }

    public boolean isEmpty() {
        return byCode.isEmpty() && codesBefore.isEmpty();
    }

    /** Whether the position is named here, whatever the reason. */
    public boolean contains(int partition, long offset) {
        return decided.contains(partition, offset) || refused.contains(partition, offset);
    }

    /** Whether the event was refused by the database, and is gone from the raw topic. */
    public boolean wasRefusedBefore(Fingerprint fingerprint) {
        return refusedBefore.contains(fingerprint);
    }

    /** Whether a record about an event of this time may have been here, and be removed. */
    public boolean mayHaveLost(long millis) {
        return millis <= keptFromMillis;
    }
}
