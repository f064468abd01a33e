package io.github.eventdedup.proof.audit.topics;

import io.github.eventdedup.proof.system.TopicRange;

/**
 * All that Kafka has of a stream, read.
 *
 * @param raw the events
 * @param duplicates the positions of those that were dropped as duplicates
 * @param deadLetters the positions of those that could not be read or stored
 * @param below the offsets that the raw topic no longer has
 */
public record StreamTopics(RawEvents raw, SideTopic duplicates, SideTopic deadLetters, BelowStart below) {

    /** What was read of the raw topic. */
    public TopicRange range() {
        return raw.range();
    }

    /** The records that are replays. */
    public Replays replays() {
        return raw.replays();
    }
}
