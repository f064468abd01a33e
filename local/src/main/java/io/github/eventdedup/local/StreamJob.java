package io.github.eventdedup.local;

import io.github.eventdedup.servers.FreshDirectory;
import java.io.IOException;
import java.io.UncheckedIOException;
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
    private final Path stoppedByHand;

    StreamJob(Layout layout, Path definition, String stream, FlinkRest flink) {
        this.layout = layout;
        this.definition = definition;
        this.stream = stream;
        this.flink = flink;
        this.stoppedByHand = layout.flink().resolve(stream + ".stopped-by-hand");
    }

    String stream() {
        return stream;
    }

    /**
     * Submits the job where the cluster has none or a failed one. It continues from its newest checkpoint or savepoint. A
     * job that loses its JobManager is not a case of this: high availability brings it back. One that somebody cancelled or stopped is left alone until the next
     * {@link #release}, or until somebody submits it; on disk, for the JobManager forgets what is over.
     *
     * @return what was done, in words; empty where nothing was
     */
    Optional<String> ensureSubmitted() throws IOException {
        Optional<FlinkRest.Job> job = flink.job(stream);
        if (job.isPresent()) {
            if (!job.get().isOver()) {
                release();
                return Optional.empty();
            }
            if (!job.get().state().equals("FAILED")) {
                return hold();
            }
        }
        if (Files.exists(stoppedByHand)) {
            return Optional.empty();
        }
        // The job's own main method looks for the newest checkpoint or savepoint.
        flink.submit(
                layout.built("job/target/deduplication-job.jar"),
                List.of("--stream", definition.toString(), "--resume"),
                new FlinkCluster(layout).parallelism());
        return Optional.of("job " + stream + ": submitted");
    }

    private Optional<String> hold() {
        if (Files.exists(stoppedByHand)) {
            return Optional.empty();
        }
        try {
            Files.createDirectories(stoppedByHand.getParent());
            Files.writeString(stoppedByHand, "");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return Optional.of("job " + stream + ": stopped by hand, left alone until ./dedup down and up");
    }

    /** Forgets that the job was stopped by hand. */
    void release() {
        try {
            Files.deleteIfExists(stoppedByHand);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
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
        try {
            Optional<FlinkRest.Job> job = flink.job(stream);
            if (job.isEmpty() || job.get().isOver()) {
                return Optional.empty();
            }
            Path savepoint = Path.of(URI.create(flink.stop(job.get(), layout.stops(stream), STOP_PATIENCE)));
            deleteAllBut(savepoint);
            return Optional.of("job " + stream + ": stopped with a savepoint");
        } catch (IOException | LocalException e) {
            return Optional.of(
                    "job " + stream + ": no savepoint (" + e.getMessage() + "); its last checkpoint will serve");
        }
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
