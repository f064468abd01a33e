package io.github.eventdedup.local.prove;

import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.local.system.DedupScript;
import io.github.eventdedup.local.system.FlinkRest;
import io.github.eventdedup.local.system.Layout;
import io.github.eventdedup.local.system.LocalException;
import io.github.eventdedup.local.system.Rejection;
import io.github.eventdedup.local.system.RunState;
import io.github.eventdedup.servers.KafkaServer;
import io.github.eventdedup.servers.PausedProcesses;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * Does what a fault says to a running system. Closing it continues every process that it has stopped; call that from a
 * shutdown hook too, as nobody else would. One fault at a time; {@link #close} may be called by any thread.
 */
final class FaultInjector implements AutoCloseable {

    /** A process that was killed a moment ago is being started again. */
    private static final Duration STARTED_WITHIN = Duration.ofSeconds(60);

    /** A savepoint waits for what its job waits for. */
    private static final Duration RESCALED_WITHIN = Duration.ofMinutes(4);

    private static final Duration SAVEPOINT_WITHIN = Duration.ofMinutes(2);
    private static final Duration POLL = Duration.ofMillis(200);
    private static final Duration BEFORE_REPLAY = Duration.ofSeconds(5);

    private final Layout layout;
    private final RunState runState;
    private final FlinkRest flink;
    private final DedupScript dedup;
    private final Map<String, Path> definitions;
    private final PausedProcesses pausedProcesses = new PausedProcesses();
    private volatile boolean closed;
    private volatile Rejection rejecting;

    /** @param dedup the commands of the system, for its restart */
    FaultInjector(Layout layout, DedupScript dedup) {
        this.layout = layout;
        this.dedup = dedup;
        runState = new RunState(layout.run());
        flink = new FlinkRest(layout.flinkPort());
        definitions = layout.streams().entrySet().stream()
                .collect(Collectors.toMap(entry -> entry.getValue().stream(), Map.Entry::getKey));
    }

    /**
     * Returns when the fault is over; the system may need longer.
     *
     * @throws LocalException where it cannot be done; the message says why
     */
    void inject(Fault fault) throws IOException {
        if (closed) {
            throw new LocalException("closed");
        }
        switch (fault.kind()) {
            case KILL, PAUSE, PAIRS -> hit(fault);
            case RESCALE -> rescale(fault.stream(), fault.parallelism());
            case REJECT -> reject(fault.stream(), fault.pauseSeconds());
            case CLOCK -> {
                try {
                    setClock(Duration.ofSeconds(fault.stepSeconds()));
                    FlinkRest.sleep(Duration.ofSeconds(fault.pauseSeconds()));
                } finally {
                    setClock(Duration.ZERO);
                }
            }
            case RESTART -> {
                dedup.succeed("down");
                dedup.succeed("up", "--detach");
            }
        }
    }

    private void setClock(Duration offset) {
        new KafkaServer(layout.data().resolve("kafka"), layout.kafkaPort()).setClock(offset);
    }

    /** As when a constraint is added by mistake, is dropped again, and the dead letters are replayed. */
    private void reject(String stream, int seconds) throws IOException {
        Rejection rejection = new Rejection(layout, definition(stream));
        rejecting = rejection;
        try {
            rejection.begin();
            FlinkRest.sleep(Duration.ofSeconds(seconds));
        } finally {
            boolean unused = await(STARTED_WITHIN, "the table of " + stream + " still rejects rows", () -> {
                rejection.end();
                return Optional.of(true);
            });
            rejecting = null;
        }
        // Dead letters that come later, after a checkpoint or a recovery, are replayed after the audit.
        FlinkRest.sleep(BEFORE_REPLAY);
        replay(stream);
    }

    /** Sends the open dead letters of a stream again. */
    void replay(String stream) throws IOException {
        dedup.succeed("dead-letters", "replay", "--stream", stream);
    }

    private StreamDefinition definition(String stream) {
        return layout.streams().get(definitions.get(stream));
    }

    private void hit(Fault fault) throws IOException {
        // Both are found before either is hit: they are hit at once.
        Function<String, ProcessHandle> alive = name -> await(
                STARTED_WITHIN,
                name + " does not run, " + STARTED_WITHIN.toSeconds() + " s long",
                () -> runState.process(name));
        List<ProcessHandle> killed = fault.killed().stream().map(alive).toList();
        List<ProcessHandle> paused = fault.paused().stream().map(alive).toList();
        try {
            for (ProcessHandle process : paused) {
                pause(process);
            }
            killed.forEach(ProcessHandle::destroyForcibly);
            for (ProcessHandle process : killed) {
                awaitEnd(process);
            }
            if (!paused.isEmpty()) {
                FlinkRest.sleep(Duration.ofSeconds(fault.pauseSeconds()));
            }
        } finally {
            pausedProcesses.resume();
        }
    }

    private static void awaitEnd(ProcessHandle process) {
        try {
            process.onExit().get(10, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new LocalException("interrupted", e);
        } catch (ExecutionException | TimeoutException e) {
            throw new LocalException("pid " + process.pid() + " outlived kill -9", e);
        }
    }

    /** Not while {@link #close} continues what is paused: whatever is paused after that nobody would continue. */
    private synchronized void pause(ProcessHandle process) throws IOException {
        if (closed) {
            throw new LocalException("closed");
        }
        pausedProcesses.pause(process);
    }

    /** As an operator does it: the supervisor leaves a job alone that somebody has stopped. */
    private void rescale(String stream, int parallelism) {
        FlinkRest.Job before = await(RESCALED_WITHIN, "no job " + stream + " runs", () -> running(stream));
        Optional<String> savepoint =
                await(RESCALED_WITHIN, "job " + stream + " cannot be stopped with a savepoint", () -> stop(before));
        Path jar = layout.built("job/target/deduplication-job.jar");
        List<String> arguments =
                new ArrayList<>(List.of("--stream", definitions.get(stream).toString()));
        if (savepoint.isEmpty()) {
            arguments.add("--resume");
        }
        boolean unused = await(RESCALED_WITHIN, "job " + stream + " cannot be submitted again", () -> {
            if (other(before).isEmpty()) {
                flink.submit(jar, arguments, parallelism, savepoint);
            }
            return other(before).map(job -> true);
        });
    }

    private Optional<FlinkRest.Job> running(String stream) throws IOException {
        Optional<FlinkRest.Job> job = flink.job(stream);
        return job.isPresent() && flink.runs(job.get()) ? job : Optional.empty();
    }

    /**
     * Stops a job, or finds that it has stopped: the JobManager may die between its deed and its answer.
     *
     * @return what to restore; an empty one within for the newest there is; an empty one where it still runs
     */
    private Optional<Optional<String>> stop(FlinkRest.Job job) throws IOException {
        Optional<FlinkRest.Job> now = flink.job(job.name());
        if (now.isEmpty() || (now.get().id().equals(job.id()) && now.get().isOver())) {
            return Optional.of(Optional.empty());
        }
        return Optional.of(Optional.of(flink.stop(now.get(), layout.stops(job.name()), SAVEPOINT_WITHIN)));
    }

    private Optional<FlinkRest.Job> other(FlinkRest.Job before) throws IOException {
        return flink.job(before.name()).filter(job -> !job.id().equals(before.id()) && !job.isOver());
    }

    /** Something that may not be there yet, or fail for as long as something else is away. */
    private interface Attempt<T> {
        Optional<T> get() throws IOException;
    }

    private static <T> T await(Duration patience, String failure, Attempt<T> attempt) {
        long deadline = System.nanoTime() + patience.toNanos();
        String reason = "";
        while (System.nanoTime() < deadline) {
            try {
                Optional<T> result = attempt.get();
                if (result.isPresent()) {
                    return result.get();
                }
            } catch (IOException | LocalException e) {
                reason = ": " + e.getMessage();
            }
            FlinkRest.sleep(POLL);
        }
        throw new LocalException(failure + reason);
    }

    /** Continues what is paused, and takes back what was set. */
    @Override
    public synchronized void close() {
        closed = true;
        if (Files.isDirectory(layout.data().resolve("kafka"))) {
            setClock(Duration.ZERO);
        }
        Rejection rejection = rejecting;
        if (rejection != null) {
            try {
                rejection.end();
            } catch (IOException e) {
                throw new LocalException("the table still rejects rows: " + rejection.howToEnd(), e);
            }
        }
        try {
            pausedProcesses.resume();
        } catch (IOException e) {
            throw new LocalException(
                    "these processes are stopped and could not be continued, use kill -CONT: " + pausedProcesses, e);
        }
    }
}
