package io.github.eventdedup.local.system;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.datatype.jsr310.JavaTimeModule;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;

/**
 * Which processes run, on disk: for other commands, and for the next start when the supervisor was killed. A process is
 * known by pid and start instant, so that one that got a dead one's pid is left alone. Thread-safe within a JVM; between
 * JVMs the lock says who may write.
 */
public final class RunState {

    /** The supervisor's own entry. */
    public static final String SUPERVISOR = "supervisor";

    /** The kernel's idea of when a process started moves with the clock's corrections. */
    private static final Duration TOLERANCE = Duration.ofSeconds(2);

    private static final ObjectMapper JSON = new ObjectMapper()
            .registerModule(new JavaTimeModule())
            .disable(SerializationFeature.WRITE_DATES_AS_TIMESTAMPS);

    /** Keeps them from the garbage collector, which would close the channels and with them release the locks. */
    private static final Queue<FileChannel> LOCKS = new ConcurrentLinkedQueue<>();

    private final Path directory;

    public RunState(Path directory) {
        this.directory = directory;
    }

    private record Entry(long pid, Instant started) {}

    /** What the system that runs here was started with, and others have to know to speak with it. */
    public record Options(int portOffset, boolean withClickHouse) {}

    /**
     * Takes the right to start and stop processes here, until this JVM ends.
     *
     * @return whether it was free
     */
    public boolean lock() {
        try {
            Files.createDirectories(directory);
            FileChannel channel =
                    FileChannel.open(directory.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
            LOCKS.add(channel);
            return channel.tryLock() != null;
        } catch (IOException e) {
            throw new LocalException(
                    "cannot write to the data directory " + directory.getParent() + ": " + Layout.reason(e), e);
        }
    }

    public synchronized void started(String name, ProcessHandle process) {
        Map<String, Entry> entries = read();
        entries.put(name, new Entry(process.pid(), process.info().startInstant().orElse(Instant.EPOCH)));
        write(entries);
    }

    /** Enters this JVM as the supervisor of a system with those options; for the holder of the lock. */
    synchronized void supervising(Options options) {
        try {
            writeWhole(optionsFile(), options);
            Files.deleteIfExists(problemsFile());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        started(SUPERVISOR, ProcessHandle.current());
    }

    /**
     * The options of what runs here: on guessed ports another system may answer.
     *
     * @return empty where nothing runs
     */
    public Optional<Options> options() {
        if (names().stream().allMatch(name -> process(name).isEmpty()) || !Files.exists(optionsFile())) {
            return Optional.empty();
        }
        try {
            return Optional.of(JSON.readValue(optionsFile().toFile(), Options.class));
        } catch (IOException e) {
            throw new LocalException(optionsFile() + " cannot be read (" + e.getMessage() + ")", e);
        }
    }

    /** Of every process that was started and has not been seen to end. */
    List<String> names() {
        return List.copyOf(read().keySet());
    }

    synchronized void ended(String name) {
        Map<String, Entry> entries = read();
        entries.remove(name);
        write(entries);
    }

    /** The process of that name, where it is alive. */
    public synchronized Optional<ProcessHandle> process(String name) {
        return Optional.ofNullable(read().get(name))
                .flatMap(entry -> ProcessHandle.of(entry.pid())
                        .filter(ProcessHandle::isAlive)
                        .filter(process -> process.info()
                                .startInstant()
                                .map(started -> Duration.between(started, entry.started())
                                                .abs()
                                                .compareTo(TOLERANCE)
                                        <= 0)
                                .orElse(false)));
    }

    /** Says that everything is up, or (an empty file not being there) that it is not. */
    void ready(boolean ready) {
        try {
            if (ready) {
                Files.writeString(
                        readyFile(), Long.toString(ProcessHandle.current().pid()));
            } else {
                Files.deleteIfExists(readyFile());
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Whether this supervisor has said that everything is up. */
    public boolean isReady(ProcessHandle supervisor) {
        try {
            return Files.exists(readyFile()) && Files.readString(readyFile()).equals(Long.toString(supervisor.pid()));
        } catch (IOException e) {
            return false;
        }
    }

    /**
     * Keeps why a part or a job does not run, for other commands.
     *
     * @param reason in words; null where it runs
     */
    synchronized void problem(String name, String reason) {
        Map<String, String> problems = new LinkedHashMap<>(problems());
        String before = reason == null ? problems.remove(name) : problems.put(name, reason);
        if (Objects.equals(before, reason)) {
            return;
        }
        try {
            writeWhole(problemsFile(), problems);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Why what does not run does not, by its name, as the supervisor has found; empty where no supervisor runs. */
    public Map<String, String> problems() {
        try {
            return process(SUPERVISOR).isPresent() && Files.exists(problemsFile())
                    ? JSON.readValue(problemsFile().toFile(), new TypeReference<LinkedHashMap<String, String>>() {})
                    : Map.of();
        } catch (IOException e) {
            // A reason is worth less than what goes on without it.
            return Map.of();
        }
    }

    private Path problemsFile() {
        return directory.resolve("problems.json");
    }

    private Path readyFile() {
        return directory.resolve("ready");
    }

    private Path optionsFile() {
        return directory.resolve("options.json");
    }

    private Path file() {
        return directory.resolve("processes.json");
    }

    private Map<String, Entry> read() {
        try {
            return Files.exists(file())
                    ? JSON.readValue(file().toFile(), new TypeReference<LinkedHashMap<String, Entry>>() {})
                    : new LinkedHashMap<>();
        } catch (IOException e) {
            throw new LocalException(
                    file() + " cannot be read (" + e.getMessage() + "): stop what runs by hand, then delete it", e);
        }
    }

    private void write(Map<String, Entry> entries) {
        try {
            Files.createDirectories(directory);
            writeWhole(file(), entries);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** All of it or nothing, whenever this JVM ends. */
    private static void writeWhole(Path file, Object value) throws IOException {
        Path incomplete = file.resolveSibling(file.getFileName() + ".incomplete");
        JSON.writeValue(incomplete.toFile(), value);
        Files.move(incomplete, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    }
}
