package io.github.eventdedup.proof.audit;

import io.github.eventdedup.event.Event;
import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.Fingerprint;
import io.github.eventdedup.event.InvalidEventException;
import io.github.eventdedup.event.PostgresTable;
import io.github.eventdedup.event.ReasonCode;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.proof.audit.records.BucketedRecords;
import io.github.eventdedup.proof.audit.records.MergeCursor;
import io.github.eventdedup.proof.audit.records.RowDigest;
import io.github.eventdedup.proof.audit.records.SortedRecords;
import io.github.eventdedup.proof.audit.records.StreamReport;
import io.github.eventdedup.proof.audit.tables.ClickHouseRows;
import io.github.eventdedup.proof.audit.tables.PostgresRows;
import io.github.eventdedup.proof.audit.tables.Rows;
import io.github.eventdedup.proof.ledger.LedgerReader;
import io.github.eventdedup.proof.system.Endpoints;
import io.github.eventdedup.proof.system.Flink;
import io.github.eventdedup.proof.system.Progress;
import io.github.eventdedup.proof.system.TopicRange;
import io.github.eventdedup.proof.system.TopicReader;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/**
 * The audit of one stream:
 *
 * <pre>
 * ledgers, sent rows ──▶ buckets          (first: what they promise must be in the topic from then on)
 * raw topic, to its end at the start ──▶ wait for the job ──▶ buckets by fingerprint, and bits of what is no event
 * duplicates, dead letters ──▶ bits by position
 * table ──▶ buckets
 * each bucket: sort, decide, compare
 * </pre>
 *
 * In memory there is one bucket at a time, a few bits for each record, the replays, and the buffers of those buckets that
 * are being written. Used once; not thread-safe.
 */
final class StreamAudit {

    private static final int EXPECTED = 52;
    private static final int KEY_BYTES = Fingerprint.BYTES;
    private static final int POSITION_KEY_BYTES = 44;
    private static final int EXPECTED_ROW_BYTES = ClickHouseRows.RECORD_BYTES + 44;

    private final Endpoints neighbours;
    private final StreamDefinition stream;
    private final TopicReader topics;
    private final Path directory;
    private final Progress progress;
    private final Rows rows;
    private final EventReader reader;
    private final int recordBytes;
    private final StreamReport report;

    private TopicRange range;
    private TopicRange now;
    private Positions present;
    private Positions invalid;
    private final Map<Position, Replayed> replays = new HashMap<>();
    private final Map<Position, Chain> chains = new HashMap<>();
    private BelowStart below;
    private long removedUntilMillis = Long.MIN_VALUE;
    private SideTopic duplicates;
    private SideTopic deadLetters;
    private Decision decision;
    private BucketedRecords expectedRows;

    /** @param directory for temporary files, created here; deleting it is up to the caller */
    StreamAudit(Endpoints neighbours, StreamDefinition stream, TopicReader topics, Path directory, Progress progress) {
        this.neighbours = neighbours;
        this.stream = stream;
        this.topics = topics;
        this.directory = directory;
        this.progress = progress;
        rows = stream.table() instanceof PostgresTable postgres
                ? new PostgresRows(neighbours, postgres)
                : new ClickHouseRows(neighbours, stream);
        reader = new EventReader(stream, rows.columns());
        recordBytes = EXPECTED + 2 * RowDigest.BYTES + rows.columns().size() * RowDigest.TAG_BYTES;
        report = new StreamReport(stream.stream());
        if (stream.outbox() != null) {
            report.sent = 0L;
            sentRows = SentRows.read(neighbours, stream, directory.resolve("sent"), report, progress);
        } else {
            sentRows = new BucketedRecords(directory.resolve("sent"), SentRows.RECORD_BYTES);
        }
    }

    private final BucketedRecords sentRows;

    /**
     * Audits the stream.
     *
     * @param ledgers files, none where there is no ledger
     * @param deadline until when the job may take to catch up
     */
    StreamReport run(List<Path> ledgers, Instant deadline) {
        BucketedRecords acknowledgements = readLedgers(ledgers);
        range = topics.committedRange(stream.stream(), deadline);
        below = new BelowStart(range);
        String group = "dedup-" + stream.stream();
        long deletedUnread = deletedUnread(topics.committed(group, range));
        long[] ends = new long[range.partitions()];
        BucketedRecords events = readRawTopic(ends);
        topics.awaitCommitted(group, range, ends, deadline);
        duplicates = new SideTopic(topics, stream.duplicatesTopic(), range, "duplicate", reader, report, below);
        deadLetters = new SideTopic(topics, stream.deadLettersTopic(), range, "dead-letter", reader, report, below);
        followReplays();
        BucketedRecords stored = rows.read(directory.resolve("rows"), report, progress);
        now = topics.range(stream.stream());
        duplicates.check(now);
        deadLetters.check(now);
        decision = new Decision(stream.window(), duplicates.decided(), removedUntilMillis);

        boolean byKey = rows instanceof ClickHouseRows;
        BucketedRecords none = new BucketedRecords(
                directory.resolve("none"),
                PostgresRows.recordBytes(rows.columns().size()));
        expectedRows = new BucketedRecords(directory.resolve("expected"), EXPECTED_ROW_BYTES);
        for (int bucket = 0; bucket < BucketedRecords.COUNT; bucket++) {
            compare(
                    new MergeCursor(events.sorted(bucket, POSITION_KEY_BYTES)),
                    new MergeCursor((byKey ? none : stored).sorted(bucket, POSITION_KEY_BYTES)),
                    new MergeCursor(acknowledgements.sorted(bucket, LedgerReader.RECORD_BYTES)),
                    new MergeCursor(sentRows.sorted(bucket, SentRows.RECORD_BYTES)));
            progress.report("comparing " + stream.stream(), bucket, BucketedRecords.COUNT);
        }
        expectedRows.finish();
        for (int bucket = 0; byKey && bucket < BucketedRecords.COUNT; bucket++) {
            compareMultisets(
                    new MergeCursor(expectedRows.sorted(bucket, EXPECTED_ROW_BYTES)),
                    new MergeCursor(stored.sorted(bucket, ClickHouseRows.RECORD_BYTES)));
        }
        checkAside();
        checkSum();
        countOpenLetters();
        checkRetention(deletedUnread);
        return report;
    }

    /**
     * What Kafka has deleted, and the job has not read: it goes on at the beginning then.
     *
     * @param committed what the job has read before the audit has begun to wait for it
     */
    private long deletedUnread(long[] committed) {
        long sum = 0;
        for (int i = 0; i < committed.length; i++) {
            long deleted = committed[i] == 0 ? 0 : range.begin()[i] - committed[i];
            if (deleted > 0) {
                sum += deleted;
                report.offend(
                        "retention-lost",
                        deleted,
                        i,
                        committed[i],
                        null,
                        "Kafka has deleted the offsets from here to " + (range.begin()[i] - 1)
                                + " before the job had read them");
            }
        }
        return sum;
    }

    /** Asks the job what it has counted, and says which offsets it may be about. */
    private void checkRetention(long deletedUnread) {
        try {
            OptionalLong lost = new Flink(neighbours.flink()).counter(stream.stream(), "retentionLost");
            report.retentionLost = lost.isPresent() ? (Long) lost.getAsLong() : null;
        } catch (IOException e) {
            // Said where the topic has lost records: only there it matters.
        } catch (InterruptedException e) {
            throw TopicReader.interrupted(e);
        }
        if (rows instanceof PostgresRows) {
            below.close();
            report.unaccounted = below.count();
            report.unaccountedOffsets = below.ranges();
        }
        long more = report.retentionLost == null ? 0 : report.retentionLost - deletedUnread;
        if (more > 0) {
            report.offend(
                    "retention-lost",
                    more,
                    null,
                    null,
                    null,
                    "Kafka has deleted " + more
                            + " offsets before the job had read them, as its metric retentionLost says"
                            + (below.count() == 0
                                    ? "; its log names them"
                                    : "; no row, duplicate or dead letter names " + String.join(", ", below.ranges())));
        }
    }

    private BucketedRecords readLedgers(List<Path> ledgers) {
        BucketedRecords acknowledgements =
                new BucketedRecords(directory.resolve("acknowledged"), LedgerReader.RECORD_BYTES);
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
        return acknowledgements;
    }

    /** @param ends gets the offset after the last record of each partition */
    private BucketedRecords readRawTopic(long[] ends) {
        BucketedRecords events = new BucketedRecords(directory.resolve("events"), recordBytes);
        present = new Positions(range);
        invalid = new Positions(range);
        boolean isCompacted = topics.isCompacted(stream.stream());
        long[] next = range.begin().clone();
        ByteBuffer expected = ByteBuffer.allocate(recordBytes - EXPECTED);
        topics.read(range, record -> {
            checkHole(isCompacted, record.partition(), next[record.partition()], record.offset());
            if (next[record.partition()] == range.begin()[record.partition()]
                    && range.begin()[record.partition()] > 0) {
                removedUntilMillis = Math.max(removedUntilMillis, record.timestamp());
            }
            next[record.partition()] = record.offset() + 1;
            take(record, events, expected);
        });
        for (int i = 0; i < next.length; i++) {
            ends[i] = next[i];
            checkHole(isCompacted, i, next[i], range.end()[i]);
            if (range.begin()[i] > 0 && next[i] == range.begin()[i]) {
                // Nothing is left that says when the last one was.
                removedUntilMillis = Math.max(removedUntilMillis, Instant.now().toEpochMilli());
            }
        }
        events.finish();
        return events;
    }

    /**
     * Offsets without a record. Kafka gives one to each transaction's marker, and readers of committed records do not see
     * those that were aborted. Only compaction takes away records between others.
     */
    private void checkHole(boolean isCompacted, int partition, long from, long to) {
        if (!isCompacted) {
            report.withoutRecord += to - from;
        } else if (from < to) {
            report.offend(
                    "hole",
                    partition,
                    from,
                    null,
                    "the topic has no record from here to offset " + (to - 1)
                            + ", though it has earlier or later ones: its cleanup.policy is compact, which deletes events");
        }
    }

    private void take(ConsumerRecord<byte[], byte[]> record, BucketedRecords events, ByteBuffer expected) {
        report.raw++;
        present.add(record.partition(), record.offset());
        Replayed replay = Replayed.of(record);
        if (replay != null) {
            report.replayed++;
            replays.put(new Position(record.partition(), record.offset()), replay);
        }
        try {
            if (record.value() == null) {
                throw new InvalidEventException(ReasonCode.NO_VALUE, "has no value");
            }
            Event event = reader.read(record.value());
            rows.putExpected(event.columns(), record.value(), expected.clear());
            byte[] fingerprint = event.fingerprint().bytes();
            events.next(fingerprint[0])
                    .put(fingerprint)
                    .putInt(record.partition())
                    .putLong(record.offset())
                    .putLong(replay == null ? record.timestamp() : replay.ofMillis())
                    .put(expected.flip());
        } catch (InvalidEventException e) {
            invalid.add(record.partition(), record.offset());
        }
    }

    /** What has become of a dead letter that was sent again, once or more often. */
    private static final class Chain {

        private int attempt;
        /** Of the letter that the last attempt became; null where it became none. */
        private String reasonCode;
        /** How many attempts were neither dropped as a duplicate nor became a dead letter. */
        private int passed;
        /** Whether the event is stored, or known to be a duplicate of one that is. */
        private boolean closed;
    }

    private void followReplays() {
        replays.forEach((at, replay) -> {
            Chain chain = chains.computeIfAbsent(replay.of(), unused -> new Chain());
            String reasonCode = deadLetters.codeAt(at);
            boolean isDuplicate = duplicates.decided().contains(at.partition(), at.offset());
            boolean passed = reasonCode == null && !isDuplicate && !invalid.contains(at.partition(), at.offset());
            chain.passed += passed ? 1 : 0;
            chain.closed |= passed || (isDuplicate && !replay.wasRejected());
            if (replay.attempt() > chain.attempt) {
                chain.attempt = replay.attempt();
                chain.reasonCode = reasonCode;
            }
        });
    }

    /** Where the event that a record has is from: where it was sent first. */
    private Position original(SortedRecords events, int event) {
        Position at = new Position(events.getInt(event, Decision.PARTITION), events.getLong(event, Decision.OFFSET));
        Replayed replay = replays.get(at);
        return replay == null ? at : replay.of();
    }

    /** Whether the window does not decide an event: it had been decided, or was none as the stream was defined then. */
    private boolean isApart(SortedRecords events, int event) {
        if (replays.isEmpty()) {
            return false;
        }
        Position at = new Position(events.getInt(event, Decision.PARTITION), events.getLong(event, Decision.OFFSET));
        Replayed replay = replays.get(at);
        return (replay != null && replay.wasRejected())
                || (deadLetters.decided().contains(at.partition(), at.offset()) && wasSentAgain(at));
    }

    /** Whether the dead letter that a record has become was sent again. */
    private boolean wasSentAgain(Position at) {
        Replayed replay = replays.get(at);
        Chain chain = chains.get(replay == null ? at : replay.of());
        return chain != null && chain.attempt > (replay == null ? 0 : replay.attempt());
    }

    /** Goes through one bucket, fingerprint by fingerprint. */
    private void compare(MergeCursor events, MergeCursor stored, MergeCursor acknowledged, MergeCursor sent) {
        while (MergeCursor.next(KEY_BYTES, events, stored, acknowledged, sent)) {
            Decided verdict = events.isEmpty() ? Decided.NOTHING : decide(events, stored);
            if (verdict.isOpen && !(acknowledged.isEmpty() && sent.isEmpty())) {
                report.refused++;
            }
            if (rows instanceof PostgresRows) {
                compareRow(events, stored, verdict);
            }
            if (rows instanceof ClickHouseRows
                    && verdict.ofRemoved
                    && !deadLetters.wasRefusedBefore(events.records.fingerprint(events.from))) {
                report.unchecked++;
            }
            // Both are in the order of their positions: one walk, also where a million is of one fingerprint.
            int event = events.from;
            for (int i = acknowledged.from; i < acknowledged.to; i++) {
                while (event < events.to
                        && events.records.compare(event, acknowledged.records, i, POSITION_KEY_BYTES) < 0) {
                    event++;
                }
                if (event == events.to
                        || events.records.compare(event, acknowledged.records, i, POSITION_KEY_BYTES) != 0) {
                    offendAcknowledged(acknowledged.records, i, stored);
                } else {
                    countAcknowledged(verdict, event - events.from, stored);
                }
            }
            for (int i = sent.from; i < sent.to && events.isEmpty(); i++) {
                checkSent(sent.records, i);
            }
        }
    }

    private void countAcknowledged(Decided verdict, int event, MergeCursor stored) {
        boolean isThere = verdict.first >= 0 || verdict.ofRemoved || !stored.isEmpty();
        Outcome outcome = isThere ? verdict.outcomes[event] : Outcome.DEAD_LETTER;
        switch (outcome) {
            case STORED -> report.acknowledgedStored++;
            case DUPLICATE -> report.acknowledgedDuplicates++;
            case DEAD_LETTER -> report.acknowledgedDeadLetters++;
        }
    }

    private enum Outcome {
        STORED,
        DUPLICATE,
        DEAD_LETTER
    }

    /**
     * What became of the events of one fingerprint.
     *
     * @param first the event whose row Postgres must have, or -1
     * @param more how many others were rightly let through, after the window; -1 where there is not even a first
     * @param ofRemoved whether one is a duplicate of an event that is gone from the topic
     * @param isOpen whether the database has refused one that was to be stored, and it is not stored since
     * @param outcomes of each event, in their order
     */
    private record Decided(int first, int more, boolean ofRemoved, boolean isOpen, Outcome[] outcomes) {
        static final Decided NOTHING = new Decided(-1, -1, false, false, new Outcome[0]);
    }

    private Decided decide(MergeCursor events, MergeCursor stored) {
        boolean firstIsGone = !stored.isEmpty() && isBefore(stored);
        Long firstMillis = firstIsGone
                ? (Long) Math.floorDiv(stored.records.getLong(stored.from, PostgresRows.RECEIVED_MICROS), 1000L)
                : null;
        Decision.Verdict[] verdicts = decision.decide(
                events.records, events.from, events.to, firstMillis, event -> isApart(events.records, event));
        Outcome[] outcomes = new Outcome[verdicts.length];
        int first = -1;
        int count = 0;
        boolean ofRemoved = false;
        boolean isOpen = false;
        Set<Position> passed = new HashSet<>();
        for (int i = 0; i < verdicts.length; i++) {
            int event = events.from + i;
            boolean recorded = isIn(duplicates.decided(), events.records, event);
            boolean refused = isIn(deadLetters.refused(), events.records, event);
            outcomes[i] = switch (verdicts[i]) {
                case NEW -> outcomeOfNew(events.records, event, stored, recorded, refused);
                case APART -> outcomeOfApart(events.records, event, recorded, refused, passed);
                case DUPLICATE, DUPLICATE_OF_REMOVED -> {
                    checkDuplicate(events.records, event, recorded, refused);
                    yield Outcome.DUPLICATE;
                }
            };
            ofRemoved |= verdicts[i] == Decision.Verdict.DUPLICATE_OF_REMOVED;
            if (outcomes[i] == Outcome.STORED) {
                count++;
                first = first < 0 || isEarlier(events.records, event, first) ? event : first;
                expect(events.records, event);
            } else if (outcomes[i] == Outcome.DEAD_LETTER) {
                Chain chain = chains.get(original(events.records, event));
                boolean isClosed = chain != null && chain.closed;
                outcomes[i] = isClosed ? Outcome.STORED : Outcome.DEAD_LETTER;
                isOpen |= !isClosed;
            }
        }
        return new Decided(first, count - 1, ofRemoved, isOpen, outcomes);
    }

    private static boolean isIn(Positions positions, SortedRecords events, int event) {
        return positions.contains(events.getInt(event, Decision.PARTITION), events.getLong(event, Decision.OFFSET));
    }

    private Outcome outcomeOfNew(
            SortedRecords events, int event, MergeCursor stored, boolean recorded, boolean refused) {
        if (recorded) {
            offend("duplicate-unexpected", events, event, "the first of its window was dropped as a duplicate");
        }
        if (!refused) {
            return Outcome.STORED;
        }
        Position original = original(events, event);
        Chain chain = chains.computeIfAbsent(original, unused -> new Chain());
        // Rejected, and then stored when the job had to do it again: a letter is written at least once, and stays.
        if (chain.passed == 0 && !stored.isEmpty() && isRowOf(stored, original)) {
            chain.closed = true;
            obsolete++;
            return Outcome.STORED;
        }
        return Outcome.DEAD_LETTER;
    }

    /** Dead letters of events that are stored all the same, without a replay. */
    private long obsolete;

    private static boolean isRowOf(MergeCursor stored, Position original) {
        return stored.records.getInt(stored.from, Decision.PARTITION) == original.partition()
                && stored.records.getLong(stored.from, Decision.OFFSET) == original.offset();
    }

    /** @param passed the originals of the fingerprint of which one replay has passed */
    private Outcome outcomeOfApart(
            SortedRecords events, int event, boolean recorded, boolean refused, Set<Position> passed) {
        if (refused || isIn(deadLetters.decided(), events, event)) {
            return Outcome.DEAD_LETTER;
        }
        if (recorded) {
            return Outcome.DUPLICATE;
        }
        Position original = original(events, event);
        boolean isKnownLetter = !range.contains(original.partition(), original.offset())
                || deadLetters.contains(original.partition(), original.offset())
                || deadLetters.mayHaveLost(events.getLong(event, Decision.MILLIS));
        if (!isKnownLetter) {
            offend(
                    "replay-unexpected",
                    events,
                    event,
                    "sent again and let through, though " + original.partition() + ":" + original.offset()
                            + " is not a dead letter");
        } else if (!passed.add(original)) {
            offend(
                    "replay-unexpected",
                    events,
                    event,
                    "sent again and let through a second time: " + original.partition() + ":" + original.offset());
            return Outcome.DUPLICATE;
        }
        return Outcome.STORED;
    }

    private void checkDuplicate(SortedRecords events, int event, boolean recorded, boolean refused) {
        if (refused) {
            offend("dead-letter-unexpected", events, event, "refused by the database, though it is a duplicate");
        }
        if (!recorded) {
            if (duplicates.mayHaveLost(events.getLong(event, Decision.MILLIS))) {
                report.unchecked++;
                forgotten++;
            } else {
                offend(
                        "duplicate-not-recorded",
                        events,
                        event,
                        "not in " + stream.duplicatesTopic() + ": let through, or lost");
            }
        }
    }

    /** Duplicates whose record may have been removed from the duplicates topic. */
    private long forgotten;

    private boolean isEarlier(SortedRecords events, int event, int than) {
        return arrival(events, event) < arrival(events, than);
    }

    /** When Kafka got the record; its event may be older, where it is a replay. */
    private long arrival(SortedRecords events, int event) {
        Replayed replay = replays.get(
                new Position(events.getInt(event, Decision.PARTITION), events.getLong(event, Decision.OFFSET)));
        return replay == null ? events.getLong(event, Decision.MILLIS) : replay.millis();
    }

    private boolean isBefore(MergeCursor stored) {
        return range.isBefore(
                stored.records.getInt(stored.from, Decision.PARTITION),
                stored.records.getLong(stored.from, Decision.OFFSET));
    }

    /** A row of ClickHouse: to be compared later, for such rows have no fingerprint. */
    private void expect(SortedRecords events, int event) {
        if (rows instanceof ClickHouseRows) {
            report.unique++;
            ByteBuffer row = expectedRows.next((byte) (events.getInt(event, EXPECTED) >>> 24));
            events.copy(event, EXPECTED, ClickHouseRows.RECORD_BYTES, row);
            events.copy(event, 0, 44, row);
        }
    }

    private void compareRow(MergeCursor events, MergeCursor stored, Decided verdict) {
        for (int i = stored.from + 1; i < stored.to; i++) {
            offend("extra", stored.records, i, "a second row of the fingerprint: the table has lost its primary key");
        }
        if (stored.isEmpty()) {
            report.unique += verdict.first < 0 ? 0 : 1;
            report.afterWindow += Math.max(0, verdict.more);
            if (verdict.first >= 0) {
                offend("missing", events.records, verdict.first, "no row has its fingerprint");
            } else if (verdict.ofRemoved && !deadLetters.wasRefusedBefore(events.records.fingerprint(events.from))) {
                offend(
                        "missing",
                        events.records,
                        events.from,
                        "a duplicate of an event that has no row, and is gone from the topic");
            }
            return;
        }
        int row = stored.from;
        int partition = stored.records.getInt(row, Decision.PARTITION);
        long offset = stored.records.getLong(row, Decision.OFFSET);
        int escapes = stored.records.getInt(row, PostgresRows.ESCAPES);
        if (escapes != 0) {
            offend("escape", stored.records, row, "escapes is " + escapes);
        }
        if (range.isBefore(partition, offset)) {
            below.add(partition, offset);
        }
        if (range.isBefore(partition, offset)
                && (verdict.first < 0 || !isRowOf(stored, original(events.records, verdict.first)))) {
            report.unchecked++;
            report.afterWindow += verdict.more + 1;
        } else if (verdict.first >= 0) {
            report.unique++;
            report.stored++;
            report.afterWindow += verdict.more;
            String difference = difference(events.records, verdict.first, stored.records, row);
            if (difference != null) {
                offend("different", events.records, verdict.first, difference);
            }
        } else if (range.isAfter(partition, offset) && !now.isAfter(partition, offset)) {
            report.later++;
        } else {
            report.stored++;
            offend(
                    "extra",
                    stored.records,
                    row,
                    events.isEmpty()
                            ? "the topic has no such event"
                            : "no event of the fingerprint was to be stored: the database had refused it");
        }
    }

    private String difference(SortedRecords events, int event, SortedRecords stored, int row) {
        Position original = original(events, event);
        if (original.partition() != stored.getInt(row, Decision.PARTITION)
                || original.offset() != stored.getLong(row, Decision.OFFSET)) {
            return "the row is of " + stored.getInt(row, Decision.PARTITION) + ":"
                    + stored.getLong(row, Decision.OFFSET) + ", and must be of the first one";
        }
        if (events.getLong(event, Decision.MILLIS) * 1000 != stored.getLong(row, PostgresRows.RECEIVED_MICROS)) {
            return "received_at is not Kafka's record time";
        }
        if (!events.sameDigest(event, EXPECTED, stored, row, PostgresRows.COLUMNS)) {
            for (int i = 0; i < rows.columns().size(); i++) {
                int tag = i * RowDigest.TAG_BYTES;
                if (events.getShort(event, EXPECTED + 2 * RowDigest.BYTES + tag)
                        != stored.getShort(row, PostgresRows.TAGS + tag)) {
                    return "column " + rows.columns().get(i).name() + " is not what the event says";
                }
            }
            return "a column is not what the event says";
        }
        return events.sameDigest(event, EXPECTED + RowDigest.BYTES, stored, row, PostgresRows.DOCUMENT)
                ? null
                : "the document is not the event as it was sent";
    }

    /** An acknowledged event that is not at the position that it was acknowledged with. */
    private void offendAcknowledged(SortedRecords acknowledged, int line, MergeCursor stored) {
        int partition = acknowledged.getInt(line, Decision.PARTITION);
        long offset = acknowledged.getLong(line, Decision.OFFSET);
        if (offset == LedgerReader.NO_OFFSET) {
            offend(
                    "acknowledged-missing",
                    acknowledged,
                    line,
                    "acknowledged before Kafka had it: the answer names no offset");
        } else if (range.isBefore(partition, offset)) {
            if (stored.isEmpty()) {
                offend(
                        "acknowledged-missing",
                        acknowledged,
                        line,
                        "removed from the topic, and no row has its fingerprint");
            } else {
                report.unchecked++;
            }
        } else {
            offend(
                    "acknowledged-missing",
                    acknowledged,
                    line,
                    range.contains(partition, offset)
                            ? "the record at that position is not this event"
                            : "the topic ended before that position when the ledger had been read");
        }
    }

    private void checkSent(SortedRecords sent, int row) {
        if (range.isCut()) {
            report.unchecked++;
        } else {
            report.offend(
                    "sent-missing",
                    null,
                    null,
                    sent.fingerprint(row).toString(),
                    "row " + sent.getLong(row, KEY_BYTES) + " of "
                            + stream.outbox().table() + " is flagged as sent, and not in the topic");
        }
    }

    /** Goes through one bucket of rows that have a key at most: those too few, those too many, and pairs of both. */
    private void compareMultisets(MergeCursor expected, MergeCursor stored) {
        while (MergeCursor.next(RowDigest.BYTES, expected, stored)) {
            report.stored += stored.size();
            int[] missing = new int[expected.size()];
            int missingCount = 0;
            int extraCount = 0;
            int e = expected.from;
            int s = stored.from;
            while (e < expected.to || s < stored.to) {
                int order = e == expected.to
                        ? 1
                        : s == stored.to
                                ? -1
                                : expected.records.compare(e, stored.records, s, ClickHouseRows.RECORD_BYTES);
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
                        expected,
                        missing[i],
                        paired ? "the row with its key has other values" : "no row, or one too few, has its values");
            }
            for (int i = pairs; i < extraCount; i++) {
                offendExtra(expected);
            }
        }
    }

    private void offendExtra(MergeCursor expected) {
        if (expected.isEmpty() && range.isCut()) {
            report.unchecked++;
            report.stored--;
        } else if (expected.isEmpty()) {
            report.offend("extra", null, null, null, "a row of no event in the topic" + arriving());
        } else {
            offendExpected("extra", expected, expected.from, "a row more than there are events to store" + arriving());
        }
    }

    private String arriving() {
        return Arrays.equals(range.end(), now.end())
                ? ""
                : "; events arrived meanwhile, and it may be of one of those: audit once nothing arrives";
    }

    private void offendExpected(String kind, MergeCursor expected, int record, String detail) {
        int at = ClickHouseRows.RECORD_BYTES;
        ByteBuffer fingerprint = ByteBuffer.allocate(KEY_BYTES);
        expected.records.copy(record, at, KEY_BYTES, fingerprint);
        report.offend(
                kind,
                expected.records.getInt(record, at + Decision.PARTITION),
                expected.records.getLong(record, at + Decision.OFFSET),
                Fingerprint.of(fingerprint.array()).toString(),
                detail);
    }

    /** Every dead letter must be one, and the other way round; and duplicates are of events. */
    private void checkAside() {
        Positions valid = present.without(invalid);
        invalid.without(deadLetters.decided()).forEach((partition, offset) -> {
            report.offend(
                    "dead-letter-not-recorded",
                    partition,
                    offset,
                    null,
                    "no event, and not in " + stream.deadLettersTopic());
        });
        deadLetters
                .decided()
                .without(invalid)
                .plus(deadLetters.refused().without(valid))
                .forEach((partition, offset) -> {
                    // An event by now, since the definition was corrected: that is what replays are for.
                    if (!wasSentAgain(new Position(partition, offset))) {
                        report.offend(
                                "dead-letter-unexpected",
                                partition,
                                offset,
                                null,
                                "an event that could be stored, or no record: where the stream definition was corrected,"
                                        + " replay it");
                    }
                });
        duplicates.decided().without(valid).forEach((partition, offset) -> {
            report.offend(
                    "duplicate-unexpected", partition, offset, null, "no event, or no record, is at that position");
        });
        report.duplicates = duplicates.decided().size();
        report.deadLetters = deadLetters.decided().plus(deadLetters.refused()).size() - obsolete;
    }

    /** Of each event once, by its last letter. */
    private void countOpenLetters() {
        Map<Position, Integer> discarded = deadLetters.isEmpty() ? Map.of() : DiscardedLetters.read(topics, stream);
        deadLetters
                .byCode()
                .forEach((code, positions) -> positions.forEach((partition, offset) -> {
                    Position at = new Position(partition, offset);
                    Chain chain = chains.get(at);
                    boolean wasSentAgain = replays.containsKey(at) || (chain != null && chain.attempt > 0);
                    if (!wasSentAgain && (chain == null || !chain.closed) && !discarded.containsKey(at)) {
                        report.open(code);
                    }
                }));
        deadLetters.codesBefore().forEach((at, code) -> {
            if (!chains.containsKey(at) && !discarded.containsKey(at)) {
                report.open(code);
            }
        });
        chains.forEach((at, chain) -> {
            if (chain.attempt > 0
                    && !chain.closed
                    && chain.reasonCode != null
                    && discarded.getOrDefault(at, -1) < chain.attempt) {
                report.open(chain.reasonCode);
            }
        });
    }

    private void checkSum() {
        long sum = report.stored + report.duplicates + report.deadLetters + report.afterWindow + forgotten;
        // Whatever is wrong by itself is said already; this is for what none of the comparisons would see.
        if (sum != report.raw && report.isExact()) {
            report.offend(
                    "conservation", null, null, null, report.raw + " records in the topic, " + sum + " accounted for");
        }
    }

    private void offend(String kind, SortedRecords records, int record, String detail) {
        report.offend(
                kind,
                records.getInt(record, Decision.PARTITION),
                records.getLong(record, Decision.OFFSET),
                records.fingerprint(record).toString(),
                detail);
    }
}
