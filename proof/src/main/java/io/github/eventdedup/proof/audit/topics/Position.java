package io.github.eventdedup.proof.audit.topics;

import io.github.eventdedup.proof.audit.records.RecordLayout;
import io.github.eventdedup.proof.audit.records.SortedRecords;

/** A place in the raw topic. */
public record Position(int partition, long offset) {

    /** The place that a record begins with, after its fingerprint. */
    public static Position of(SortedRecords records, int record) {
        return new Position(
                records.getInt(record, RecordLayout.PARTITION), records.getLong(record, RecordLayout.OFFSET));
    }

    @Override
    public String toString() {
        return partition + ":" + offset;
    }
}
