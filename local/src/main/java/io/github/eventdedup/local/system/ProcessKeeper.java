package io.github.eventdedup.local.system;

import java.time.Duration;
import java.time.Instant;
import java.util.function.BooleanSupplier;

/** Starts processes, and starts each again when it ends. Thread-safe. */
final class ProcessKeeper {

    static final Duration FIRST_PAUSE = Duration.ofSeconds(1);
    private static final Duration LONGEST_PAUSE = Duration.ofSeconds(30);

    /** A part that ran this long had started well: its next end is a new story. */
    static final Duration STEADY = Duration.ofMinutes(1);

    private final RunState runState;
    private final Notices notices;
    private final BooleanSupplier stopping;

    /** @param stopping whether the supervisor stops, so that nothing is started any more */
    ProcessKeeper(RunState runState, Notices notices, BooleanSupplier stopping) {
        this.runState = runState;
        this.notices = notices;
        this.stopping = stopping;
    }

    /** Returns when the part is ready; throws where it does not become so. */
    void start(ManagedProcess part) {
        notices.say(part.name() + ": starting");
        part.start().run();
        notices.say(part.name() + ": ready, pid " + part.child().process().pid()
                + (part.port() == 0 ? "" : ", port " + part.port()));
        runState.problem(part.name(), null);
    }

    /** Starts a part again whenever it ends; returns when the supervisor stops. */
    void keepRunning(ManagedProcess part) {
        Duration pause = Duration.ZERO;
        while (!stopping.getAsBoolean()) {
            Instant started = Instant.now();
            try {
                int status = part.child().process().waitFor();
                if (stopping.getAsBoolean()) {
                    return;
                }
                if (Duration.between(started, Instant.now()).compareTo(STEADY) > 0) {
                    pause = Duration.ZERO;
                }
                String end = "ended with status " + status
                        + part.child().lastWords().map(words -> ": " + words).orElse("");
                notices.say(part.name() + ": " + end + System.lineSeparator() + "        starting it again"
                        + (pause.isZero() ? "" : " in " + pause.toSeconds() + " s"));
                runState.problem(part.name(), end);
                Thread.sleep(pause.toMillis());
                pause = longer(pause);
                start(part);
            } catch (RuntimeException e) {
                // Also a full disk, where what was started cannot be recorded: an unwatched one would stay down.
                if (!stopping.getAsBoolean()) {
                    notices.problem(part.name(), Notices.reason(e));
                    // Running but not ready is as good as not running.
                    part.child().kill();
                    FlinkRest.sleep(FIRST_PAUSE);
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return;
            }
        }
    }

    /** The pause after one that was not long enough. */
    static Duration longer(Duration pause) {
        Duration next = pause.isZero() ? FIRST_PAUSE : pause.multipliedBy(2);
        return next.compareTo(LONGEST_PAUSE) > 0 ? LONGEST_PAUSE : next;
    }
}
