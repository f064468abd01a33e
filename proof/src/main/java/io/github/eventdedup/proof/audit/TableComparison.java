package io.github.eventdedup.proof.audit;

import io.github.eventdedup.proof.audit.OutcomeResolver.Outcomes;
import io.github.eventdedup.proof.audit.records.MergeCursor;
import io.github.eventdedup.proof.audit.records.SortedRecords;

/** Compares what must be stored with the table. Not thread-safe. */
sealed interface TableComparison permits PostgresComparison, ClickHouseComparison {

    /** The rows of a bucket by fingerprint; empty where rows have none. */
    SortedRecords rows(int bucket);

    /** An event that must have become a row. */
    void expect(SortedRecords events, int event);

    /** Compares the rows of one fingerprint, after {@link #expect} for all of its events. */
    void compare(MergeCursor events, MergeCursor stored, Outcomes outcomes);

    /** Compares what is compared by other keys than the fingerprint, after all fingerprints. */
    void finish();
}
