package io.github.eventdedup.local;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.Optional;

/** One stream's job on the cluster, and the state it is started from. Used by one thread at a time. */
final class StreamJob {

    private static final Duration STOP_PATIENCE = Duration.ofMinutes(2);

    private final Layout layout;
    private final Path definition;
    private final String stream;
    private final FlinkRest flink;
    private final SavedState state;
    private final Path stoppedByHand;

    StreamJob(Layout layout, Path definition, String stream, FlinkRest flink) {
        this.layout = layout;
        this.definition = definition;
        this.stream = stream;
        this.flink = flink;
        this.state = new SavedState(layout, stream);
        this.stoppedByHand = layout.flink().resolve(stream + ".stopped-by-hand");
    }

    String stream() {
        return stream;
    }

    /** Begins from nothing the next time; what there is stays on disk under another name. */
    void startFresh() {
        state.setAside(Clock.systemUTC());
    }

    /**
     * Submits the job where the cluster has none or a failed one: the first start, a JobManager that died and forgot it,
     * and a job that gave up are all the same. One that somebody cancelled or stopped is left alone until the next
     * {@link #release}, or until somebody submits it; on disk, for the JobManager forgets what is over.
     *
     * @return what was done, in words; empty where nothing was
     */
    Optional<String> ensureSubmitted() throws IOException {
        Optional<FlinkRest.Job> job = flink.job(stream);
        if (job.isPresent()) {
            state.noteJob(job.get().id());
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
        Optional<Path> restore = state.newest();
        FlinkCluster cluster = new FlinkCluster(layout);
        flink.submit(
                layout.built("job/target/deduplication-job.jar"),
                definition,
                cluster.parallelism(),
                cluster.jobConfiguration(stream),
                restore,
                restore.map(state::isOwn).orElse(true));
        return Optional.of("job " + stream + ": submitted, "
                + restore.map(path -> "continues from " + layout.data().relativize(path))
                        .orElse("starts without earlier state"));
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

    boolean runs() throws IOException {
        Optional<FlinkRest.Job> job = flink.job(stream);
        return job.isPresent() && flink.runs(job.get());
    }

    /** Remembers that the stream has state, once it does. */
    void noteState() {
        state.note();
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
            flink.stop(job.get(), layout.stops(stream), STOP_PATIENCE);
            return Optional.of("job " + stream + ": stopped with a savepoint");
        } catch (IOException | LocalException e) {
            return Optional.of(
                    "job " + stream + ": no savepoint (" + e.getMessage() + "); its last checkpoint will serve");
        }
    }
}
