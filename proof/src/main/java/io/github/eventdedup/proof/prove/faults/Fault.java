package io.github.eventdedup.proof.prove.faults;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * One thing that is done to a running system.
 *
 * @param second when it is to begin, counted from the begin of the run
 * @param killed processes that get SIGKILL
 * @param paused processes that get SIGSTOP, and SIGCONT after the pause
 * @param pauseSeconds how long they are stopped, rows are rejected, or the clock is wrong; 0 for other kinds
 * @param stream whose job is rescaled, or whose table rejects rows; otherwise empty
 * @param parallelism what the job gets; 0 where none is rescaled
 * @param stepSeconds by how much the clock is wrong; 0 for other kinds
 * @param early whether it begins at its second although the system may not have recovered from the one before
 */
public record Fault(
        int second,
        Kind kind,
        List<String> killed,
        List<String> paused,
        int pauseSeconds,
        String stream,
        int parallelism,
        int stepSeconds,
        boolean early) {

    /** What {@code --faults} chooses from. */
    public enum Kind {
        /** kill -9 of one process. */
        KILL,
        /** SIGSTOP of one process, and SIGCONT a while later. */
        PAUSE,
        /** Two processes at once, each of them killed or paused. */
        PAIRS,
        /** Stop with a savepoint, and restore with another parallelism. */
        RESCALE,
        /** The whole system down and up. */
        RESTART,
        /** A table rejects some rows for a while; then their dead letters are replayed. */
        REJECT,
        /** The broker's clock is wrong for a while: a step there, and one back. */
        CLOCK;

        /** As it is written on the command line. */
        public String word() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** For people. */
    public String what() {
        return switch (kind) {
            case RESCALE -> stream + ": stop with a savepoint, restore with parallelism " + parallelism;
            case RESTART -> "everything down and up";
            case REJECT ->
                "the table of " + stream + " rejects one row in 50 for " + pauseSeconds
                        + " s, then its dead letters are replayed";
            case CLOCK ->
                "Kafka's clock steps by " + (stepSeconds > 0 ? "+" : "") + stepSeconds + " s for " + pauseSeconds
                        + " s";
            case KILL, PAUSE, PAIRS -> {
                List<String> parts = new ArrayList<>();
                if (!killed.isEmpty()) {
                    parts.add("kill -9 " + String.join(" and ", killed));
                }
                if (!paused.isEmpty()) {
                    parts.add("pause " + String.join(" and ", paused) + " for " + pauseSeconds + " s");
                }
                yield String.join(", ", parts);
            }
        };
    }
}
