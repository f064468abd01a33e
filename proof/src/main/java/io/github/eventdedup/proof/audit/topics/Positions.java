package io.github.eventdedup.proof.audit.topics;

import io.github.eventdedup.proof.audit.records.RecordLayout;
import io.github.eventdedup.proof.audit.records.SortedRecords;
import io.github.eventdedup.proof.system.TopicRange;
import java.util.BitSet;

/** A set of positions in a range of a topic, a bit each. Not thread-safe. */
public final class Positions {

    private final TopicRange range;
    private final BitSet[] partitions;

    public Positions(TopicRange range) {
        this.range = range;
        partitions = new BitSet[range.partitions()];
        for (int i = 0; i < partitions.length; i++) {
            partitions[i] = new BitSet();
        }
    }

    /** What to do with a position. */
    public interface Visitor {
        void visit(int partition, long offset);
    }

    /** Adds a position within the range. */
    public void add(int partition, long offset) {
        partitions[partition].set(index(partition, offset));
    }

    public boolean contains(int partition, long offset) {
        return range.contains(partition, offset) && partitions[partition].get(index(partition, offset));
    }

    /** Whether the position is here that a record begins with, after its fingerprint. */
    public boolean contains(SortedRecords records, int record) {
        return contains(records.getInt(record, RecordLayout.PARTITION), records.getLong(record, RecordLayout.OFFSET));
    }

    private int index(int partition, long offset) {
        return Math.toIntExact(offset - range.begin()[partition]);
    }

    public long size() {
        long size = 0;
        for (BitSet it : partitions) {
            size += it.cardinality();
        }
        return size;
    }

    /** A new set of those that are in this and not in that. */
    public Positions without(Positions that) {
        Positions rest = plus(new Positions(range));
        for (int i = 0; i < partitions.length; i++) {
            rest.partitions[i].andNot(that.partitions[i]);
        }
        return rest;
    }

    /** A new set of those that are in this, in that or in both. */
    public Positions plus(Positions that) {
        Positions all = new Positions(range);
        for (int i = 0; i < partitions.length; i++) {
            all.partitions[i].or(partitions[i]);
            all.partitions[i].or(that.partitions[i]);
        }
        return all;
    }

    public void forEach(Visitor visitor) {
        for (int partition = 0; partition < partitions.length; partition++) {
            BitSet set = partitions[partition];
            for (int i = set.nextSetBit(0); i >= 0; i = set.nextSetBit(i + 1)) {
                visitor.visit(partition, range.begin()[partition] + i);
            }
        }
    }
}
