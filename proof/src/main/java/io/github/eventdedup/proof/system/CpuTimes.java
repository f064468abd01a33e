package io.github.eventdedup.proof.system;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * What the system's processes have used of the processors since this was made, from Linux' {@code /proc/PID/stat}. A
 * process counts with its descendants, dead ones included: Postgres works in its children. What a process used between
 * the last look at it and its death is not known. Not thread-safe.
 */
public final class CpuTimes {

    public static final List<String> NAMES = List.of("ingest", "kafka", "jobmanager", "taskmanager", "postgres");

    /** Of the kernel's clock in these files: USER_HZ, which is 100 wherever Linux runs. */
    private static final int NANOS_PER_TICK = 10_000_000;

    private static final ObjectMapper JSON = new ObjectMapper();

    /** @param started in ticks since the machine's start: another process can have the pid later */
    private record Incarnation(String name, long pid, long started) {}

    private static final class Ticks {
        private long first;
        private long last;
    }

    /** @param ticks used by the process and the children that it has waited for */
    private record Stat(long started, long ticks) {}

    private final Path processesFile;
    private final Map<Incarnation, Ticks> seen = new HashMap<>();

    /** @param processesFile the pids by name, or null where they are not known */
    public CpuTimes(Path processesFile) {
        this.processesFile = processesFile;
        look(0);
        // Those that come later have done all their work in between.
        seen.values().forEach(ticks -> ticks.first = ticks.last);
    }

    /**
     * Reads the CPU time of each process of the system.
     *
     * @param without the pid of a descendant that does not count, or 0
     */
    public void look(long without) {
        if (processesFile == null || !Files.exists(processesFile)) {
            return;
        }
        try {
            JsonNode processes = JSON.readTree(processesFile.toFile());
            for (String name : NAMES) {
                look(name, processes.path(name).path("pid").asLong(), without);
            }
        } catch (IOException e) {
            // It is being replaced, or its directory deleted; the next look is in a second.
        }
    }

    private void look(String name, long pid, long without) {
        Optional<Stat> root = stat(pid);
        if (root.isEmpty()) {
            return;
        }
        long ticks = root.get().ticks;
        try (Stream<ProcessHandle> descendants =
                ProcessHandle.of(pid).map(ProcessHandle::descendants).orElseGet(Stream::empty)) {
            ticks += descendants
                    .filter(process -> process.pid() != without)
                    .map(process -> stat(process.pid()))
                    .mapToLong(stat -> stat.map(Stat::ticks).orElse(0L))
                    .sum();
        }
        Ticks known = seen.computeIfAbsent(new Incarnation(name, pid, root.get().started), unused -> new Ticks());
        known.last = Math.max(known.last, ticks);
    }

    /** What the processes of that name have used, as of the last look; empty where none was seen. */
    public Optional<Duration> used(String name) {
        return seen.entrySet().stream()
                .filter(entry -> entry.getKey().name.equals(name))
                .map(entry -> entry.getValue().last - entry.getValue().first)
                .reduce(Long::sum)
                .map(ticks -> Duration.ofNanos(ticks * NANOS_PER_TICK));
    }

    /** Empty where there is no such process, or no Linux. */
    private static Optional<Stat> stat(long pid) {
        Path file = Path.of("/proc/" + pid + "/stat");
        if (pid == 0 || !Files.isReadable(file)) {
            return Optional.empty();
        }
        try {
            String stat = Files.readString(file);
            // proc(5): the second field is a name in parentheses, and may hold anything. The one after it is the third.
            String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1);
            long ticks = 0;
            for (int utimeStimeCutimeCstime = 14; utimeStimeCutimeCstime <= 17; utimeStimeCutimeCstime++) {
                ticks += Long.parseLong(fields[utimeStimeCutimeCstime - 3]);
            }
            return Optional.of(new Stat(Long.parseLong(fields[22 - 3]), ticks));
        } catch (IOException e) {
            return Optional.empty();
        }
    }
}
