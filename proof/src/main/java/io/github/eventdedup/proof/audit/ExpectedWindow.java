package io.github.eventdedup.proof.audit;

import java.time.Duration;

/**
 * The rule of the window, for the events of one fingerprint in their order: the first one is new; those that follow are
 * copies of it until one is a window or more later; that one is new, and the window runs from it. One that is older
 * than the first is a copy, however old it is. Written from the rule (docs/adr/0002), not from the job.
 *
 * <p>Not thread-safe.
 */
final class ExpectedWindow {

    private final long windowMillis;
    private boolean known;
    private long firstMillis;

    ExpectedWindow(Duration window) {
        windowMillis = window.toMillis();
    }

    /** Begins with another fingerprint. */
    void forget() {
        known = false;
    }

    /** Begins with another fingerprint, whose first event was at this time, in milliseconds since 1970. */
    void startFrom(long millis) {
        known = true;
        firstMillis = millis;
    }

    /** Whether the next event, at this record time, is to be stored. */
    boolean isNew(long millis) {
        if (!known) {
            startFrom(millis);
            return true;
        }
        if (millis - firstMillis < windowMillis) {
            return false;
        }
        firstMillis = millis;
        return true;
    }
}
