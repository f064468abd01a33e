package io.github.eventdedup.servers;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;

/**
 * Processes that are stopped as a debugger would (SIGSTOP): they keep their connections and do not answer. No one
 * continues them but {@link #resume}: where this JVM ends first, they stay as they are. Thread-safe.
 */
public final class PausedProcesses {

    private static final Duration STOPPED_WITHIN = Duration.ofSeconds(10);

    private final Set<ProcessHandle> paused = ConcurrentHashMap.newKeySet();

    /**
     * Pauses the process and its descendants: Postgres does its work in those. The parent first, lest it has new ones.
     * Returns when all have stopped, where the system tells that in {@code /proc}; else they stop in the course of things.
     *
     * @throws IOException where they cannot be stopped; what may have stopped is continued by {@link #resume}
     */
    public synchronized void pause(ProcessHandle process) throws IOException {
        stop(List.of(process));
        stop(process.descendants().toList());
    }

    private void stop(List<ProcessHandle> processes) throws IOException {
        paused.addAll(processes);
        signal("STOP", processes);
        long deadline = System.nanoTime() + STOPPED_WITHIN.toNanos();
        for (ProcessHandle process : processes) {
            // Whoever interrupts this thread wants it to end, and wants the processes to go on even more.
            while (!Thread.currentThread().isInterrupted() && process.isAlive() && hasRunningThread(process)) {
                if (System.nanoTime() - deadline > 0) {
                    throw new IOException("pid " + process.pid() + " runs on after SIGSTOP");
                }
                sleep();
            }
        }
    }

    /** Continues what is paused, if it is still there. */
    public synchronized void resume() throws IOException {
        List<ProcessHandle> all = List.copyOf(paused);
        signal("CONT", all.stream().filter(ProcessHandle::isAlive).toList());
        all.forEach(paused::remove);
    }

    /** The numbers of the processes, to continue them by hand. */
    @Override
    public String toString() {
        return paused.stream().map(process -> Long.toString(process.pid())).collect(Collectors.joining(" "));
    }

    /** The signal reaches one thread, which stops the others: {@code kill} returns before that. */
    private static boolean hasRunningThread(ProcessHandle process) {
        Path threads = Path.of("/proc", Long.toString(process.pid()), "task");
        if (!Files.exists(threads)) {
            return false;
        }
        try (var found = Files.list(threads)) {
            for (Path thread : found.toList()) {
                // The name before it is in brackets. T and t are stopped, D stops before it leaves the kernel, Z and X
                // have ended.
                String stat = Files.readString(thread.resolve("stat"), StandardCharsets.ISO_8859_1);
                if ("TtDZX".indexOf(stat.charAt(stat.lastIndexOf(')') + 2)) < 0) {
                    return true;
                }
            }
            return false;
        } catch (IOException | UncheckedIOException e) {
            // A thread, or the process, has just ended: the next look tells.
            return true;
        }
    }

    private static void sleep() {
        try {
            Thread.sleep(1);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /**
     * By the shell's own kill: not every machine has it as a program. A process that has ended by now is no error. The
     * shell does its work also when Ctrl-C reaches it.
     */
    private static void signal(String signal, Collection<ProcessHandle> processes) throws IOException {
        if (processes.isEmpty()) {
            return;
        }
        List<String> command = new ArrayList<>(List.of(
                "sh",
                "-c",
                "trap '' INT TERM HUP; signal=$1; shift; for pid; do kill -\"$signal\" \"$pid\"; done; true",
                "sh",
                signal));
        processes.forEach(process -> command.add(Long.toString(process.pid())));
        Process shell = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .start();
        boolean interrupted = false;
        int status;
        while (true) {
            try {
                status = shell.waitFor();
                break;
            } catch (InterruptedException e) {
                // Whoever wants this thread to end wants the processes to go on even more.
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        if (status != 0) {
            throw new IOException("sending SIG" + signal + " ended with status " + status);
        }
    }
}
