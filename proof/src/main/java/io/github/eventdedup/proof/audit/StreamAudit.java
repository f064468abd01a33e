package io.github.eventdedup.proof.audit;

import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.PostgresTable;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.proof.audit.OutcomeResolver.Outcomes;
import io.github.eventdedup.proof.audit.records.BucketedRecords;
import io.github.eventdedup.proof.audit.records.MergeCursor;
import io.github.eventdedup.proof.audit.records.RecordLayout;
import io.github.eventdedup.proof.audit.records.StreamReport;
import io.github.eventdedup.proof.audit.tables.ClickHouseRows;
import io.github.eventdedup.proof.audit.tables.PostgresRows;
import io.github.eventdedup.proof.audit.tables.Rows;
import io.github.eventdedup.proof.audit.topics.BelowStart;
import io.github.eventdedup.proof.audit.topics.DiscardedLetters;
import io.github.eventdedup.proof.audit.topics.RawEvents;
import io.github.eventdedup.proof.audit.topics.SideTopic;
import io.github.eventdedup.proof.audit.topics.StreamTopics;
import io.github.eventdedup.proof.system.Endpoints;
import io.github.eventdedup.proof.system.Flink;
import io.github.eventdedup.proof.system.Progress;
import io.github.eventdedup.proof.system.TopicRange;
import io.github.eventdedup.proof.system.TopicReader;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Map;

/**
 * The audit of one stream:
 *
 * <pre>
 * {@link Promises}      ledgers, sent rows ──▶ buckets    (first: the topic must have them from then on)
 * {@link RawEvents}     raw topic, to its end at the start ──▶ wait for the job ──▶ buckets by fingerprint
 * {@link SideTopic}     duplicates, dead letters ──▶ bits by position
 * {@link Rows}          table ──▶ buckets
 * each bucket, sorted, fingerprint by fingerprint:
 *   {@link OutcomeResolver}   what must have become of each event
 *   {@link TableComparison}   is that what the table has?
 *   {@link Promises}          is what was acknowledged in the topic?
 * {@link SideTopicsCheck}   are duplicates and dead letters of records that can be such?
 * {@link RetentionCheck}    has Kafka deleted what the job had not read?
 * </pre>
 *
 * In memory there is one bucket at a time, a few bits for each record, the replays, and the buffers of those buckets that
 * are being written. Used once; not thread-safe.
 */
final class StreamAudit {

    private final Endpoints endpoints;
    private final StreamDefinition stream;
    private final TopicReader topics;
    private final Path directory;
    private final Progress progress;
    private final Rows rows;
    private final EventReader reader;
    private final StreamReport report;

    /** @param directory for temporary files, created here; deleting it is up to the caller */
    StreamAudit(Endpoints endpoints, StreamDefinition stream, TopicReader topics, Path directory, Progress progress) {
        this.endpoints = endpoints;
        this.stream = stream;
        this.topics = topics;
        this.directory = directory;
        this.progress = progress;
        rows = stream.table() instanceof PostgresTable postgres
                ? new PostgresRows(endpoints, postgres)
                : new ClickHouseRows(endpoints, stream);
        reader = new EventReader(stream, rows.columns());
        report = new StreamReport(stream.stream());
    }

    /**
     * Audits the stream.
     *
     * @param ledgers files, none where there is no ledger
     * @param deadline until when the job may take to catch up
     */
    StreamReport run(List<Path> ledgers, Instant deadline) {
        Promises promises = new Promises(endpoints, stream, ledgers, directory, report, progress);
        TopicRange range = topics.committedRange(stream.stream(), deadline);
        String group = stream.consumerGroup();
        RetentionCheck retention = new RetentionCheck(range, topics.committed(group, range), report);
        RawEvents raw = new RawEvents(topics, range, reader, rows, directory.resolve("events"), report);
        topics.awaitCommitted(group, range, raw.ends(), deadline);
        StreamTopics read = readSideTopics(raw);
        BucketedRecords stored = rows.read(directory.resolve("rows"), report, progress);
        TopicRange now = topics.range(stream.stream());
        read.duplicates().check(now);
        read.deadLetters().check(now);

        TableComparison table = rows instanceof PostgresRows
                ? new PostgresComparison(rows.columns(), stored, read, now, report)
                : new ClickHouseComparison(directory.resolve("expected"), stored, read, now, report);
        OutcomeResolver resolver = new OutcomeResolver(stream, read, report, table::expect);
        for (int bucket = 0; bucket < BucketedRecords.COUNT; bucket++) {
            compare(bucket, raw, resolver, table, promises);
            progress.report("comparing " + stream.stream(), bucket, BucketedRecords.COUNT);
        }
        table.finish();
        SideTopicsCheck sides = new SideTopicsCheck(stream, read, report);
        sides.checkPositions(resolver.obsolete());
        checkSum(resolver.forgotten());
        sides.countOpen(read.deadLetters().isEmpty() ? Map.of() : DiscardedLetters.read(topics, stream));
        retention.ask(new Flink(endpoints.flink()), stream, read.below(), rows instanceof PostgresRows);
        return report;
    }

    private StreamTopics readSideTopics(RawEvents raw) {
        BelowStart below = new BelowStart(raw.range());
        SideTopic duplicates =
                new SideTopic(topics, stream.duplicatesTopic(), raw.range(), "duplicate", reader, report, below);
        SideTopic deadLetters =
                new SideTopic(topics, stream.deadLettersTopic(), raw.range(), "dead-letter", reader, report, below);
        raw.replays().follow(duplicates, deadLetters, raw.invalid());
        return new StreamTopics(raw, duplicates, deadLetters, below);
    }

    /** Goes through one bucket, fingerprint by fingerprint. */
    private static void compare(
            int bucket, RawEvents raw, OutcomeResolver resolver, TableComparison table, Promises promises) {
        MergeCursor events = new MergeCursor(raw.buckets().sorted(bucket, RecordLayout.POSITION_BYTES));
        MergeCursor stored = new MergeCursor(table.rows(bucket));
        MergeCursor acknowledged = promises.acknowledged(bucket);
        MergeCursor sent = promises.sent(bucket);
        while (MergeCursor.next(RecordLayout.FINGERPRINT_BYTES, events, stored, acknowledged, sent)) {
            Outcomes outcomes = resolver.resolve(events, stored);
            table.compare(events, stored, outcomes);
            promises.compare(raw.range(), events, stored, acknowledged, sent, outcomes);
        }
    }

    private void checkSum(long forgotten) {
        long sum = report.stored + report.duplicates + report.deadLetters + report.afterWindow + forgotten;
        // Whatever is wrong by itself is said already; this is for what none of the comparisons would see.
        if (sum != report.raw && report.isExact()) {
            report.offend(
                    "conservation", null, null, null, report.raw + " records in the topic, " + sum + " accounted for");
        }
    }
}
