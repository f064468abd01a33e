package io.github.eventdedup.proof.audit.records;

import io.github.eventdedup.event.Fingerprint;
import java.nio.ByteBuffer;
import java.util.SplittableRandom;

/**
 * Records of one size, in the unsigned order of their first bytes. Sorted in place, where they lie: nothing is copied,
 * however many there are. Numbers in them are big-endian. Not thread-safe.
 */
public final class SortedRecords {

    private static final int SMALL = 12;

    private final ByteBuffer bytes;
    private final int recordBytes;
    private final int keyBytes;
    private final byte[] one;
    private final byte[] other;
    private final SplittableRandom random = new SplittableRandom(0);

    /** Sorts the buffer. */
    public SortedRecords(ByteBuffer bytes, int recordBytes, int keyBytes) {
        this.bytes = bytes;
        this.recordBytes = recordBytes;
        this.keyBytes = keyBytes;
        one = new byte[recordBytes];
        other = new byte[recordBytes];
        sort(0, count());
    }

    public int count() {
        return bytes.capacity() / recordBytes;
    }

    public long getLong(int record, int at) {
        return bytes.getLong(record * recordBytes + at);
    }

    public int getInt(int record, int at) {
        return bytes.getInt(record * recordBytes + at);
    }

    public short getShort(int record, int at) {
        return bytes.getShort(record * recordBytes + at);
    }

    /** The first 32 bytes. */
    public Fingerprint fingerprint(int record) {
        return new Fingerprint(getLong(record, 0), getLong(record, 8), getLong(record, 16), getLong(record, 24));
    }

    /** Copies bytes of a record to where the target stands. */
    public void copy(int record, int at, int length, ByteBuffer target) {
        target.put(target.position(), bytes, record * recordBytes + at, length);
        target.position(target.position() + length);
    }

    /** Whether two records of 16 bytes at these places are the same. */
    public boolean sameDigest(int record, int at, SortedRecords that, int thatRecord, int thatAt) {
        return getLong(record, at) == that.getLong(thatRecord, thatAt)
                && getLong(record, at + 8) == that.getLong(thatRecord, thatAt + 8);
    }

    /** Compares the first bytes of two records, a multiple of four. */
    public int compare(int record, SortedRecords that, int thatRecord, int length) {
        int at = 0;
        for (; at + Long.BYTES <= length; at += Long.BYTES) {
            int order = Long.compareUnsigned(getLong(record, at), that.getLong(thatRecord, at));
            if (order != 0) {
                return order;
            }
        }
        return at < length ? Integer.compareUnsigned(getInt(record, at), that.getInt(thatRecord, at)) : 0;
    }

    /** The first record from this one on whose first bytes are others. */
    int end(int from, int length) {
        int to = from + 1;
        while (to < count() && compare(to, this, from, length) == 0) {
            to++;
        }
        return to;
    }

    /** Quicksort of three parts (Dijkstra): equal records, of which there may be many, are passed over. */
    private void sort(int first, int end) {
        int from = first;
        int to = end;
        while (to - from > SMALL) {
            swap(from, random.nextInt(from, to));
            // Records before `less` are smaller than the pivot, from `less` to `i` equal, from `greater` on greater.
            int less = from;
            int i = from + 1;
            int greater = to;
            while (i < greater) {
                int order = compare(i, this, less, keyBytes);
                if (order < 0) {
                    swap(less++, i++);
                } else if (order > 0) {
                    swap(i, --greater);
                } else {
                    i++;
                }
            }
            // The smaller side by recursion, so that it is never deep.
            if (less - from < to - greater) {
                sort(from, less);
                from = greater;
            } else {
                sort(greater, to);
                to = less;
            }
        }
        for (int i = from + 1; i < to; i++) {
            for (int j = i; j > from && compare(j - 1, this, j, keyBytes) > 0; j--) {
                swap(j - 1, j);
            }
        }
    }

    private void swap(int a, int b) {
        if (a != b) {
            bytes.get(a * recordBytes, one);
            bytes.get(b * recordBytes, other);
            bytes.put(a * recordBytes, other);
            bytes.put(b * recordBytes, one);
        }
    }
}
