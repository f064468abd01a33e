package io.github.eventdedup.proof;

/** Goes through sorted records in groups of equal keys, side by side with others. Not thread-safe. */
final class Cursor {

    final SortedRecords records;

    /** The group: from here to before {@link #to}; empty where there is none with the key. */
    int from;

    int to;

    Cursor(SortedRecords records) {
        this.records = records;
    }

    boolean isEmpty() {
        return from == to;
    }

    int size() {
        return to - from;
    }

    /**
     * Moves all to the next key that one of them has.
     *
     * @param keyBytes how many bytes make the key
     * @return whether there was one
     */
    static boolean next(int keyBytes, Cursor... cursors) {
        SortedRecords least = null;
        int at = 0;
        for (Cursor it : cursors) {
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
        for (Cursor it : cursors) {
            if (it.from < it.records.count() && it.records.compare(it.from, least, at, keyBytes) == 0) {
                it.to = it.records.end(it.from, keyBytes);
            }
        }
        return true;
    }
}
