package io.github.eventdedup.local;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What runs and what was counted, asked of the processes themselves.
 *
 * @param processes in the order they are started
 * @param jobs one for each stream
 */
@JsonInclude(JsonInclude.Include.ALWAYS)
record Status(List<ProcessStatus> processes, List<JobStatus> jobs) {

    private static final String NOT_RUNNING = "NOT_RUNNING";
    private static final Duration METRICS_PAUSE = Duration.ofMillis(500);

    /**
     * @param pid null where it does not run
     * @param port null where it is asked at no port of its own
     * @param health {@code up} where it answers, {@code starting} where it runs but does not answer, or {@code down}
     */
    record ProcessStatus(String name, Long pid, Integer port, String health) {}

    /**
     * @param state Flink's word, or {@code NOT_RUNNING} where the cluster has no such job
     * @param received records read from the raw topic; this and the other counts null where the job cannot be asked
     * @param unique stored, each once
     * @param duplicate dropped
     * @param deadLettered kept aside, unreadable or refused by the database
     */
    record JobStatus(String stream, String state, Long received, Long unique, Long duplicate, Long deadLettered) {

        /** What the job's metrics, summed over its tasks, say about events. */
        static JobStatus of(String stream, String state, Map<String, Long> sums) {
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

    static Status of(Layout layout) {
        RunState runState = new RunState(layout.run());
        LocalSystem system = new LocalSystem(layout, runState);
        FlinkRest flink = new FlinkRest(layout.flinkPort());
        // The JobManager fetches metrics when somebody asks, and answers with what it had before: ask twice.
        jobs(system, flink, runState);
        long asked = System.nanoTime();
        List<ProcessStatus> processes = system.parts().parallelStream()
                .map(part -> process(part, runState))
                .toList();
        Duration left = METRICS_PAUSE.minusNanos(System.nanoTime() - asked);
        if (!left.isNegative()) {
            FlinkRest.sleep(left);
        }
        return new Status(processes, jobs(system, flink, runState));
    }

    private static List<JobStatus> jobs(LocalSystem system, FlinkRest flink, RunState runState) {
        if (runState.process(system.jobManager.name()).isEmpty()) {
            // Another system's may answer at that port.
            return system.jobs.stream()
                    .map(job -> JobStatus.of(job.stream(), NOT_RUNNING, Map.of()))
                    .toList();
        }
        return system.jobs.stream().map(job -> job(job.stream(), flink)).toList();
    }

    private static ProcessStatus process(Part part, RunState runState) {
        Optional<ProcessHandle> process = runState.process(part.name());
        String health = process.isEmpty() ? "down" : part.answers().getAsBoolean() ? "up" : "starting";
        return new ProcessStatus(
                part.name(),
                process.map(ProcessHandle::pid).orElse(null),
                part.port() == 0 ? null : part.port(),
                health);
    }

    private static JobStatus job(String stream, FlinkRest flink) {
        String state = NOT_RUNNING;
        try {
            Optional<FlinkRest.Job> job = flink.job(stream);
            if (job.isPresent()) {
                state = job.get().state();
                return JobStatus.of(stream, state, flink.counts(job.get()));
            }
        } catch (IOException | LocalException e) {
            // The JobManager is away, or the job went away while it was asked about: nothing is known.
        }
        return JobStatus.of(stream, state, Map.of());
    }

    /** What does not run, in words; empty where everything does. */
    List<String> notUp() {
        List<String> notUp = new ArrayList<>();
        processes.stream()
                .filter(process -> !process.health().equals("up"))
                .forEach(process -> notUp.add(process.name() + " is " + process.health()));
        jobs.stream()
                .filter(job -> !job.state().equals("RUNNING"))
                .forEach(job -> notUp.add("job " + job.stream() + " is " + job.state()));
        return notUp;
    }

    String json() {
        try {
            return new ObjectMapper().writeValueAsString(this);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e);
        }
    }

    /** For people. */
    String table() {
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
        return text.toString();
    }

    private static String known(Number number) {
        return number == null ? "-" : number.toString();
    }
}
