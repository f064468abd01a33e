package io.github.eventdedup.servers;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.stream.Collectors;

/**
 * One process started by this JVM, its output in a log file, that can be started again after it has ended. Methods may
 * be called by any thread; starting and stopping exclude each other, {@link #kill} never waits for either.
 */
public final class ChildProcess {

    private static final long LOG_LIMIT_BYTES = 16L << 20;
    private static final Duration POLL = Duration.ofMillis(100);

    /** kill -9 of this JVM is beyond help. */
    private static final Set<Process> BOUND = ConcurrentHashMap.newKeySet();

    static {
        Runtime.getRuntime()
                .addShutdownHook(new Thread(() -> BOUND.forEach(Process::destroyForcibly), "kill-children"));
    }

    private final String name;
    private final Path log;
    private final Consumer<Process> started;
    private volatile Process process;

    /** Where the log of the process started last begins. */
    private volatile long logBegin;

    /**
     * @param name what messages call it
     * @param log where its output goes, appended; a long one is put aside as {@code <log>.1} at the next start
     * @param started is told of each process right after it was spawned; {@link #killAtExit} is one way to use it
     */
    public ChildProcess(String name, Path log, Consumer<Process> started) {
        this.name = name;
        this.log = log;
        this.started = started;
    }

    /** Has the process killed when this JVM exits. Without this a child outlives its parent. */
    public static void killAtExit(Process process) {
        BOUND.removeIf(ended -> !ended.isAlive());
        BOUND.add(process);
    }

    /** Renames a log that has grown long to {@code <log>.1}; for a log that no process writes to. */
    public static void putAsideIfLong(Path log) throws IOException {
        if (Files.exists(log) && Files.size(log) > LOG_LIMIT_BYTES) {
            Files.move(log, log.resolveSibling(log.getFileName() + ".1"), StandardCopyOption.REPLACE_EXISTING);
        }
    }

    /**
     * Spawns the process, without waiting until it can do anything.
     *
     * @param builder the command, its directory and its environment; the output is redirected here
     * @throws IllegalStateException where it runs already
     * @throws ServerException where the operating system cannot run the command
     */
    public synchronized void start(ProcessBuilder builder) {
        if (isAlive()) {
            throw new IllegalStateException(name + " runs already, pid " + process.pid());
        }
        try {
            Files.createDirectories(log.toAbsolutePath().getParent());
            putAsideIfLong(log);
            logBegin = Files.exists(log) ? Files.size(log) : 0;
            process = builder.redirectErrorStream(true)
                    .redirectInput(
                            ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()))
                    .redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()))
                    .start();
        } catch (IOException e) {
            throw new ServerException(name + " cannot be run: " + e.getMessage(), e);
        }
        started.accept(process);
    }

    /**
     * Waits until the probe says yes.
     *
     * @throws ServerException where the process ends first, or the time is up (the process is left as it is then)
     */
    public void awaitReady(Duration timeout, BooleanSupplier ready) {
        Process awaited = process();
        Instant deadline = Instant.now().plus(timeout);
        while (!ready.getAsBoolean()) {
            if (!awaited.isAlive()) {
                throw new ServerException(name + " ended with status " + awaited.exitValue() + " while starting"
                        + lastWords().map(words -> ": " + words).orElse("") + "; see " + log);
            }
            if (Instant.now().isAfter(deadline)) {
                throw new ServerException(name + " did not become ready within " + timeout.toSeconds() + " s"
                        + lastWords().map(words -> "; it says: " + words).orElse("") + "; see " + log);
            }
            pause(POLL);
        }
    }

    /** The process started last, which may have ended. */
    public Process process() {
        return Objects.requireNonNull(process, () -> name + " was never started");
    }

    /** Whether the process runs. */
    public boolean isAlive() {
        Process current = process;
        return current != null && current.isAlive();
    }

    /** What the process started last has said of its end, or of what keeps it from its work, on one line. */
    public Optional<String> lastWords() {
        return LastWords.in(log, logBegin);
    }

    /** Where the output goes. */
    public Path log() {
        return log;
    }

    /** Ends the process as {@code kill -9} does, and returns when it has ended. Does nothing where none runs. */
    public void kill() {
        Process current = process;
        if (current != null) {
            current.destroyForcibly();
            awaitEnd(current, Duration.ofSeconds(30));
        }
    }

    /** Asks the process to end (SIGTERM), and kills it where it has not ended in time. */
    public void stop(Duration patience) {
        stop(patience, Process::destroy);
    }

    synchronized void stop(Duration patience, Consumer<Process> ask) {
        if (isAlive()) {
            ask.accept(process);
            if (!awaitEnd(process, patience)) {
                kill();
            }
        }
    }

    /** This JVM's class path, for a child JVM; made absolute, for a child may start in another directory. */
    static String classPath() {
        return Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
                .map(entry -> Path.of(entry).toAbsolutePath().toString())
                .collect(Collectors.joining(File.pathSeparator));
    }

    private static boolean awaitEnd(Process process, Duration patience) {
        try {
            return process.waitFor(patience.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    static void pause(Duration duration) {
        try {
            Thread.sleep(duration.toMillis());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new ServerException("interrupted while starting", e);
        }
    }
}
