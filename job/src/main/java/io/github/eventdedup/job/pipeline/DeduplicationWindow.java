package io.github.eventdedup.job.pipeline;

import java.io.Serializable;
import java.time.Duration;

/**
 * The decision: is this event a duplicate? It runs on Kafka's record time alone, never on the clock of the job, so a job
 * that lags, was down or reads the topic again decides the same.
 *
 * @param millis how long after the first sight an equal event is a duplicate, in milliseconds
 */
public record DeduplicationWindow(long millis) implements Serializable {

    private static final long serialVersionUID = 1L;

    DeduplicationWindow(Duration window) {
        this(window.toMillis());
    }

    /**
     * Whether an event is a duplicate of the one first seen.
     *
     * @param firstSeen the record time of the equal event that was unique, in milliseconds, or null where there is none
     * @param time the record time of the event to decide
     */
    boolean isDuplicate(Long firstSeen, long time) {
        // A record older than the first sight is a duplicate however old it is. It comes from another partition, or the
        // broker's clock has stepped back: letting it through would store a known event again.
        return firstSeen != null && time - firstSeen < millis;
    }
}
