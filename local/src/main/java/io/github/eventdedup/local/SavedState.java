package io.github.eventdedup.local;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.time.Clock;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * What a stream's job can be started from: savepoints and retained checkpoints on disk. "Starting empty is a decision,
 * never an accident": once a stream has had a checkpoint, a start without one is refused until {@link #setAside}.
 */
final class SavedState {

    /** {@code <job id>/chk-<n>/_metadata} under checkpoints, {@code savepoint-…/_metadata} under savepoints and stops. */
    private static final int DEPTH = 3;

    /** {@code savepoint-<first six digits of the job id>-<random>}. */
    private static final Pattern SAVEPOINT = Pattern.compile("savepoint-([0-9a-f]{6})-[0-9a-f]+");

    private final Layout layout;
    private final Path checkpoints;
    private final Path savepoints;
    private final Path stops;
    private final Path marker;
    private final Path jobs;

    SavedState(Layout layout, String stream) {
        this.layout = layout;
        checkpoints = layout.checkpoints(stream);
        savepoints = layout.savepoints(stream);
        stops = layout.stops(stream);
        marker = layout.flink().resolve(stream + ".has-state");
        jobs = layout.flink().resolve(stream + ".jobs");
    }

    /**
     * The newest completed savepoint or checkpoint. Complete means that its {@code _metadata} is there, which Flink
     * writes last; newest is by that file's time, since numbers start again with every job.
     *
     * @return empty where the stream never had one
     * @throws LocalException where it had one, and none is left
     */
    Optional<Path> newest() {
        Set<String> ids = jobs();
        Stream<Path> directories = Stream.concat(
                Stream.of(checkpoints, savepoints, stops), ids.stream().map(layout.checkpoints()::resolve));
        Optional<Path> newest = Stream.concat(
                        directories.flatMap(SavedState::metadata),
                        metadata(savepoints.getParent()).filter(file -> isOfOneOf(ids, file)))
                .max(Comparator.comparing(SavedState::time))
                .map(Path::getParent);
        try {
            if (newest.isPresent()) {
                Files.writeString(marker, "");
            } else if (Files.exists(marker)) {
                throw new LocalException(
                        "no checkpoint or savepoint is left in " + checkpoints + ", " + savepoints + " or " + stops
                                + ": put one back, or start with --fresh (the job then reads its topic from the beginning)");
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return newest;
    }

    /** Remembers that there is state, once there is: from then on a start without any is refused. */
    void note() {
        if (!Files.exists(marker)) {
            try {
                newest();
            } catch (LocalException e) {
                // The running job deletes old checkpoints while we look; there is another look soon.
            }
        }
    }

    /** Whether the job may delete it when it has newer state; a savepoint that a user has taken is the user's. */
    boolean isOwn(Path state) {
        return state.startsWith(layout.checkpoints()) || state.startsWith(stops);
    }

    /**
     * Remembers a job of this stream. One that was submitted by hand has its checkpoints in a directory that only its id
     * tells apart from those of other streams.
     */
    void noteJob(String id) {
        try {
            if (!jobs().contains(id)) {
                Files.createDirectories(jobs.getParent());
                Files.writeString(
                        jobs, id + System.lineSeparator(), StandardOpenOption.CREATE, StandardOpenOption.APPEND);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private Set<String> jobs() {
        Set<String> ids = new LinkedHashSet<>();
        try {
            if (Files.exists(jobs)) {
                ids.addAll(Files.readAllLines(jobs));
            }
            if (Files.exists(checkpoints)) {
                try (Stream<Path> directories = Files.list(checkpoints)) {
                    directories.forEach(job -> ids.add(job.getFileName().toString()));
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return ids;
    }

    /** Of a savepoint taken with Flink's command line, whose default directory is common to all streams. */
    private boolean isOfOneOf(Set<String> ids, Path metadata) {
        Path savepoint = metadata.getParent();
        Matcher name = SAVEPOINT.matcher(savepoint.getFileName().toString());
        return savepoint.getParent().equals(savepoints.getParent())
                && name.matches()
                && ids.stream().anyMatch(id -> id.startsWith(name.group(1)));
    }

    /** Renames what there is, so that the next start is from nothing. Nothing is deleted. */
    void setAside(Clock clock) {
        try {
            for (Path directory : List.of(checkpoints, savepoints, stops, jobs)) {
                if (Files.exists(directory)) {
                    Files.move(
                            directory, directory.resolveSibling(directory.getFileName() + ".aside-" + clock.millis()));
                }
            }
            Files.deleteIfExists(marker);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Stream<Path> metadata(Path directory) {
        if (!Files.exists(directory)) {
            return Stream.empty();
        }
        try (Stream<Path> files = Files.find(
                directory, DEPTH, (file, attributes) -> file.endsWith("_metadata") && attributes.isRegularFile())) {
            return files.toList().stream();
        } catch (IOException | UncheckedIOException e) {
            throw new LocalException("cannot look for checkpoints in " + directory + ": " + e.getMessage(), e);
        }
    }

    private static FileTime time(Path file) {
        try {
            return Files.getLastModifiedTime(file);
        } catch (IOException e) {
            return FileTime.fromMillis(0);
        }
    }
}
