package io.github.eventdedup.proof.load;

import io.github.eventdedup.event.Fingerprint;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.HdrHistogram.Histogram;

/**
 * Events whose way into the table is timed. Each stands for the events since the one before it. Thread-safe; times are
 * {@link System#nanoTime()}.
 */
final class VisibilityTracker {

    /** One event. */
    private static final class Probe {

        private final long due;
        private final long stands;
        private long acknowledged;

        Probe(long due, long stands) {
            this.due = due;
            this.stands = stands;
        }
    }

    private final Map<Fingerprint, Probe> outstanding = new LinkedHashMap<>();
    /** From the time that an event was due until its row was seen, in µs. */
    private final Histogram untilVisible = new Histogram(3);

    private long rows;
    private long lastVisible;

    /**
     * An event is about to be sent.
     *
     * @param due when it should have been sent
     * @param stands for how many events, itself included
     */
    synchronized void sent(Fingerprint fingerprint, long due, long stands) {
        outstanding.put(fingerprint, new Probe(due, stands));
    }

    synchronized void acknowledged(Fingerprint fingerprint, long now) {
        Probe probe = outstanding.get(fingerprint);
        if (probe != null) {
            probe.acknowledged = now;
        }
    }

    /** Nobody can say whether the event will be in the table. */
    synchronized void givenUp(Fingerprint fingerprint) {
        outstanding.remove(fingerprint);
    }

    synchronized void visible(Fingerprint fingerprint, long now) {
        Probe probe = outstanding.remove(fingerprint);
        if (probe != null) {
            rows += probe.stands;
            lastVisible = now;
            untilVisible.recordValue((now - probe.due) / 1000);
        }
    }

    synchronized List<Fingerprint> outstanding() {
        return new ArrayList<>(outstanding.keySet());
    }

    /** Rows there are, as far as is known. */
    synchronized long rows() {
        return rows;
    }

    /** When the last row was seen, or 0. */
    synchronized long lastVisible() {
        return lastVisible;
    }

    /** How long ago the oldest event was acknowledged that is not in the table, in ns; 0 where there is none. */
    synchronized long lag(long now) {
        long lag = 0;
        for (Probe probe : outstanding.values()) {
            if (probe.acknowledged != 0) {
                lag = Math.max(lag, now - probe.acknowledged);
            }
        }
        return lag;
    }

    /** A copy, in µs. */
    synchronized Histogram untilVisible() {
        return untilVisible.copy();
    }
}
