package io.github.eventdedup.proof.prove;

import io.github.eventdedup.proof.prove.faults.Fault;
import java.util.List;
import java.util.OptionalLong;

/**
 * A fault that was injected. Times are milliseconds since the epoch.
 *
 * @param end when it was over: at SIGCONT, or when the command had done its work
 * @param failure why it could not be done; otherwise empty
 * @param recoveryMillis how long the system needed; empty where it has not recovered
 */
record InjectedFault(Fault fault, long begin, long end, String failure, OptionalLong recoveryMillis) {

    /** The same, with what both streams show: the system has recovered when the slower one has. */
    InjectedFault seenIn(List<Sample> views, List<Sample> logins) {
        // Whoever rescales or restarts waits from the moment of the command; a kill is over at once, a pause at its
        // end. The rows that are still stored on the way down are no recovery: it is looked for after the end.
        long waited = switch (fault.kind()) {
            case KILL, PAUSE, PAIRS, REJECT, CLOCK -> 0;
            case RESCALE, RESTART -> end - begin;
        };
        OptionalLong ofViews = Sample.recovery(views, begin, end);
        OptionalLong ofLogins = Sample.recovery(logins, begin, end);
        return new InjectedFault(
                fault,
                begin,
                end,
                failure,
                ofViews.isEmpty() || ofLogins.isEmpty()
                        ? OptionalLong.empty()
                        : OptionalLong.of(waited + Math.max(ofViews.getAsLong(), ofLogins.getAsLong())));
    }
}
