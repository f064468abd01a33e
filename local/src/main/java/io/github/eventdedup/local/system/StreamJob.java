package io.github.eventdedup.local.system;

import io.github.eventdedup.servers.FreshDirectory;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/** One stream's job on the cluster, and the state it is started from. Used by one thread at a time. */
final class StreamJob {

    private static final Duration STOP_PATIENCE = Duration.ofMinutes(2);

    private final Layout layout;
    private final Path definition;
    private final String stream;
    private final FlinkRest flink;
    private final Path stoppedWith;
    private volatile boolean leftAlone;

    StreamJob(Layout layout, Path definition, String stream, FlinkRest flink) {
        this.layout = layout;
        this.definition = definition;
        this.stream = stream;
        this.flink = flink;
        this.stoppedWith = layout.flink().resolve(stream + ".stopped-with");
    }

    String stream() {
        return stream;
    }

    /** As users see it. */
    String name() {
        return "job " + stream;
    }

    /**
     * Submits the job where the cluster has none or a failed one. It continues from its newest checkpoint or savepoint.
     * A job that loses its JobManager is not a case of this: high availability brings it back. A job that was cancelled
     * or stopped by hand is left alone until the next `up`, or until it is submitted by hand.
     *
     * @return what was done, in words; empty where nothing was
     */
    Optional<String> ensureSubmitted() throws IOException {
        Optional<FlinkRest.Job> job = flink.job(stream);
        if (job.isPresent() && !job.get().isOver()) {
            leftAlone = false;
            Files.deleteIfExists(stoppedWith);
            return Optional.empty();
        }
        if (job.isPresent() && job.get().state().equals("FINISHED") && !Files.exists(stoppedWith)) {
            noteSavepoint(job.get());
        }
        if (leftAlone) {
            return Optional.empty();
        }
        if (job.isPresent() && !job.get().state().equals("FAILED")) {
            leftAlone = true;
            return Optional.of("job " + stream + ": stopped by hand, left alone until ./dedup down and up");
        }
        Optional<String> restore =
                Files.exists(stoppedWith) ? Optional.of(Files.readString(stoppedWith)) : Optional.empty();
        try {
            flink.submit(
                    layout.built("job/target/deduplication-job.jar"),
                    List.of("--stream", definition.toString(), "--resume"),
                    new FlinkCluster(layout).parallelism(),
                    restore);
        } catch (LocalException e) {
            if (restore.isEmpty()) {
                throw e;
            }
            throw new LocalException(
                    e.getMessage() + System.lineSeparator()
                            + "The job is to continue from the savepoint it was stopped with, "
                            + restore.get() + ". Delete " + stoppedWith + " to have it continue from the newest in "
                            + layout.flink(),
                    e);
        }
        return Optional.of("job " + stream + ": submitted");
    }

    /**
     * For the next start: the savepoint may be anywhere, and the job's checkpoints are gone once it has stopped with
     * one. Not known yet where the job's checkpoints were queried seconds ago: Flink then repeats that answer.
     */
    private void noteSavepoint(FlinkRest.Job job) throws IOException {
        Optional<String> savepoint = flink.savepointOfStop(job);
        if (savepoint.isPresent()) {
            Files.writeString(stoppedWith, savepoint.get());
        }
    }

    /** What keeps the job from its work, by what Flink remembers of it. */
    Optional<String> failing() throws IOException {
        Optional<FlinkRest.Job> job = flink.job(stream);
        return job.isEmpty() ? Optional.empty() : failing(flink, job.get());
    }

    /**
     * What keeps a job from its work, on one line: its last failure, as long as it has completed no checkpoint since, or has
     * failed more than once within a minute. Empty where it works, or has not failed yet.
     */
    static Optional<String> failing(FlinkRest flink, FlinkRest.Job job) throws IOException {
        if (job.state().equals("FINISHED") || job.state().equals("CANCELED")) {
            return Optional.empty();
        }
        return failing(
                flink.failures(job), flink.runs(job) ? flink.lastCheckpoint(job) : 0, System.currentTimeMillis());
    }

    static Optional<String> failing(List<FlinkRest.Failure> failures, long lastCheckpoint, long now) {
        if (failures.isEmpty()) {
            return Optional.empty();
        }
        long lately = failures.stream()
                .filter(failure -> failure.time() > now - Duration.ofMinutes(1).toMillis())
                .count();
        FlinkRest.Failure last = failures.get(0);
        if (lately < 2 && lastCheckpoint > last.time()) {
            return Optional.empty();
        }
        return Optional.of((lately < 2 ? "" : "failed " + lately + " times in the last minute: ") + last.reason());
    }

    /** How often the job has failed since it was submitted, as far as Flink remembers. */
    int failures() throws IOException {
        Optional<FlinkRest.Job> job = flink.job(stream);
        return job.isEmpty() ? 0 : flink.failures(job.get()).size();
    }

    /** Whether an operator has stopped or cancelled it. */
    boolean isLeftAlone() {
        return leftAlone;
    }

    /**
     * Whether the whole job runs.
     *
     * @return with what state, in words; empty where it does not run yet
     */
    Optional<String> running() throws IOException {
        Optional<FlinkRest.Job> job = flink.job(stream);
        if (job.isEmpty() || !flink.runs(job.get())) {
            return Optional.empty();
        }
        return Optional.of("job " + stream + ": running, "
                + flink.restoredFrom(job.get())
                        .map(path -> "restored from " + path)
                        .orElse("without earlier state"));
    }

    /**
     * Stops the job with a savepoint.
     *
     * @return what came of it, in words; empty where there is no job to stop
     */
    Optional<String> stop() {
        Path savepoint;
        try {
            Optional<FlinkRest.Job> job = flink.job(stream);
            if (job.isEmpty() || job.get().isOver()) {
                return Optional.empty();
            }
            savepoint = Path.of(URI.create(flink.stop(job.get(), layout.stops().resolve(stream), STOP_PATIENCE)));
        } catch (IOException | LocalException e) {
            return Optional.of(
                    "job " + stream + ": no savepoint (" + e.getMessage() + "); its last checkpoint will serve");
        }
        String stopped = "job " + stream + ": stopped with a savepoint";
        try {
            deleteAllBut(savepoint);
        } catch (IOException e) {
            return Optional.of(stopped + "; an earlier one cannot be deleted (" + e + ")");
        }
        return Optional.of(stopped);
    }

    /** Those of earlier stops: the newest has all that it needs in itself. */
    private static void deleteAllBut(Path savepoint) throws IOException {
        try (var savepoints = Files.list(savepoint.getParent())) {
            for (Path other : savepoints.toList()) {
                if (!other.equals(savepoint)) {
                    FreshDirectory.delete(other);
                }
            }
        }
    }
}
