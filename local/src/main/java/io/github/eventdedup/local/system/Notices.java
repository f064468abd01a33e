package io.github.eventdedup.local.system;

import io.github.eventdedup.servers.ServerException;
import java.io.PrintStream;
import java.time.Duration;
import java.time.Instant;

/** What a supervisor says, a line each with the seconds since it began; problems also go to the status. Thread-safe. */
final class Notices {

    private final PrintStream out;
    private final RunState runState;
    private final Instant begin = Instant.now();
    private boolean silent;

    Notices(PrintStream out, RunState runState) {
        this.out = out;
        this.runState = runState;
    }

    synchronized void say(String line) {
        if (silent) {
            return;
        }
        out.printf("%4d s  %s%n", seconds(), line);
        out.flush();
    }

    /** Nothing more is said: what went wrong is the one thing to say. */
    synchronized void silence() {
        silent = true;
    }

    /** Says a problem once, and shows it in the status from then on. */
    void problem(String name, String reason) {
        if (!reason.equals(runState.problems().get(name))) {
            say(reason.startsWith(name) ? reason : name + ": " + reason);
        }
        runState.problem(name, reason);
    }

    long seconds() {
        return Duration.between(begin, Instant.now()).toSeconds();
    }

    /** What to say of an exception. */
    static String reason(RuntimeException e) {
        return e instanceof LocalException || e instanceof ServerException ? e.getMessage() : e.toString();
    }
}
