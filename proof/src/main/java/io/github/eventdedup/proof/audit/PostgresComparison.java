package io.github.eventdedup.proof.audit;

import io.github.eventdedup.event.Column;
import io.github.eventdedup.proof.audit.OutcomeResolver.Outcomes;
import io.github.eventdedup.proof.audit.records.BucketedRecords;
import io.github.eventdedup.proof.audit.records.MergeCursor;
import io.github.eventdedup.proof.audit.records.RecordLayout;
import io.github.eventdedup.proof.audit.records.RowDigest;
import io.github.eventdedup.proof.audit.records.SortedRecords;
import io.github.eventdedup.proof.audit.records.StreamReport;
import io.github.eventdedup.proof.audit.topics.Position;
import io.github.eventdedup.proof.audit.topics.StreamTopics;
import io.github.eventdedup.proof.system.TopicRange;
import java.util.List;

/** Rows in Postgres: each names its fingerprint and the position of its event. Not thread-safe. */
final class PostgresComparison implements TableComparison {

    private final List<Column> columns;
    private final BucketedRecords rows;
    private final StreamTopics topics;
    private final TopicRange range;
    private final TopicRange now;
    private final StreamReport report;

    /** @param now what the raw topic has since the rows were read */
    PostgresComparison(
            List<Column> columns, BucketedRecords rows, StreamTopics topics, TopicRange now, StreamReport report) {
        this.columns = columns;
        this.rows = rows;
        this.topics = topics;
        range = topics.range();
        this.now = now;
        this.report = report;
    }

    @Override
    public SortedRecords rows(int bucket) {
        return rows.sorted(bucket, RecordLayout.POSITION_BYTES);
    }

    @Override
    public void expect(SortedRecords events, int event) {
        // The row is compared with its fingerprint's first event.
    }

    @Override
    public void compare(MergeCursor events, MergeCursor stored, Outcomes outcomes) {
        for (int i = stored.from + 1; i < stored.to; i++) {
            report.offend(
                    "extra", stored.records, i, "a second row of the fingerprint: the table has lost its primary key");
        }
        if (stored.isEmpty()) {
            compareWithNothing(events, outcomes);
            return;
        }
        int row = stored.from;
        int partition = stored.records.getInt(row, RecordLayout.PARTITION);
        long offset = stored.records.getLong(row, RecordLayout.OFFSET);
        int escapes = stored.records.getInt(row, RecordLayout.ROW_ESCAPES);
        if (escapes != 0) {
            report.offend("escape", stored.records, row, "escapes is " + escapes);
        }
        if (range.isBefore(partition, offset)) {
            topics.below().add(partition, offset);
        }
        if (range.isBefore(partition, offset)
                && (outcomes.first() < 0 || !isRowOf(stored, original(events.records, outcomes.first())))) {
            report.unchecked++;
            report.afterWindow += outcomes.more() + 1;
        } else if (outcomes.first() >= 0) {
            report.unique++;
            report.stored++;
            report.afterWindow += outcomes.more();
            String difference = difference(events.records, outcomes.first(), stored.records, row);
            if (difference != null) {
                report.offend("different", events.records, outcomes.first(), difference);
            }
        } else if (range.isAfter(partition, offset) && !now.isAfter(partition, offset)) {
            report.later++;
        } else {
            report.stored++;
            report.offend(
                    "extra",
                    stored.records,
                    row,
                    events.isEmpty()
                            ? "the topic has no such event"
                            : "no event of the fingerprint was to be stored: the database had refused it");
        }
    }

    private void compareWithNothing(MergeCursor events, Outcomes outcomes) {
        report.unique += outcomes.first() < 0 ? 0 : 1;
        report.afterWindow += Math.max(0, outcomes.more());
        if (outcomes.first() >= 0) {
            report.offend("missing", events.records, outcomes.first(), "no row has its fingerprint");
        } else if (outcomes.ofRemoved()
                && !topics.deadLetters().wasRefusedBefore(events.records.fingerprint(events.from))) {
            report.offend(
                    "missing",
                    events.records,
                    events.from,
                    "a duplicate of an event that has no row, and is gone from the topic");
        }
    }

    private Position original(SortedRecords events, int event) {
        return topics.replays().original(Position.of(events, event));
    }

    private static boolean isRowOf(MergeCursor stored, Position original) {
        return Position.of(stored.records, stored.from).equals(original);
    }

    private String difference(SortedRecords events, int event, SortedRecords stored, int row) {
        Position storedAt = Position.of(stored, row);
        if (!original(events, event).equals(storedAt)) {
            return "the row is of " + storedAt + ", and must be of the first one";
        }
        if (events.getLong(event, RecordLayout.EVENT_MILLIS) * 1000
                != stored.getLong(row, RecordLayout.ROW_RECEIVED_MICROS)) {
            return "received_at is not Kafka's record time";
        }
        if (!events.sameDigest(event, RecordLayout.EVENT_COLUMNS, stored, row, RecordLayout.ROW_COLUMNS)) {
            for (int i = 0; i < columns.size(); i++) {
                int tag = i * RowDigest.TAG_BYTES;
                if (events.getShort(event, RecordLayout.EVENT_TAGS + tag)
                        != stored.getShort(row, RecordLayout.ROW_TAGS + tag)) {
                    return "column " + columns.get(i).name() + " is not what the event says";
                }
            }
            return "a column is not what the event says";
        }
        return events.sameDigest(event, RecordLayout.EVENT_DOCUMENT, stored, row, RecordLayout.ROW_DOCUMENT)
                ? null
                : "the document is not the event as it was sent";
    }

    @Override
    public void finish() {
        // All of it is compared by fingerprint.
    }
}
