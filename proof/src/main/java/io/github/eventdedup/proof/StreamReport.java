package io.github.eventdedup.proof;

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
    "afterWindow",
    "missing",
    "extra",
    "different",
    "escapes",
    "acknowledged",
    "acknowledgedMissing",
    "refused",
    "unknown",
    "invalid",
    "sent",
    "unchecked",
    "later",
    "broken",
    "offenders"
})
final class StreamReport {

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
    record Offender(String kind, Integer partition, Long offset, String fingerprint, String detail) {

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
    public long deadLetters;

    /** Events that were sent again after their window, whose row in Postgres is the first one's. */
    public long afterWindow;

    /** Lines of ledgers; null without one. */
    public Long acknowledged;

    public Long unknown;
    public Long invalid;

    /** Events of ledgers and of the outbox that the database has refused: dead letters, which is no mistake by itself. */
    public long refused;

    /** Rows of the outbox that are flagged as sent; null without one. */
    public Long sent;

    /** What cannot be checked, because the topic no longer has the records. */
    public long unchecked;

    /** Rows and side records of events that came after the end that was fixed: not looked at. */
    public long later;

    private final Map<String, Long> broken = new TreeMap<>();
    private final Map<String, PriorityQueue<Offender>> offenders = new TreeMap<>();

    StreamReport(String stream) {
        this.stream = stream;
    }

    void offend(String kind, Integer partition, Long offset, String fingerprint, String detail) {
        broken.merge(kind, 1L, Long::sum);
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
    boolean isExact() {
        return broken.isEmpty();
    }

    /** Whether time alone may mend it, where the table is ClickHouse's. */
    boolean mayPass() {
        return !isExact() && MAY_PASS.containsAll(broken.keySet());
    }
}
