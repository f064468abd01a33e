package io.github.eventdedup.proof.audit.topics;

import java.util.HashMap;
import java.util.Map;
import java.util.function.BiConsumer;

/** The records of the raw topic that are dead letters, sent again, and what has become of their originals. Not thread-safe. */
public final class Replays {

    /** What has become of a dead letter that was sent again, once or more often. */
    public static final class Chain {

        private int attempt;
        /** Of the letter that the last attempt became; null where it became none. */
        private String reasonCode;
        /** How many attempts were neither dropped as a duplicate nor became a dead letter. */
        private int passed;
        /** Whether the event is stored, or known to be a duplicate of one that is. */
        private boolean closed;

        /** Whether the letter was sent again at all. */
        public boolean wasSentAgain() {
            return attempt > 0;
        }

        /** The last attempt, from 1. */
        public int attempt() {
            return attempt;
        }

        /** The reason code of the letter that the last attempt became, or null. */
        public String reasonCode() {
            return reasonCode;
        }

        /** Whether an attempt was neither dropped as a duplicate nor became a dead letter. */
        public boolean hasPassed() {
            return passed > 0;
        }

        /** Whether the event is stored, or known to be a duplicate of one that is. */
        public boolean isClosed() {
            return closed;
        }

        /** The event is stored all the same. */
        public void close() {
            closed = true;
        }
    }

    private final Map<Position, Replayed> replays = new HashMap<>();
    private final Map<Position, Chain> chains = new HashMap<>();

    void add(Position at, Replayed replay) {
        replays.put(at, replay);
    }

    /**
     * Follows each replay, once all topics are read.
     *
     * @param invalid positions of records that are not events
     */
    public void follow(SideTopic duplicates, SideTopic deadLetters, Positions invalid) {
        replays.forEach((at, replay) -> {
            Chain chain = chainOf(replay.of());
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

    /** Whether there is none. */
    public boolean isEmpty() {
        return replays.isEmpty();
    }

    /** Whether the record there is a replay. */
    public boolean contains(Position at) {
        return replays.containsKey(at);
    }

    /** Where the event that a record has was sent first. */
    public Position original(Position at) {
        Replayed replay = replays.get(at);
        return replay == null ? at : replay.of();
    }

    /** Whether the record there is the replay of an event that a database had rejected. */
    public boolean wasRejected(Position at) {
        Replayed replay = replays.get(at);
        return replay != null && replay.wasRejected();
    }

    /**
     * When Kafka got the record there; its event may be older, where it is a replay.
     *
     * @param millis the time of its event
     */
    public long arrival(Position at, long millis) {
        Replayed replay = replays.get(at);
        return replay == null ? millis : replay.millis();
    }

    /** Whether the dead letter that a record has become was sent again. */
    public boolean wasSentAgain(Position at) {
        Replayed replay = replays.get(at);
        Chain chain = chains.get(replay == null ? at : replay.of());
        return chain != null && chain.attempt > (replay == null ? 0 : replay.attempt());
    }

    /** What has become of an original; null where nothing is known of it. */
    public Chain chain(Position original) {
        return chains.get(original);
    }

    /** The same, begun where nothing is known of it. */
    public Chain chainOf(Position original) {
        return chains.computeIfAbsent(original, unused -> new Chain());
    }

    /** Visits all originals of which something is known. */
    public void forEachChain(BiConsumer<Position, Chain> visitor) {
        chains.forEach(visitor);
    }
}
