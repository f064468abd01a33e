package io.github.eventdedup.proof.prove.faults;

import io.github.eventdedup.event.InvalidStreamDefinitionException;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.event.StreamDirectory;
import io.github.eventdedup.proof.system.Await;
import io.github.eventdedup.proof.system.Databases;
import io.github.eventdedup.proof.system.DedupScript;
import io.github.eventdedup.proof.system.Flink;
import io.github.eventdedup.proof.system.ProofException;
import io.github.eventdedup.proof.system.SystemStatus;
import io.github.eventdedup.servers.KafkaClock;
import io.github.eventdedup.servers.PausedProcesses;
import io.github.eventdedup.servers.ServerException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Does what a fault says to a running system, as an operator would. Closing it continues every process that it has paused;
 * call that from a shutdown hook too, as nothing else would. One fault at a time; {@link #close} may be called by any
 * thread.
 */
public final class FaultInjector implements AutoCloseable {

    /** A process that was killed a moment ago is being started again. */
    private static final Duration STARTED_WITHIN = Duration.ofSeconds(60);

    /** A savepoint waits for what its job waits for. */
    private static final Duration RESCALED_WITHIN = Duration.ofMinutes(4);

    private static final Duration BEFORE_REPLAY = Duration.ofSeconds(5);
    private static final String JAR = "job/target/deduplication-job.jar";
    private static final Pattern SAVEPOINT = Pattern.compile("Savepoint completed\\. Path: (\\S+)");

    private final DedupScript dedup;
    private final Flink flink;
    private final Databases databases;
    private final Path streamsDirectory;
    private final SystemStatus system;
    private final PausedProcesses pausedProcesses = new PausedProcesses();
    private volatile boolean closed;
    private volatile Rejection rejecting;

    /**
     * Prepares for one system.
     *
     * @param streamsDirectory the definitions of its streams
     * @param system where it has its files; its processes are looked up when they are needed
     */
    public FaultInjector(
            DedupScript dedup, Flink flink, Databases databases, Path streamsDirectory, SystemStatus system) {
        this.dedup = dedup;
        this.flink = flink;
        this.databases = databases;
        this.streamsDirectory = streamsDirectory;
        this.system = system;
    }

    /**
     * Returns when the fault is over; the system may need longer.
     *
     * @throws ProofException where it cannot be done; the message says why
     */
    public void inject(Fault fault) throws IOException, InterruptedException {
        if (closed) {
            throw new ProofException("closed");
        }
        switch (fault.kind()) {
            case KILL, PAUSE, PAIRS -> signal(fault);
            case RESCALE -> rescale(fault.stream(), fault.parallelism());
            case REJECT -> reject(fault.stream(), fault.pauseSeconds());
            case CLOCK -> {
                try {
                    setClock(Duration.ofSeconds(fault.stepSeconds()));
                    sleep(Duration.ofSeconds(fault.pauseSeconds()));
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
        try {
            new KafkaClock(system.directory("kafka")).set(offset);
        } catch (ServerException e) {
            throw new ProofException(e.getMessage(), e);
        }
    }

    /** As when a constraint is added by mistake, is dropped again, and the dead letters are replayed. */
    private void reject(String stream, int seconds) throws IOException, InterruptedException {
        Rejection rejection = new Rejection(databases, definition(stream).getValue());
        rejecting = rejection;
        try {
            rejection.begin();
            sleep(Duration.ofSeconds(seconds));
        } finally {
            boolean unused = Await.success(STARTED_WITHIN, "the table of " + stream + " still rejects rows", () -> {
                rejection.end();
                return Optional.of(true);
            });
            rejecting = null;
        }
        // Dead letters that come later, after a checkpoint or a recovery, are replayed after the audit.
        sleep(BEFORE_REPLAY);
        replay(stream);
    }

    /**
     * Sends the open dead letters of a stream again.
     *
     * @throws ProofException where the command fails
     */
    public void replay(String stream) throws IOException, InterruptedException {
        dedup.succeed("dead-letters", "replay", "--stream", stream);
    }

    /** The file that defines a stream, and what is in it. */
    private Map.Entry<Path, StreamDefinition> definition(String stream) throws IOException {
        try {
            return StreamDirectory.read(streamsDirectory).streams().entrySet().stream()
                    .filter(file -> file.getValue().stream().equals(stream))
                    .findFirst()
                    .orElseThrow(() -> new ProofException("no file in " + streamsDirectory + " defines " + stream));
        } catch (InvalidStreamDefinitionException e) {
            throw new ProofException(e.getMessage(), e);
        }
    }

    private void signal(Fault fault) throws IOException, InterruptedException {
        // All are found before any is hit: they are hit at once.
        Map<String, ProcessHandle> processes = running(
                Stream.concat(fault.killed().stream(), fault.paused().stream()).toList());
        List<ProcessHandle> killed = fault.killed().stream().map(processes::get).toList();
        List<ProcessHandle> paused = fault.paused().stream().map(processes::get).toList();
        try {
            for (ProcessHandle process : paused) {
                pause(process);
            }
            killed.forEach(ProcessHandle::destroyForcibly);
            for (ProcessHandle process : killed) {
                awaitEnd(process);
            }
            if (!paused.isEmpty()) {
                sleep(Duration.ofSeconds(fault.pauseSeconds()));
            }
        } finally {
            pausedProcesses.resume();
        }
    }

    private Map<String, ProcessHandle> running(List<String> names) throws InterruptedException {
        return Await.success(
                STARTED_WITHIN,
                String.join(" or ", names) + " does not run, " + STARTED_WITHIN.toSeconds() + " s long",
                () -> {
                    SystemStatus now = dedup.status();
                    Map<String, ProcessHandle> processes = new HashMap<>();
                    names.forEach(name -> now.process(name).ifPresent(process -> processes.put(name, process)));
                    return processes.keySet().containsAll(names) ? Optional.of(processes) : Optional.empty();
                });
    }

    private static void awaitEnd(ProcessHandle process) throws InterruptedException {
        try {
            process.onExit().get(10, TimeUnit.SECONDS);
        } catch (ExecutionException | TimeoutException e) {
            throw new ProofException("pid " + process.pid() + " outlived kill -9", e);
        }
    }

    /** Not while {@link #close} continues what is paused: nothing would continue what is paused after that. */
    private synchronized void pause(ProcessHandle process) throws IOException {
        if (closed) {
            throw new ProofException("closed");
        }
        pausedProcesses.pause(process);
    }

    /** As an operator does it: the supervisor leaves a job alone that an operator has stopped. */
    private void rescale(String stream, int parallelism) throws IOException, InterruptedException {
        Flink.Job before = Await.success(RESCALED_WITHIN, "no job " + stream + " runs", () -> running(stream));
        Optional<String> savepoint = Await.success(
                RESCALED_WITHIN, "job " + stream + " cannot be stopped with a savepoint", () -> stop(before));
        List<String> run = new ArrayList<>(List.of("flink", "run", "-d", "-p", "" + parallelism));
        savepoint.ifPresent(path -> run.addAll(List.of("-s", path)));
        run.addAll(List.of(
                dedup.file(JAR).toString(),
                "--stream",
                definition(stream).getKey().toString()));
        if (savepoint.isEmpty()) {
            run.add("--resume");
        }
        boolean unused = Await.success(RESCALED_WITHIN, "job " + stream + " cannot be submitted again", () -> {
            if (other(before).isEmpty()) {
                dedup.succeed(run.toArray(String[]::new));
            }
            return other(before).map(job -> true);
        });
    }

    private Optional<Flink.Job> running(String stream) throws IOException, InterruptedException {
        Optional<Flink.Job> job = flink.job(stream);
        return job.isPresent() && flink.runs(job.get()) ? job : Optional.empty();
    }

    /**
     * Stops a job, or finds that it has stopped: the JobManager may die between its deed and its answer.
     *
     * @return what to restore; an empty one within for the newest there is; an empty one where it still runs
     */
    private Optional<Optional<String>> stop(Flink.Job job) throws IOException, InterruptedException {
        Optional<Flink.Job> now = flink.job(job.name());
        if (now.isEmpty() || (now.get().id().equals(job.id()) && now.get().isOver())) {
            return Optional.of(Optional.empty());
        }
        String output = dedup.output(
                "flink",
                "stop",
                // The files RocksDB has anyway, however much state there is.
                "--type",
                "native",
                "--savepointPath",
                system.directory("stops").resolve(job.name()).toString(),
                now.get().id());
        Matcher savepoint = SAVEPOINT.matcher(output);
        return Optional.of(savepoint.find() ? Optional.of(savepoint.group(1)) : Optional.empty());
    }

    private Optional<Flink.Job> other(Flink.Job before) throws IOException, InterruptedException {
        return flink.job(before.name()).filter(job -> !job.id().equals(before.id()) && !job.isOver());
    }

    private static void sleep(Duration duration) throws InterruptedException {
        Thread.sleep(duration.toMillis());
    }

    /** Continues what is paused, and takes back what was set. */
    @Override
    public synchronized void close() {
        closed = true;
        if (Files.isDirectory(system.directory("kafka"))) {
            setClock(Duration.ZERO);
        }
        Rejection rejection = rejecting;
        if (rejection != null) {
            try {
                rejection.end();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new ProofException("the table still rejects rows: " + rejection.howToEnd(), e);
            } catch (IOException e) {
                throw new ProofException("the table still rejects rows: " + rejection.howToEnd(), e);
            }
        }
        try {
            pausedProcesses.resume();
        } catch (IOException e) {
            throw new ProofException(
                    "these processes are stopped and could not be continued, use kill -CONT: " + pausedProcesses, e);
        }
    }
}
