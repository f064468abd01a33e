package io.github.eventdedup.proof.audit;

import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.proof.audit.OutcomeResolver.Outcome;
import io.github.eventdedup.proof.audit.OutcomeResolver.Outcomes;
import io.github.eventdedup.proof.audit.records.BucketedRecords;
import io.github.eventdedup.proof.audit.records.MergeCursor;
import io.github.eventdedup.proof.audit.records.RecordLayout;
import io.github.eventdedup.proof.audit.records.SortedRecords;
import io.github.eventdedup.proof.audit.records.StreamReport;
import io.github.eventdedup.proof.ledger.LedgerReader;
import io.github.eventdedup.proof.system.Endpoints;
import io.github.eventdedup.proof.system.Progress;
import io.github.eventdedup.proof.system.TopicRange;
import java.nio.file.Path;
import java.util.List;

/**
 * What clients and the outbox were promised to be in the raw topic: the acknowledged events of ledgers, and the rows of an
 * outbox that are flagged as sent. Not thread-safe.
 */
final class Promises {

    private final StreamDefinition stream;
    private final StreamReport report;
    private final BucketedRecords acknowledgements;
    private final BucketedRecords sentRows;

    /**
     * Reads them; to be called before the end of the topic is fixed, which must have all of them.
     *
     * @param ledgers files, none where there is no ledger
     * @param directory for temporary files
     */
    Promises(
            Endpoints endpoints,
            StreamDefinition stream,
            List<Path> ledgers,
            Path directory,
            StreamReport report,
            Progress progress) {
        this.stream = stream;
        this.report = report;
        if (stream.outbox() != null) {
            report.sent = 0L;
            sentRows = SentRows.read(endpoints, stream, directory.resolve("sent"), report, progress);
        } else {
            sentRows = new BucketedRecords(directory.resolve("sent"), RecordLayout.SENT_BYTES);
        }
        acknowledgements = new BucketedRecords(directory.resolve("acknowledged"), RecordLayout.POSITION_BYTES);
        if (!ledgers.isEmpty()) {
            LedgerReader ledger = new LedgerReader(acknowledgements);
            ledgers.forEach(ledger::read);
            report.acknowledged = ledger.acknowledged();
            report.unknown = ledger.unknown();
            report.invalid = ledger.invalid();
            report.acknowledgedStored = 0L;
            report.acknowledgedDuplicates = 0L;
            report.acknowledgedDeadLetters = 0L;
        }
        acknowledgements.finish();
    }

    /** The acknowledged events of a bucket, by fingerprint and position. */
    MergeCursor acknowledged(int bucket) {
        return new MergeCursor(acknowledgements.sorted(bucket, RecordLayout.POSITION_BYTES));
    }

    /** The rows of an outbox of a bucket, by fingerprint. */
    MergeCursor sent(int bucket) {
        return new MergeCursor(sentRows.sorted(bucket, RecordLayout.SENT_BYTES));
    }

    /** Compares the promises of one fingerprint with its events. */
    void compare(
            TopicRange range,
            MergeCursor events,
            MergeCursor stored,
            MergeCursor acknowledged,
            MergeCursor sent,
            Outcomes outcomes) {
        if (outcomes.isOpen() && !(acknowledged.isEmpty() && sent.isEmpty())) {
            report.refused++;
        }
        // Both are in the order of their positions: one walk, also where a million is of one fingerprint.
        int event = events.from;
        for (int i = acknowledged.from; i < acknowledged.to; i++) {
            while (event < events.to
                    && events.records.compare(event, acknowledged.records, i, RecordLayout.POSITION_BYTES) < 0) {
                event++;
            }
            if (event == events.to
                    || events.records.compare(event, acknowledged.records, i, RecordLayout.POSITION_BYTES) != 0) {
                offendAcknowledged(range, acknowledged.records, i, stored);
            } else {
                countAcknowledged(outcomes, event - events.from, stored);
            }
        }
        for (int i = sent.from; i < sent.to && events.isEmpty(); i++) {
            checkSent(range, sent.records, i);
        }
    }

    private void countAcknowledged(Outcomes outcomes, int event, MergeCursor stored) {
        boolean isThere = outcomes.first() >= 0 || outcomes.ofRemoved() || !stored.isEmpty();
        Outcome outcome = isThere ? outcomes.ofEach()[event] : Outcome.DEAD_LETTER;
        switch (outcome) {
            case STORED -> report.acknowledgedStored++;
            case DUPLICATE -> report.acknowledgedDuplicates++;
            case DEAD_LETTER -> report.acknowledgedDeadLetters++;
        }
    }

    /** An acknowledged event that is not at the position that it was acknowledged with. */
    private void offendAcknowledged(TopicRange range, SortedRecords acknowledged, int line, MergeCursor stored) {
        int partition = acknowledged.getInt(line, RecordLayout.PARTITION);
        long offset = acknowledged.getLong(line, RecordLayout.OFFSET);
        if (offset == LedgerReader.NO_OFFSET) {
            report.offend(
                    "acknowledged-missing",
                    acknowledged,
                    line,
                    "acknowledged before Kafka had it: the answer names no offset");
        } else if (range.isBefore(partition, offset)) {
            if (stored.isEmpty()) {
                report.offend(
                        "acknowledged-missing",
                        acknowledged,
                        line,
                        "removed from the topic, and no row has its fingerprint");
            } else {
                report.unchecked++;
            }
        } else {
            report.offend(
                    "acknowledged-missing",
                    acknowledged,
                    line,
                    range.contains(partition, offset)
                            ? "the record at that position is not this event"
                            : "the topic ended before that position when the ledger had been read");
        }
    }

    private void checkSent(TopicRange range, SortedRecords sent, int row) {
        if (range.isCut()) {
            report.unchecked++;
        } else {
            report.offend(
                    "sent-missing",
                    null,
                    null,
                    sent.fingerprint(row).toString(),
                    "row " + sent.getLong(row, RecordLayout.SENT_ID) + " of "
                            + stream.outbox().table() + " is flagged as sent, and not in the topic");
        }
    }
}
