package io.github.eventdedup.proof.audit.topics;

import io.github.eventdedup.proof.system.TopicRange;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/**
 * The offsets that the raw topic no longer has, and which of them something else names: a row, a duplicate, a dead letter.
 * What is not named may have been deleted before the job has read it. Not thread-safe.
 */
public final class BelowStart {

    /** How far the look back reaches in each partition: 2 MiB of memory. */
    private static final int REACH = 1 << 24;

    private static final int MAX_RANGES = 20;

    private final TopicRange range;

    /** By partition; a bit for each offset, counted down from the one before the beginning. */
    private final BitSet[] named;

    private final List<String> ranges = new ArrayList<>();
    private long count;

    public BelowStart(TopicRange range) {
        this.range = range;
        named = new BitSet[range.partitions()];
        for (int i = 0; i < named.length; i++) {
            named[i] = new BitSet();
        }
    }

    /** Something names an offset before the range. */
    public void add(int partition, long offset) {
        long distance = range.begin()[partition] - 1 - offset;
        if (distance < REACH) {
            named[partition].set((int) distance);
        }
    }

    /** Looks for what is not named, from the lowest offset that is named to the beginning of each partition. */
    public void close() {
        for (int partition = 0; partition < named.length; partition++) {
            long begin = range.begin()[partition];
            int lowest = named[partition].isEmpty() ? (int) Math.min(begin, REACH) : named[partition].length();
            for (int to = named[partition].previousClearBit(lowest - 1); to >= 0; ) {
                int from = named[partition].previousSetBit(to) + 1;
                count += to - from + 1;
                if (ranges.size() < MAX_RANGES) {
                    ranges.add(partition + ":" + (begin - 1 - to) + "-" + (begin - 1 - from));
                }
                to = from == 0 ? -1 : named[partition].previousClearBit(from - 1);
            }
        }
    }

    /** How many are not named. */
    public long count() {
        return count;
    }

    /** The first of them, as {@code partition:from-to}. */
    public List<String> ranges() {
        return ranges;
    }
}
