package io.github.eventdedup.proof.audit.records;

/** Goes through sorted records in groups of equal keys, side by side with others. Not thread-safe. */
public final class MergeCursor {

    public final SortedRecords records;

    /** The group: from here to before {@link #to}; empty where there is none with the key. */
    public int from;

    public int to;

    public MergeCursor(SortedRecords records) {
        this.records = records;
    }

    public boolean isEmpty() {
        return from == to;
    }

    public int size() {
        return to - from;
    }

    /**
     * Moves all to the next key that one of them has.
     *
     * @param keyBytes how many bytes make the key
     * @return whether there was one
     */
    public static boolean next(int keyBytes, MergeCursor... cursors) {
        SortedRecords least = null;
        int at = 0;
        for (MergeCursor it : cursors) {
            it.from = it.to;
            if (it.from < it.records.count()
                    && (least == null || it.records.compare(it.from, least, at, keyBytes) < 0)) {
                least = it.records;
                at = it.from;
            }
        }
        if (least == null) {
            return false;
        }
        for (MergeCursor it : cursors) {
            if (it.from < it.records.count() && it.records.compare(it.from, least, at, keyBytes) == 0) {
                it.to = it.records.end(it.from, keyBytes);
            }
        }
        return true;
    }
}
