package io.github.eventdedup.proof.audit;

import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.proof.audit.records.StreamReport;
import io.github.eventdedup.proof.audit.topics.Position;
import io.github.eventdedup.proof.audit.topics.Positions;
import io.github.eventdedup.proof.audit.topics.Replays;
import io.github.eventdedup.proof.audit.topics.SideTopic;
import io.github.eventdedup.proof.audit.topics.StreamTopics;
import java.util.Map;

/** Whether duplicates and dead letters are of records that can be such, and which dead letters are open. Not thread-safe. */
final class SideTopicsCheck {

    private final StreamDefinition stream;
    private final StreamTopics topics;
    private final SideTopic deadLetters;
    private final Replays replays;
    private final StreamReport report;

    SideTopicsCheck(StreamDefinition stream, StreamTopics topics, StreamReport report) {
        this.stream = stream;
        this.topics = topics;
        deadLetters = topics.deadLetters();
        replays = topics.replays();
        this.report = report;
    }

    /**
     * Every dead letter must be one, and the other way round; and duplicates are of events.
     *
     * @param obsolete dead letters of events that are stored all the same
     */
    void checkPositions(long obsolete) {
        Positions invalid = topics.raw().invalid();
        Positions valid = topics.raw().present().without(invalid);
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
                    if (!replays.wasSentAgain(new Position(partition, offset))) {
                        report.offend(
                                "dead-letter-unexpected",
                                partition,
                                offset,
                                null,
                                "an event that could be stored, or no record: where the stream definition was corrected,"
                                        + " replay it");
                    }
                });
        topics.duplicates().decided().without(valid).forEach((partition, offset) -> {
            report.offend(
                    "duplicate-unexpected", partition, offset, null, "no event, or no record, is at that position");
        });
        report.duplicates = topics.duplicates().decided().size();
        report.deadLetters = deadLetters.decided().plus(deadLetters.refused()).size() - obsolete;
    }

    /**
     * Counts the open dead letters: of each event once, by its last letter.
     *
     * @param discarded the last attempt whose letter is discarded, by the position of the original
     */
    void countOpen(Map<Position, Integer> discarded) {
        deadLetters
                .byCode()
                .forEach((code, positions) -> positions.forEach((partition, offset) -> {
                    Position at = new Position(partition, offset);
                    Replays.Chain chain = replays.chain(at);
                    boolean wasSentAgain = replays.contains(at) || (chain != null && chain.wasSentAgain());
                    if (!wasSentAgain && (chain == null || !chain.isClosed()) && !discarded.containsKey(at)) {
                        report.open(code);
                    }
                }));
        deadLetters.codesBefore().forEach((at, code) -> {
            if (replays.chain(at) == null && !discarded.containsKey(at)) {
                report.open(code);
            }
        });
        replays.forEachChain((at, chain) -> {
            if (chain.wasSentAgain()
                    && !chain.isClosed()
                    && chain.reasonCode() != null
                    && discarded.getOrDefault(at, -1) < chain.attempt()) {
                report.open(chain.reasonCode());
            }
        });
    }
}
