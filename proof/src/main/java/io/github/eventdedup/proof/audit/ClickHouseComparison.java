package io.github.eventdedup.proof.audit;

import io.github.eventdedup.event.Fingerprint;
import io.github.eventdedup.proof.audit.OutcomeResolver.Outcomes;
import io.github.eventdedup.proof.audit.records.BucketedRecords;
import io.github.eventdedup.proof.audit.records.MergeCursor;
import io.github.eventdedup.proof.audit.records.RecordLayout;
import io.github.eventdedup.proof.audit.records.SortedRecords;
import io.github.eventdedup.proof.audit.records.StreamReport;
import io.github.eventdedup.proof.audit.topics.StreamTopics;
import io.github.eventdedup.proof.system.TopicRange;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * Rows in ClickHouse: they have no fingerprint and no position, a key at most. They are collected first, and compared as
 * multisets in the end. Not thread-safe.
 */
final class ClickHouseComparison implements TableComparison {

    private static final SortedRecords NO_ROWS =
            new SortedRecords(ByteBuffer.allocate(0), RecordLayout.POSITION_BYTES, RecordLayout.POSITION_BYTES);

    private final BucketedRecords expected;
    private final BucketedRecords stored;
    private final StreamTopics topics;
    private final TopicRange now;
    private final StreamReport report;

    /**
     * Compares with rows that are read.
     *
     * @param directory for temporary files
     * @param now what the raw topic has since the rows were read
     */
    ClickHouseComparison(
            Path directory, BucketedRecords stored, StreamTopics topics, TopicRange now, StreamReport report) {
        expected = new BucketedRecords(directory, RecordLayout.EXPECTED_ROW_BYTES);
        this.stored = stored;
        this.topics = topics;
        this.now = now;
        this.report = report;
    }

    @Override
    public SortedRecords rows(int bucket) {
        return NO_ROWS;
    }

    @Override
    public void expect(SortedRecords events, int event) {
        report.unique++;
        ByteBuffer row = expected.next((byte) (events.getInt(event, RecordLayout.EVENT_EXPECTED) >>> 24));
        events.copy(event, RecordLayout.EVENT_EXPECTED, RecordLayout.CLICKHOUSE_ROW_BYTES, row);
        events.copy(event, 0, RecordLayout.POSITION_BYTES, row);
    }

    @Override
    public void compare(MergeCursor events, MergeCursor none, Outcomes outcomes) {
        if (outcomes.ofRemoved() && !topics.deadLetters().wasRefusedBefore(events.records.fingerprint(events.from))) {
            report.unchecked++;
        }
    }

    @Override
    public void finish() {
        expected.finish();
        for (int bucket = 0; bucket < BucketedRecords.COUNT; bucket++) {
            compareMultisets(
                    new MergeCursor(expected.sorted(bucket, RecordLayout.EXPECTED_ROW_BYTES)),
                    new MergeCursor(stored.sorted(bucket, RecordLayout.CLICKHOUSE_ROW_BYTES)));
        }
    }

    /** Goes through one bucket, key by key: rows too few, rows too many, and pairs of both. */
    private void compareMultisets(MergeCursor expectedRows, MergeCursor storedRows) {
        while (MergeCursor.next(RecordLayout.CLICKHOUSE_KEY_BYTES, expectedRows, storedRows)) {
            report.stored += storedRows.size();
            int[] missing = new int[expectedRows.size()];
            int missingCount = 0;
            int extraCount = 0;
            int e = expectedRows.from;
            int s = storedRows.from;
            while (e < expectedRows.to || s < storedRows.to) {
                int order = e == expectedRows.to
                        ? 1
                        : s == storedRows.to
                                ? -1
                                : expectedRows.records.compare(
                                        e, storedRows.records, s, RecordLayout.CLICKHOUSE_ROW_BYTES);
                if (order < 0) {
                    missing[missingCount++] = e;
                } else if (order > 0) {
                    extraCount++;
                }
                e += order <= 0 ? 1 : 0;
                s += order >= 0 ? 1 : 0;
            }
            int pairs = Math.min(missingCount, extraCount);
            for (int i = 0; i < missingCount; i++) {
                boolean paired = i < pairs;
                offendExpected(
                        paired ? "different" : "missing",
                        expectedRows,
                        missing[i],
                        paired ? "the row with its key has other values" : "no row, or one too few, has its values");
            }
            for (int i = pairs; i < extraCount; i++) {
                offendExtra(expectedRows);
            }
        }
    }

    private void offendExtra(MergeCursor expectedRows) {
        if (expectedRows.isEmpty() && topics.range().isCut()) {
            report.unchecked++;
            report.stored--;
        } else if (expectedRows.isEmpty()) {
            report.offend("extra", null, null, null, "a row of no event in the topic" + arriving());
        } else {
            offendExpected(
                    "extra", expectedRows, expectedRows.from, "a row more than there are events to store" + arriving());
        }
    }

    private String arriving() {
        return Arrays.equals(topics.range().end(), now.end())
                ? ""
                : "; events arrived meanwhile, and it may be of one of those: audit once nothing arrives";
    }

    private void offendExpected(String kind, MergeCursor expectedRows, int record, String detail) {
        int at = RecordLayout.EXPECTED_POSITION;
        ByteBuffer fingerprint = ByteBuffer.allocate(RecordLayout.FINGERPRINT_BYTES);
        expectedRows.records.copy(record, at, RecordLayout.FINGERPRINT_BYTES, fingerprint);
        report.offend(
                kind,
                expectedRows.records.getInt(record, at + RecordLayout.PARTITION),
                expectedRows.records.getLong(record, at + RecordLayout.OFFSET),
                Fingerprint.of(fingerprint.array()).toString(),
                detail);
    }
}
