package io.github.eventdedup.proof.audit;

import io.github.eventdedup.proof.audit.records.RecordLayout;
import io.github.eventdedup.proof.audit.records.SortedRecords;
import io.github.eventdedup.proof.audit.topics.Positions;
import java.time.Duration;
import java.util.Arrays;
import java.util.function.IntPredicate;

/**
 * Decides which of the events of one fingerprint were to be stored.
 *
 * <p>Two things leave more than one right decision, and there the duplicates topic says which one the job took; it must be
 * one of the right ones. Equal events in several partitions: whichever of their first ones was read first has won. And
 * where the front of the topic is removed: an event may be a copy of one that is gone, as long as its window can reach
 * there. Not thread-safe.
 */
final class Decision {

    /** What an event is. */
    enum Verdict {
        NEW,
        DUPLICATE,
        /** Recorded as a duplicate, of an event that is gone from the topic. */
        DUPLICATE_OF_REMOVED,
        /** Nothing that the window decides. */
        APART
    }

    private final ExpectedWindow rule;
    private final Positions recorded;
    private final long reachesUntil;

    /**
     * Decides by a window.
     *
     * @param recorded the positions in the duplicates topic
     * @param removedUntilMillis the record time up to which records are gone; {@link Long#MIN_VALUE} where all are there
     */
    Decision(Duration window, Positions recorded, long removedUntilMillis) {
        rule = new ExpectedWindow(window);
        this.recorded = recorded;
        reachesUntil = removedUntilMillis == Long.MIN_VALUE ? Long.MIN_VALUE : removedUntilMillis + window.toMillis();
    }

    /**
     * Decides.
     *
     * @param events sorted, of which those from here to before there are of one fingerprint
     * @param firstMillis the time of the first one where the table says that it is gone from the topic; else null
     * @param apart says of an event whether the window does not decide it
     * @return a verdict for each, in their order
     */
    Verdict[] decide(SortedRecords events, int from, int to, Long firstMillis, IntPredicate apart) {
        int size = to - from;
        if (events.getInt(from, RecordLayout.PARTITION) == events.getInt(to - 1, RecordLayout.PARTITION)) {
            Verdict[] verdicts = new Verdict[size];
            decide(events, from, null, firstMillis, apart, verdicts);
            return verdicts;
        }
        Verdict[] byTime = new Verdict[size];
        if (decide(events, from, merged(events, from, to, -1), firstMillis, apart, byTime)) {
            return byTime;
        }
        for (int first = from; first < to; first = partitionEnd(events, first, to)) {
            Verdict[] verdicts = new Verdict[size];
            if (decide(events, from, merged(events, from, to, first), firstMillis, apart, verdicts)) {
                return verdicts;
            }
        }
        return byTime;
    }

    private static int partitionEnd(SortedRecords events, int first, int to) {
        int end = first + 1;
        while (end < to && events.getInt(end, RecordLayout.PARTITION) == events.getInt(first, RecordLayout.PARTITION)) {
            end++;
        }
        return end;
    }

    /** The events of all partitions by time, each partition in its own order; one of them before all others, or none. */
    private static int[] merged(SortedRecords events, int from, int to, int veryFirst) {
        int[] next = new int[0];
        int[] ends = new int[0];
        for (int first = from; first < to; first = partitionEnd(events, first, to)) {
            next = Arrays.copyOf(next, next.length + 1);
            ends = Arrays.copyOf(ends, ends.length + 1);
            next[next.length - 1] = first;
            ends[ends.length - 1] = partitionEnd(events, first, to);
        }
        int[] order = new int[to - from];
        for (int i = 0; i < order.length; i++) {
            int best = -1;
            for (int p = 0; p < next.length; p++) {
                if (next[p] == ends[p]) {
                    continue;
                }
                boolean earlier = best < 0
                        || next[p] == veryFirst
                        || (next[best] != veryFirst
                                && events.getLong(next[p], RecordLayout.EVENT_MILLIS)
                                        < events.getLong(next[best], RecordLayout.EVENT_MILLIS));
                best = earlier ? p : best;
            }
            order[i] = next[best]++;
        }
        return order;
    }

    /** Fills the verdicts, and says whether the duplicates topic has exactly those. */
    private boolean decide(
            SortedRecords events, int from, int[] order, Long firstMillis, IntPredicate apart, Verdict[] verdicts) {
        if (firstMillis == null) {
            rule.forget();
        } else {
            rule.startFrom(firstMillis);
        }
        boolean asRecorded = true;
        boolean anyNew = false;
        for (int i = 0; i < verdicts.length; i++) {
            int event = order == null ? from + i : order[i];
            if (apart.test(event)) {
                verdicts[event - from] = Verdict.APART;
                continue;
            }
            long millis = events.getLong(event, RecordLayout.EVENT_MILLIS);
            boolean isRecorded = recorded.contains(
                    events.getInt(event, RecordLayout.PARTITION), events.getLong(event, RecordLayout.OFFSET));
            Verdict verdict;
            if (!anyNew && isRecorded && millis < reachesUntil) {
                verdict = Verdict.DUPLICATE_OF_REMOVED;
            } else {
                verdict = rule.isNew(millis) ? Verdict.NEW : Verdict.DUPLICATE;
                anyNew |= verdict == Verdict.NEW;
            }
            asRecorded &= isRecorded == (verdict != Verdict.NEW);
            verdicts[event - from] = verdict;
        }
        return asRecorded;
    }
}
