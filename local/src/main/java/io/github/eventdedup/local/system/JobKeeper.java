package io.github.eventdedup.local.system;

import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import java.util.function.BooleanSupplier;

/** Submits the streams' jobs, and submits each again when it is gone. Thread-safe. */
final class JobKeeper {

    private static final Duration JOB_PATIENCE = Duration.ofMinutes(2);

    /** A job may fail once or twice while everything starts. */
    private static final int FAILURES_TO_REPORT = 3;

    /** How often a job is asked why it fails, if it does. */
    private static final Duration LOOK = Duration.ofSeconds(5);

    private final Layout layout;
    private final RunState runState;
    private final Notices notices;
    private final BooleanSupplier stopping;

    /** @param stopping whether the supervisor stops, so that nothing is submitted any more */
    JobKeeper(Layout layout, RunState runState, Notices notices, BooleanSupplier stopping) {
        this.layout = layout;
        this.runState = runState;
        this.notices = notices;
        this.stopping = stopping;
    }

    /** Returns when the job runs, or when it is known that it does not: that is reported. */
    void start(StreamJob job) {
        String problem = "does not run after " + JOB_PATIENCE.toMinutes() + " minutes";
        Instant deadline = Instant.now().plus(JOB_PATIENCE);
        boolean runs = false;
        int submissions = 0;
        while (!runs && Instant.now().isBefore(deadline)) {
            try {
                Optional<String> submitted = job.ensureSubmitted();
                submitted.ifPresent(notices::say);
                submissions += submitted.isPresent() ? 1 : 0;
                Optional<String> running = job.running();
                running.ifPresent(notices::say);
                runs = running.isPresent();
                Optional<String> failing = runs ? Optional.empty() : job.failing();
                problem = failing.orElse(problem);
                if (failing.isPresent() && submissions + job.failures() > FAILURES_TO_REPORT) {
                    break;
                }
            } catch (IOException e) {
                problem = "the JobManager does not answer; see " + layout.log("jobmanager");
            } catch (LocalException e) {
                problem = e.getMessage();
                break;
            }
            FlinkRest.sleep(Duration.ofMillis(200));
        }
        if (!runs) {
            notices.problem(job.name(), problem);
        }
    }

    /** Submits a job again whenever it is gone; returns when the supervisor stops. */
    void keepRunning(StreamJob job) {
        Duration pause = Duration.ZERO;
        Instant acted = Instant.now();
        Instant looked = Instant.now();
        while (!stopping.getAsBoolean()) {
            Optional<String> news = Optional.empty();
            Optional<String> refusal = Optional.empty();
            try {
                FlinkRest.sleep(ProcessKeeper.FIRST_PAUSE.plus(pause));
                if (!stopping.getAsBoolean()) {
                    news = job.ensureSubmitted();
                    if (news.isEmpty()
                            && Duration.between(looked, Instant.now()).compareTo(LOOK) > 0) {
                        looked = Instant.now();
                        lookAt(job);
                    }
                }
            } catch (IOException e) {
                // The JobManager is unavailable; its own process reports that.
            } catch (RuntimeException e) {
                refusal = Optional.of(Notices.reason(e));
            }
            if (stopping.getAsBoolean()) {
                return;
            }
            news.ifPresent(notices::say);
            // Said once, and in the status from then on.
            refusal.ifPresent(reason -> notices.problem(job.name(), reason));
            boolean steady = Duration.between(acted, Instant.now()).compareTo(ProcessKeeper.STEADY) > 0;
            if (news.isPresent() || refusal.isPresent()) {
                // A job that fails as soon as it runs is not helped by being submitted every second.
                pause = ProcessKeeper.longer(steady ? Duration.ZERO : pause);
                acted = Instant.now();
            } else if (steady) {
                pause = Duration.ZERO;
            }
        }
    }

    /** Says once that a job fails and why, and once that it runs again. */
    private void lookAt(StreamJob job) throws IOException {
        String known = runState.problems().get(job.name());
        Optional<String> failing = job.failing();
        if (failing.isPresent()) {
            if (known == null) {
                notices.say(job.name() + ": fails and is started again: " + failing.get());
            }
            runState.problem(job.name(), failing.get());
        } else if (known != null && job.isLeftAlone()) {
            runState.problem(job.name(), null);
        } else if (known != null && job.running().isPresent()) {
            notices.say(job.name() + ": runs again");
            runState.problem(job.name(), null);
        }
    }
}
