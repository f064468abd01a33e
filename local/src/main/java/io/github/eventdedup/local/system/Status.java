package io.github.eventdedup.local.system;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.eventdedup.servers.LastWords;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * What runs and what was counted, queried from the processes themselves.
 *
 * @param processes in the order they are started
 * @param jobs one for each stream
 * @param supervisor {@code up} where everything has been started, {@code starting} while it starts or stops, or {@code
 *     down}
 * @param directories where what is on disk, by name
 */
@JsonInclude(JsonInclude.Include.ALWAYS)
public record Status(
        List<ProcessStatus> processes, List<JobStatus> jobs, String supervisor, Map<String, String> directories) {

    /** Exit codes of the command, where it has asked: something does not run, and nothing runs at all. */
    public static final int SOME_NOT_UP = 3;

    public static final int NOTHING_RUNS = 4;

    /** What a relay logs when it waits, with the reason, and when it no longer does (RelayLog of outbox-relay). */
    static final Pattern RELAY_STATE = Pattern.compile(
            "Cannot send, retrying; no rows are lost: (.*)|Resuming$|Following .* of .*; Kafka at |Stopped$");

    private static final String NOT_RUNNING = "NOT_RUNNING";
    private static final Duration METRICS_PAUSE = Duration.ofMillis(500);

    /**
     * One process.
     *
     * @param pid null where it does not run
     * @param port null where it is asked at no port of its own
     * @param health {@code up} where it answers, {@code starting} where it runs but does not answer, or {@code down}
     * @param reason why it is not up, or does no work, on one line; null where it does, or nothing is known
     */
    public record ProcessStatus(String name, Long pid, Integer port, String health, String reason) {

        public ProcessStatus(String name, Long pid, Integer port, String health) {
            this(name, pid, port, health, null);
        }
    }

    /**
     * One job.
     *
     * @param state Flink's word, or {@code NOT_RUNNING} where the cluster has no such job
     * @param received records read from the raw topic; this and the other counts null where the job cannot be asked
     * @param unique stored, each once
     * @param duplicate dropped
     * @param deadLettered unreadable, or rejected by the database
     * @param reason why it does not run, or runs again and again, on one line; null where it runs, or nothing is known
     */
    public record JobStatus(
            String stream, String state, Long received, Long unique, Long duplicate, Long deadLettered, String reason) {

        public JobStatus(String stream, String state, Long received, Long unique, Long duplicate, Long deadLettered) {
            this(stream, state, received, unique, duplicate, deadLettered, null);
        }

        private JobStatus because(String why) {
            return new JobStatus(stream, state, received, unique, duplicate, deadLettered, why);
        }

        /** What the job's metrics, summed over its tasks, say about events. */
        public static JobStatus of(String stream, String state, Map<String, Long> sums) {
            if (!sums.keySet().containsAll(List.of("received", "unique", "duplicate", "deadLettered"))) {
                return new JobStatus(stream, state, null, null, null, null);
            }
            // An event that the database refuses was found to be unique before, and became a dead letter after that.
            long refused = sums.getOrDefault("refused", 0L);
            return new JobStatus(
                    stream,
                    state,
                    sums.get("received"),
                    sums.get("unique") - refused,
                    sums.get("duplicate"),
                    sums.get("deadLettered") + refused);
        }
    }

    public static Status of(Layout layout) {
        RunState runState = new RunState(layout.run());
        LocalSystem system = new LocalSystem(layout, runState);
        FlinkRest flink = new FlinkRest(layout.flinkPort());
        // The JobManager fetches metrics on request, and answers with those it had before: query twice.
        jobs(system, flink, runState);
        long asked = System.nanoTime();
        Map<String, String> problems = runState.problems();
        Optional<ProcessHandle> supervisor = runState.process(RunState.SUPERVISOR);
        boolean supervised = supervisor.isPresent();
        List<ProcessStatus> processes = new ArrayList<>(system.parts().parallelStream()
                .map(part -> process(part, runState, supervised, problems))
                .toList());
        if (!supervised && processes.stream().anyMatch(process -> process.pid() != null)) {
            processes.add(new ProcessStatus(
                    RunState.SUPERVISOR,
                    null,
                    null,
                    "down",
                    "a process that ends is not restarted; ./dedup up takes over, ./dedup down stops the rest"));
        }
        Duration left = METRICS_PAUSE.minusNanos(System.nanoTime() - asked);
        if (!left.isNegative()) {
            FlinkRest.sleep(left);
        }
        return new Status(
                processes,
                jobs(system, flink, runState),
                supervisor.map(it -> runState.isReady(it) ? "up" : "starting").orElse("down"),
                directories(layout));
    }

    /** For who measures or breaks something there. */
    private static Map<String, String> directories(Layout layout) {
        Map<String, String> directories = new LinkedHashMap<>();
        directories.put("kafka", layout.data().resolve("kafka").toString());
        directories.put("postgres", layout.data().resolve("postgres/data").toString());
        directories.put("clickhouse", layout.data().resolve("clickhouse").toString());
        directories.put("checkpoints", layout.checkpoints().toString());
        directories.put("stops", layout.stops().toString());
        return directories;
    }

    private static List<JobStatus> jobs(LocalSystem system, FlinkRest flink, RunState runState) {
        Map<String, String> problems = runState.problems();
        if (runState.process(system.jobManager.name()).isEmpty()) {
            // Another system's may answer at that port.
            return system.jobs.stream()
                    .map(job ->
                            JobStatus.of(job.stream(), NOT_RUNNING, Map.of()).because(problems.get(job.name())))
                    .toList();
        }
        return system.jobs.stream()
                .map(job -> job(job.stream(), flink, system.taskManager.child().log(), problems.get(job.name())))
                .toList();
    }

    private static ProcessStatus process(
            ManagedProcess part, RunState runState, boolean supervised, Map<String, String> problems) {
        Optional<ProcessHandle> process = runState.process(part.name());
        String health = process.isEmpty() ? "down" : part.answers().getAsBoolean() ? "up" : "starting";
        String reason = null;
        if (health.equals("down") && supervised) {
            reason = problems.getOrDefault(
                    part.name(),
                    LastWords.in(part.child().log(), 0)
                            .map(words -> "its log ends with: " + words)
                            .orElse(null));
        } else if (health.equals("starting")) {
            reason = relayWaits(part).orElse(problems.getOrDefault(part.name(), "does not answer, or is not ready"));
        } else if (health.equals("up")) {
            reason = relayWaits(part).orElse(null);
        }
        return new ProcessStatus(
                part.name(),
                process.map(ProcessHandle::pid).orElse(null),
                part.port() == 0 ? null : part.port(),
                health,
                reason);
    }

    /** Why a job that runs stores nothing, where its sink waits for the database. */
    private static Optional<String> waiting(String stream, Map<String, Long> sums, Path log) {
        if (sums.getOrDefault("waiting", 0L) == 0) {
            return Optional.empty();
        }
        return Optional.of(LastWords.matching(log, sinkWaits(stream))
                .map(matcher -> "waits, no row is stored: " + matcher.group(1))
                .orElse("waits for its database, no row is stored"));
    }

    /** What a sink logs when it waits, with the reason (PostgresStore and DatabaseWait of the job). */
    static Pattern sinkWaits(String stream) {
        return Pattern.compile("(?:Postgres accepts no rows of stream '" + Pattern.quote(stream)
                + "'|ClickHouse accepts no rows), retrying; no rows are lost: (.*)");
    }

    /** Why a relay waits, where it has not resumed or been restarted since. */
    private static Optional<String> relayWaits(ManagedProcess part) {
        if (!part.name().startsWith(LocalSystem.RELAY)) {
            return Optional.empty();
        }
        return LastWords.matching(part.child().log(), RELAY_STATE)
                .map(matcher -> matcher.group(1))
                .map(reason -> "waits, no row is sent: " + reason);
    }

    private static JobStatus job(String stream, FlinkRest flink, Path log, String problem) {
        String state = NOT_RUNNING;
        try {
            Optional<FlinkRest.Job> job = flink.job(stream);
            if (job.isPresent()) {
                state = job.get().state();
                Map<String, Long> sums = flink.counts(job.get());
                String reason = StreamJob.failing(flink, job.get())
                        .or(() -> waiting(stream, sums, log))
                        .orElse(problem);
                return JobStatus.of(stream, state, sums).because(reason);
            }
        } catch (IOException | LocalException e) {
            // The JobManager is unavailable, or the job went while it was asked about: nothing is known.
        }
        return JobStatus.of(stream, state, Map.of()).because(problem);
    }

    /** What does not run, or starts again and again, in words; empty where everything runs. */
    @JsonProperty("problems")
    public List<String> notUp() {
        List<String> notUp = new ArrayList<>();
        processes.stream()
                .filter(process -> !process.health().equals("up") || process.reason() != null)
                .forEach(process -> notUp.add(process.name() + " is " + process.health() + because(process.reason())));
        jobs.stream()
                .filter(job -> !job.state().equals("RUNNING") || job.reason() != null)
                .forEach(job -> notUp.add("job " + job.stream() + " is " + job.state() + because(job.reason())));
        return notUp;
    }

    private static String because(String reason) {
        return reason == null ? "" : ": " + reason.replaceAll("\\s*\\R\\s*", " ");
    }

    /** What the command ends with: 0 where all of it runs. */
    public int exitCode() {
        if (nothingRuns()) {
            return NOTHING_RUNS;
        }
        return notUp().isEmpty() ? 0 : SOME_NOT_UP;
    }

    private boolean nothingRuns() {
        return processes.stream().allMatch(process -> process.pid() == null);
    }

    public String json() {
        try {
            return new ObjectMapper().writeValueAsString(this);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e);
        }
    }

    /** For people. */
    public String table() {
        StringBuilder text = new StringBuilder("%-14s %8s %6s  %s%n".formatted("process", "pid", "port", "health"));
        processes.forEach(it -> text.append(
                "%-14s %8s %6s  %s%n".formatted(it.name(), known(it.pid()), known(it.port()), it.health())));
        text.append("%n%-14s %-12s %12s %12s %12s %13s%n"
                .formatted("stream", "job", "received", "unique", "duplicate", "dead-lettered"));
        jobs.forEach(it -> text.append("%-14s %-12s %12s %12s %12s %13s%n"
                .formatted(
                        it.stream(),
                        it.state(),
                        known(it.received()),
                        known(it.unique()),
                        known(it.duplicate()),
                        known(it.deadLettered()))));
        if (nothingRuns()) {
            text.append("%nnothing runs: start it with ./dedup up%n".formatted());
        } else if (!notUp().isEmpty()) {
            text.append("%nnot all of it runs:%n".formatted());
            notUp().forEach(problem -> text.append("  %s%n".formatted(problem)));
        }
        return text.toString();
    }

    private static String known(Number number) {
        return number == null ? "-" : number.toString();
    }
}
