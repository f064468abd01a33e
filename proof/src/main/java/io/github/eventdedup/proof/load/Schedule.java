package io.github.eventdedup.proof.load;

import io.github.eventdedup.event.Fingerprint;
import io.github.eventdedup.proof.load.LoadPlan.Kind;
import java.util.ArrayDeque;
import java.util.Deque;

/**
 * Which copies are sent when, and which of them together. What is due while no client is free waits as nothing but a count,
 * whatever the backlog. Not thread-safe, except for {@link #stop}; times are {@link System#nanoTime()}.
 */
final class Schedule {

    /** Overdue events from which on the schedule waits. */
    static final int MAX_BACKLOG = 100_000;

    /** Copies that are sent together; those that are decided leave. */
    static final class Batch {

        final long[] copies;
        int size;
        /** When the last of them was due: events wait for a batch to be full, and what is timed is the batch. */
        long due;

        long firstSent;
        int tries;

        /** The copy whose row is looked for, or -1. */
        long probeCopy = -1;

        Fingerprint probe;

        private Batch(int capacity) {
            copies = new long[capacity];
        }

        private void add(long copy, long copyDue) {
            copies[size++] = copy;
            due = copyDue;
        }
    }

    private final Sender.Settings settings;
    private final Copies copies;
    private final LoadCounters counters;
    private final Deque<Long> twins = new ArrayDeque<>();
    private volatile boolean stopped;
    private Batch filling;
    private long begin;
    private long next;
    private long skipped;

    Schedule(Sender.Settings settings, Copies copies, LoadCounters counters) {
        this.settings = settings;
        this.copies = copies;
        this.counters = counters;
        filling = new Batch(settings.batch());
    }

    /** The time from which on copies are due. */
    void begin(long now) {
        begin = now;
    }

    /** No more copies are due. */
    void stop() {
        stopped = true;
    }

    boolean isStopped() {
        return stopped;
    }

    /** Leaves copies out where too many are overdue. */
    void skipOverdue(long now) {
        if (settings.rate() > 0) {
            long overdue = (long) ((now - begin) / 1e9 * settings.rate()) - skipped - next;
            if (overdue > MAX_BACKLOG && next < settings.copies() && now - begin < settings.nanos()) {
                skipped += overdue - MAX_BACKLOG;
                counters.behind.add(overdue - MAX_BACKLOG);
            }
        }
    }

    /** Whether all copies were handed out that will be. */
    boolean isOver(long now) {
        return filling.size == 0 && !hasMore(now) && twins.isEmpty();
    }

    /**
     * The next copies to send.
     *
     * @param idle how many clients are free
     * @param clients how many there are
     * @return null where none are due, or no client is free for them
     */
    Batch poll(long now, int idle, int clients) {
        boolean more = hasMore(now);
        // One client is kept free for a copy at the same moment.
        boolean twin = !twins.isEmpty() || (more && copies.kind(next) == Kind.TWIN);
        if (idle < (twin || clients == 1 || !more ? 1 : 2)) {
            return null;
        }
        while (filling.size < settings.batch() && !twins.isEmpty()) {
            filling.add(twins.remove(), now);
        }
        while (filling.size < settings.batch() && more) {
            long due = settings.rate() > 0 ? due(next) : now;
            if (due > now) {
                break;
            }
            if (filling.size > 0 && copies.kind(next) == Kind.TWIN) {
                twins.add(next);
            } else {
                filling.add(next, due);
            }
            next++;
            more = hasMore(now);
        }
        if (filling.size < settings.batch() && (more || filling.size == 0)) {
            return null;
        }
        Batch full = filling;
        filling = new Batch(settings.batch());
        return full;
    }

    /** When the next copy is due; {@link Long#MAX_VALUE} where copies are not due at a time. */
    long nextDue() {
        return settings.rate() > 0 && next < settings.copies() ? due(next) : Long.MAX_VALUE;
    }

    /** A twin is due with the copy before it. */
    private long due(long copy) {
        long with = copy;
        while (copies.kind(with) == Kind.TWIN) {
            with--;
        }
        return begin + (long) ((with + skipped) * 1e9 / settings.rate());
    }

    private boolean hasMore(long now) {
        if (stopped || next >= settings.copies()) {
            return false;
        }
        return settings.nanos() == Long.MAX_VALUE || (settings.rate() > 0 ? due(next) : now) - begin < settings.nanos();
    }
}
