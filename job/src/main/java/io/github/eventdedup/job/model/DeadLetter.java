package io.github.eventdedup.job.model;

import io.github.eventdedup.event.ReasonCode;
import java.util.HexFormat;

/**
 * A record that is kept aside because it is no event of the stream or the database rejected it.
 *
 * @param source the record, untouched; that of the original where it was a replay
 * @param reasonCode why, as {@link ReasonCode#code()}
 * @param reason why, in words that a person can act on
 * @param fingerprint of the event in hexadecimal digits; null where the record never was an event
 * @param attempt how often the letter had been replayed before; 0 for a record that comes for the first time
 * @param replayedAt where the replay that failed is in the raw topic, {@code partition:offset}; null for attempt 0
 */
public record DeadLetter(
        SourceRecord source, String reasonCode, String reason, String fingerprint, int attempt, String replayedAt) {

    /**
     * A record that is not an event of the stream. Where it was one before, and a database rejected it, the fingerprint
     * stays: it means that the state remembers the event as seen.
     */
    public static DeadLetter invalid(SourceRecord source, Replay replay, ReasonCode code, String reason) {
        boolean wasRejected = replay != null && replay.rejected() && source.key() != null;
        return of(source, replay, code, reason, wasRejected ? HexFormat.of().formatHex(source.key()) : null);
    }

    /** An event whose row a database rejected. */
    public static DeadLetter rejected(IdentifiedEvent event, ReasonCode code, String reason) {
        return of(
                event.source(),
                event.replay(),
                code,
                reason,
                event.fingerprint().toString());
    }

    private static DeadLetter of(
            SourceRecord source, Replay replay, ReasonCode code, String reason, String fingerprint) {
        return new DeadLetter(
                source,
                code.code(),
                reason,
                fingerprint,
                replay == null ? 0 : replay.attempt(),
                replay == null ? null : replay.partition() + ":" + replay.offset());
    }
}
