package io.github.eventdedup.proof.audit.records;

import com.fasterxml.jackson.annotation.JsonIgnore;
import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.TreeMap;

/** What an audit has found in a stream: numbers, and the first offenders of every kind. Not thread-safe. */
@JsonPropertyOrder({
    "stream",
    "raw",
    "unique",
    "stored",
    "duplicates",
    "deadLetters",
    "deadLettersOpen",
    "deadLettersOpenByReasonCode",
    "replayed",
    "afterWindow",
    "withoutRecord",
    "missing",
    "extra",
    "different",
    "escapes",
    "acknowledged",
    "acknowledgedMissing",
    "acknowledgedStored",
    "acknowledgedDuplicates",
    "acknowledgedDeadLetters",
    "refused",
    "unknown",
    "invalid",
    "sent",
    "unchecked",
    "retentionLost",
    "unaccounted",
    "unaccountedOffsets",
    "later",
    "broken",
    "offenders"
})
public final class StreamReport {

    /** Of each kind. */
    static final int MAX_OFFENDERS = 20;

    /** What can be so only because ClickHouse, or the dead letters of what it refused, come after the checkpoint. */
    private static final Set<String> MAY_PASS = Set.of("missing", "dead-letter-not-recorded", "conservation", "extra");

    /**
     * A record or row that is not as it should be.
     *
     * @param kind what is wrong, in a word
     * @param partition of the raw topic, or null
     * @param offset in the partition, or null
     * @param fingerprint 64 hexadecimal digits, or null
     * @param detail for people
     */
    public record Offender(String kind, Integer partition, Long offset, String fingerprint, String detail) {

        private static final Comparator<Offender> ORDER = Comparator.comparing(
                        Offender::offset, Comparator.nullsLast(Comparator.naturalOrder()))
                .thenComparing(Offender::partition, Comparator.nullsLast(Comparator.naturalOrder()))
                .thenComparing(Offender::fingerprint, Comparator.nullsLast(Comparator.naturalOrder()));
    }

    public final String stream;

    /** Records that were read. */
    public long raw;

    /** Rows that the table must have for them. */
    public long unique;

    /** Rows that it has. */
    public long stored;

    public long duplicates;

    /** Records that have become dead letters, whatever has become of these. */
    public long deadLetters;

    /** How many events are dead letters and nothing else: not stored by a replay since, and not discarded. */
    public long getDeadLettersOpen() {
        return open.values().stream().mapToLong(Long::longValue).sum();
    }

    /** The same by reason code. */
    public Map<String, Long> getDeadLettersOpenByReasonCode() {
        return open;
    }

    /** Records of the topic that are dead letters, sent again. */
    public long replayed;

    /** Offsets of the topic without a record for readers of what is committed: transaction markers and aborted records. */
    public long withoutRecord;

    /** Events that were sent again after their window, whose row in Postgres is the first one's. */
    public long afterWindow;

    /** Lines of ledgers; null without one. */
    public Long acknowledged;

    /** Lines of ledgers whose event the table has from that very record; null without one. */
    public Long acknowledgedStored;

    /** Lines whose event is a duplicate of one that is stored. */
    public Long acknowledgedDuplicates;

    /** Lines whose event is a dead letter that is open, or a duplicate of one. */
    public Long acknowledgedDeadLetters;

    public Long unknown;
    public Long invalid;

    /** Events of ledgers and of the outbox that are open dead letters of the database, which is no mistake by itself. */
    public long refused;

    /** Rows of the outbox that are flagged as sent; null without one. */
    public Long sent;

    /** What cannot be checked, because the topic no longer has the records. */
    public long unchecked;

    /** Records that the job says Kafka has deleted before it had read them; null where it cannot be asked. */
    public Long retentionLost;

    /** Offsets before the start of the topic that no row, duplicate or dead letter names; null where rows have no offset. */
    public Long unaccounted;

    /** The first of them, as {@code partition:from-to}. */
    public List<String> unaccountedOffsets = List.of();

    /** Rows and side records of events that came after the end that was fixed: not looked at. */
    public long later;

    private final Map<String, Long> open = new TreeMap<>();
    private final Map<String, Long> broken = new TreeMap<>();
    private final Map<String, PriorityQueue<Offender>> offenders = new TreeMap<>();

    public StreamReport(String stream) {
        this.stream = stream;
    }

    public void open(String reasonCode) {
        open.merge(reasonCode, 1L, Long::sum);
    }

    public void offend(String kind, Integer partition, Long offset, String fingerprint, String detail) {
        offend(kind, 1, partition, offset, fingerprint, detail);
    }

    /** A record that is not as it should be, which begins with fingerprint, partition and offset. */
    public void offend(String kind, SortedRecords records, int record, String detail) {
        offend(
                kind,
                records.getInt(record, RecordLayout.PARTITION),
                records.getLong(record, RecordLayout.OFFSET),
                records.fingerprint(record).toString(),
                detail);
    }

    /** Several of a kind at once, of which one is named. */
    public void offend(String kind, long count, Integer partition, Long offset, String fingerprint, String detail) {
        broken.merge(kind, count, Long::sum);
        PriorityQueue<Offender> first =
                offenders.computeIfAbsent(kind, it -> new PriorityQueue<>(Offender.ORDER.reversed()));
        first.add(new Offender(kind, partition, offset, fingerprint, detail));
        if (first.size() > MAX_OFFENDERS) {
            first.remove();
        }
    }

    private long count(String kind) {
        return broken.getOrDefault(kind, 0L);
    }

    public long getMissing() {
        return count("missing");
    }

    public long getExtra() {
        return count("extra");
    }

    public long getDifferent() {
        return count("different");
    }

    public long getEscapes() {
        return count("escape");
    }

    public long getAcknowledgedMissing() {
        return count("acknowledged-missing");
    }

    /** How many of each kind. */
    public Map<String, Long> getBroken() {
        return broken;
    }

    /** The first of each kind, by offset. */
    public List<Offender> getOffenders() {
        List<Offender> all = new ArrayList<>();
        offenders
                .values()
                .forEach(first ->
                        all.addAll(first.stream().sorted(Offender.ORDER).toList()));
        return all;
    }

    @JsonIgnore
    public boolean isExact() {
        return broken.isEmpty();
    }

    /** Whether time alone may mend it, where the table is ClickHouse's. */
    public boolean mayPass() {
        return !isExact() && MAY_PASS.containsAll(broken.keySet());
    }
}
