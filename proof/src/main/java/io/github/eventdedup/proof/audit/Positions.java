package io.github.eventdedup.proof.audit;

import io.github.eventdedup.proof.system.TopicRange;
import java.util.BitSet;

/** A set of positions in a range of a topic, a bit each. Not thread-safe. */
final class Positions {

    private final TopicRange range;
    private final BitSet[] partitions;

    Positions(TopicRange range) {
        this.range = range;
        partitions = new BitSet[range.partitions()];
        for (int i = 0; i < partitions.length; i++) {
            partitions[i] = new BitSet();
        }
    }

    /** What to do with a position. */
    interface Visitor {
        void visit(int partition, long offset);
    }

    /** Adds a position within the range. */
    void add(int partition, long offset) {
        partitions[partition].set(index(partition, offset));
    }

    boolean contains(int partition, long offset) {
        return range.contains(partition, offset) && partitions[partition].get(index(partition, offset));
    }

    private int index(int partition, long offset) {
        return Math.toIntExact(offset - range.begin()[partition]);
    }

    long size() {
        long size = 0;
        for (BitSet it : partitions) {
            size += it.cardinality();
        }
        return size;
    }

    /** A new set of those that are in this and not in that. */
    Positions without(Positions that) {
        Positions rest = plus(new Positions(range));
        for (int i = 0; i < partitions.length; i++) {
            rest.partitions[i].andNot(that.partitions[i]);
        }
        return rest;
    }

    /** A new set of those that are in this, in that or in both. */
    Positions plus(Positions that) {
        Positions all = new Positions(range);
        for (int i = 0; i < partitions.length; i++) {
            all.partitions[i].or(partitions[i]);
            all.partitions[i].or(that.partitions[i]);
        }
        return all;
    }

    void forEach(Visitor visitor) {
        for (int partition = 0; partition < partitions.length; partition++) {
            BitSet set = partitions[partition];
            for (int i = set.nextSetBit(0); i >= 0; i = set.nextSetBit(i + 1)) {
                visitor.visit(partition, range.begin()[partition] + i);
            }
        }
    }
}
