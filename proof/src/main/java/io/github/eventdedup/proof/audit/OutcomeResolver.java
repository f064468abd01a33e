package io.github.eventdedup.proof.audit;

import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.proof.audit.records.MergeCursor;
import io.github.eventdedup.proof.audit.records.RecordLayout;
import io.github.eventdedup.proof.audit.records.SortedRecords;
import io.github.eventdedup.proof.audit.records.StreamReport;
import io.github.eventdedup.proof.audit.topics.Position;
import io.github.eventdedup.proof.audit.topics.Replays;
import io.github.eventdedup.proof.audit.topics.SideTopic;
import io.github.eventdedup.proof.audit.topics.StreamTopics;
import java.util.HashSet;
import java.util.Set;
import java.util.function.IntPredicate;
import java.util.function.ObjIntConsumer;

/**
 * What must have become of the events of one fingerprint: the window decides ({@link Decision}), and a database, a duplicate or
 * a dead letter may say otherwise. Reports where one of them says what cannot be. Not thread-safe.
 */
final class OutcomeResolver {

    /** What became of an event. */
    enum Outcome {
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
     * @param isOpen whether the database has rejected one that was to be stored, and it is not stored since
     * @param ofEach of each event, in their order
     */
    record Outcomes(int first, int more, boolean ofRemoved, boolean isOpen, Outcome[] ofEach) {
        static final Outcomes NONE = new Outcomes(-1, -1, false, false, new Outcome[0]);
    }

    private final StreamDefinition stream;
    private final StreamTopics topics;
    private final SideTopic duplicates;
    private final SideTopic deadLetters;
    private final Replays replays;
    private final StreamReport report;
    private final ObjIntConsumer<SortedRecords> toBeStored;
    private final Decision decision;
    private long forgotten;
    private long obsolete;

    /** @param toBeStored is told of every event that must have become a row */
    OutcomeResolver(
            StreamDefinition stream,
            StreamTopics topics,
            StreamReport report,
            ObjIntConsumer<SortedRecords> toBeStored) {
        this.stream = stream;
        this.topics = topics;
        duplicates = topics.duplicates();
        deadLetters = topics.deadLetters();
        replays = topics.replays();
        this.report = report;
        this.toBeStored = toBeStored;
        decision =
                new Decision(stream.window(), duplicates.decided(), topics.raw().removedUntilMillis());
    }

    /** Duplicates whose record may have been removed from the duplicates topic. */
    long forgotten() {
        return forgotten;
    }

    /** Dead letters of events that are stored all the same, without a replay. */
    long obsolete() {
        return obsolete;
    }

    /**
     * Decides about one fingerprint.
     *
     * @param stored its rows, where they have a position; else empty
     */
    Outcomes resolve(MergeCursor events, MergeCursor stored) {
        if (events.isEmpty()) {
            return Outcomes.NONE;
        }
        boolean firstIsGone = !stored.isEmpty()
                && topics.range()
                        .isBefore(
                                stored.records.getInt(stored.from, RecordLayout.PARTITION),
                                stored.records.getLong(stored.from, RecordLayout.OFFSET));
        Long firstMillis = firstIsGone
                ? (Long) Math.floorDiv(stored.records.getLong(stored.from, RecordLayout.ROW_RECEIVED_MICROS), 1000L)
                : null;
        IntPredicate apart = event -> isApart(events.records, event);
        Decision.Verdict[] verdicts = decision.decide(events.records, events.from, events.to, firstMillis, apart);
        Outcome[] outcomes = new Outcome[verdicts.length];
        int first = -1;
        int count = 0;
        boolean ofRemoved = false;
        boolean isOpen = false;
        Set<Position> passed = new HashSet<>();
        for (int i = 0; i < verdicts.length; i++) {
            int event = events.from + i;
            outcomes[i] = switch (verdicts[i]) {
                case NEW -> outcomeOfNew(events.records, event, stored);
                case APART -> outcomeOfApart(events.records, event, passed);
                case DUPLICATE, DUPLICATE_OF_REMOVED -> {
                    checkDuplicate(events.records, event);
                    yield Outcome.DUPLICATE;
                }
            };
            ofRemoved |= verdicts[i] == Decision.Verdict.DUPLICATE_OF_REMOVED;
            if (outcomes[i] == Outcome.STORED) {
                count++;
                first = first < 0 || isEarlier(events.records, event, first) ? event : first;
                toBeStored.accept(events.records, event);
            } else if (outcomes[i] == Outcome.DEAD_LETTER) {
                Replays.Chain chain = replays.chain(original(events.records, event));
                boolean isClosed = chain != null && chain.isClosed();
                outcomes[i] = isClosed ? Outcome.STORED : Outcome.DEAD_LETTER;
                isOpen |= !isClosed;
            }
        }
        return new Outcomes(first, count - 1, ofRemoved, isOpen, outcomes);
    }

    /** Where the event that a record has was sent first. */
    private Position original(SortedRecords events, int event) {
        return replays.original(Position.of(events, event));
    }

    /** Whether the window does not decide an event: it had been decided, or was none as the stream was defined then. */
    private boolean isApart(SortedRecords events, int event) {
        if (replays.isEmpty()) {
            return false;
        }
        Position at = Position.of(events, event);
        return replays.wasRejected(at)
                || (deadLetters.decided().contains(at.partition(), at.offset()) && replays.wasSentAgain(at));
    }

    private Outcome outcomeOfNew(SortedRecords events, int event, MergeCursor stored) {
        if (duplicates.decided().contains(events, event)) {
            report.offend("duplicate-unexpected", events, event, "the first of its window was dropped as a duplicate");
        }
        if (!deadLetters.refused().contains(events, event)) {
            return Outcome.STORED;
        }
        Position original = original(events, event);
        Replays.Chain chain = replays.chainOf(original);
        // Rejected, and then stored when the job had to do it again: a letter is written at least once, and stays.
        if (!chain.hasPassed()
                && !stored.isEmpty()
                && Position.of(stored.records, stored.from).equals(original)) {
            chain.close();
            obsolete++;
            return Outcome.STORED;
        }
        return Outcome.DEAD_LETTER;
    }

    /** @param passed the originals of the fingerprint of which one replay has passed */
    private Outcome outcomeOfApart(SortedRecords events, int event, Set<Position> passed) {
        if (deadLetters.refused().contains(events, event)
                || deadLetters.decided().contains(events, event)) {
            return Outcome.DEAD_LETTER;
        }
        if (duplicates.decided().contains(events, event)) {
            return Outcome.DUPLICATE;
        }
        Position original = original(events, event);
        boolean isKnownLetter = !topics.range().contains(original.partition(), original.offset())
                || deadLetters.contains(original.partition(), original.offset())
                || deadLetters.mayHaveLost(events.getLong(event, RecordLayout.EVENT_MILLIS));
        if (!isKnownLetter) {
            report.offend(
                    "replay-unexpected",
                    events,
                    event,
                    "sent again and let through, though " + original + " is not a dead letter");
        } else if (!passed.add(original)) {
            report.offend("replay-unexpected", events, event, "sent again and let through a second time: " + original);
            return Outcome.DUPLICATE;
        }
        return Outcome.STORED;
    }

    private void checkDuplicate(SortedRecords events, int event) {
        if (deadLetters.refused().contains(events, event)) {
            report.offend("dead-letter-unexpected", events, event, "refused by the database, though it is a duplicate");
        }
        if (!duplicates.decided().contains(events, event)) {
            if (duplicates.mayHaveLost(events.getLong(event, RecordLayout.EVENT_MILLIS))) {
                report.unchecked++;
                forgotten++;
            } else {
                report.offend(
                        "duplicate-not-recorded",
                        events,
                        event,
                        "not in " + stream.duplicatesTopic() + ": let through, or lost");
            }
        }
    }

    private boolean isEarlier(SortedRecords events, int event, int than) {
        return arrival(events, event) < arrival(events, than);
    }

    private long arrival(SortedRecords events, int event) {
        return replays.arrival(Position.of(events, event), events.getLong(event, RecordLayout.EVENT_MILLIS));
    }
}
