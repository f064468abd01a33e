package io.github.eventdedup.local.system;

import java.io.IOException;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;

/**
 * Starts the parts, keeps them running, and stops them in good order when this JVM is told to end. One for a data
 * directory. Everything it says goes to one stream, a line each.
 */
public final class Supervisor {

    private static final Duration ORPHAN_PATIENCE = Duration.ofSeconds(30);

    private final Layout layout;
    private final RunState runState;
    private final LocalSystem system;
    private final PrintStream out;
    private final Notices notices;
    private final ProcessKeeper processes;
    private final JobKeeper jobs;
    private final ExecutorService threads = Executors.newCachedThreadPool(task -> {
        Thread thread = new Thread(task, "supervise");
        thread.setDaemon(true);
        return thread;
    });
    private volatile boolean stopping;

    public Supervisor(Layout layout, PrintStream out) {
        this.layout = layout;
        this.out = out;
        runState = new RunState(layout.run());
        system = new LocalSystem(layout, runState);
        notices = new Notices(out, runState);
        processes = new ProcessKeeper(runState, notices, () -> stopping);
        jobs = new JobKeeper(layout, runState, notices, () -> stopping);
    }

    /**
     * Runs the system until this JVM is told to end. Does not return.
     *
     * @param fresh whether the jobs start without the state they had
     * @throws LocalException where it cannot be started; what was started is stopped when the JVM exits
     */
    public void run(boolean fresh) {
        if (!runState.lock()) {
            throw new LocalException("already running: "
                    + runState.process(RunState.SUPERVISOR)
                            .map(process -> "pid " + process.pid())
                            .orElse("another ./dedup uses " + layout.data())
                    + ", ingest at http://127.0.0.1:"
                    + layout.ingestPort() + ", Flink UI at http://127.0.0.1:" + layout.flinkPort()
                    + "; ./dedup down stops it");
        }
        // At once, for a down that comes early.
        runState.supervising(new RunState.Options(layout.portOffset(), layout.withClickHouse()));
        runState.ready(false);
        system.checkBuilt();
        stopOrphans();
        layout.definitions().warnings().forEach(notices::say);
        checkPorts();
        if (layout.withClickHouse()) {
            system.installClickHouse(notices::say);
        }
        Runtime.getRuntime().addShutdownHook(new Thread(this::shutDown, "shut-down"));
        if (fresh) {
            system.setStateAside();
        }
        try {
            start();
        } catch (RuntimeException e) {
            notices.silence();
            throw e;
        }
        Map<String, String> problems = runState.problems();
        out.println();
        out.println(
                problems.isEmpty()
                        ? "Ready after " + notices.seconds() + " s."
                        : "The ingest accepts events after " + notices.seconds() + " s, but not all of it runs:");
        problems.forEach((name, reason) -> out.println("  " + name + ": " + reason.replace("\n", "\n    ")));
        out.print(layout.addresses());
        out.println("""

                  try  curl -i -H 'Content-Type: application/json' http://127.0.0.1:%d/api-fast/view-event -d \
                '{"userId":"u1","content_id":"1810111","event_name":"watch","event_datetime":"2025-05-01T00:00:00.004Z",\
                "sid":"3423943363"}'
                """.formatted(layout.ingestPort()));
        runState.ready(true);
        try {
            threads.awaitTermination(Long.MAX_VALUE, TimeUnit.DAYS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Each part, and each job, as soon as what it needs is there. */
    private void start() {
        system.configureFlink();
        CompletableFuture<Void> kafka = start(system.kafka);
        CompletableFuture<Void> postgres = start(system.postgres);
        CompletableFuture<Void> clickHouse =
                layout.withClickHouse() ? start(system.clickHouse) : CompletableFuture.completedFuture(null);
        CompletableFuture<Void> zooKeeper = start(system.zooKeeper);
        CompletableFuture<Void> jobManager = start(system.jobManager);
        CompletableFuture<Void> taskManager = start(system.taskManager);
        CompletableFuture<Void> topicsAndTables =
                CompletableFuture.allOf(kafka, postgres, clickHouse).thenRunAsync(this::setUp, threads);

        Map<String, CompletableFuture<Void>> steps = new LinkedHashMap<>();
        steps.put("kafka", kafka);
        steps.put("postgres", postgres);
        steps.put("clickhouse", clickHouse);
        steps.put("zookeeper", zooKeeper);
        steps.put("jobmanager", jobManager);
        steps.put("taskmanager", taskManager);
        steps.put("topics and tables", topicsAndTables);
        steps.put("ingest", start(system.ingest, topicsAndTables));
        system.relays.forEach(
                relay -> steps.put(relay.name(), topicsAndTables.thenRunAsync(() -> startOrReport(relay), threads)));
        CompletableFuture<Void> forJobs = CompletableFuture.allOf(topicsAndTables, zooKeeper, jobManager, taskManager);
        system.jobs.forEach(job -> steps.put("job " + job.stream(), forJobs.thenRunAsync(() -> start(job), threads)));
        awaitAll(steps);
    }

    private CompletableFuture<Void> start(ManagedProcess part, CompletableFuture<?>... needed) {
        return CompletableFuture.allOf(needed)
                .thenRunAsync(
                        () -> {
                            processes.start(part);
                            inBackground(() -> processes.keepRunning(part));
                        },
                        threads);
    }

    /** The others go on, whether the job runs or not. */
    private void start(StreamJob job) {
        jobs.start(job);
        inBackground(() -> jobs.keepRunning(job));
    }

    /** Nothing is kept running by a supervisor that stops. */
    private void inBackground(Runnable task) {
        try {
            threads.execute(task);
        } catch (RejectedExecutionException e) {
            if (!stopping) {
                throw e;
            }
        }
    }

    /** For a part without which the others are of use: it is tried again and again. */
    private void startOrReport(ManagedProcess part) {
        try {
            processes.start(part);
        } catch (RuntimeException e) {
            notices.problem(part.name(), Notices.reason(e));
            part.child().kill();
        }
        inBackground(() -> processes.keepRunning(part));
    }

    /** Topics and tables that are there from before serve, whatever keeps new ones from being made. */
    private void setUp() {
        try {
            system.setUp();
        } catch (LocalException e) {
            notices.problem(
                    "topics and tables", e.getMessage() + System.lineSeparator() + "then run ./dedup down and up");
        }
    }

    /** Returns when all are done, or throws what the first to fail has thrown. */
    private void awaitAll(Map<String, CompletableFuture<Void>> steps) {
        Instant said = Instant.now();
        while (true) {
            for (CompletableFuture<Void> step : steps.values()) {
                if (step.isCompletedExceptionally()) {
                    try {
                        step.join();
                    } catch (CompletionException e) {
                        throw e.getCause() instanceof RuntimeException cause ? cause : e;
                    }
                }
            }
            String missing = steps.entrySet().stream()
                    .filter(step -> !step.getValue().isDone())
                    .map(Map.Entry::getKey)
                    .collect(Collectors.joining(", "));
            if (missing.isEmpty()) {
                return;
            }
            if (Duration.between(said, Instant.now()).toSeconds() >= 5) {
                notices.say("waiting for " + missing);
                said = Instant.now();
            }
            FlinkRest.sleep(Duration.ofMillis(100));
        }
    }

    private void shutDown() {
        stopping = true;
        attempt("supervisor", () -> runState.ready(false));
        notices.say("stopping");
        // Not started, its port may be somebody else's by now.
        if (system.jobManager.child().isAlive()) {
            system.jobs.forEach(
                    job -> attempt("job " + job.stream(), () -> job.stop().ifPresent(notices::say)));
        }
        threads.shutdownNow();
        try {
            threads.awaitTermination(10, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        for (ManagedProcess part : reversed(system.parts())) {
            if (part.child().isAlive()) {
                attempt(part.name(), part.stop());
                // Does nothing after a stop that went well.
                attempt(part.name(), part.child()::kill);
                notices.say(part.name() + ": stopped");
            }
            attempt(part.name(), () -> runState.ended(part.name()));
        }
        attempt("supervisor", () -> runState.ended(RunState.SUPERVISOR));
        notices.say("stopped");
    }

    /** What cannot be done must not keep the rest from being stopped. */
    private void attempt(String name, Runnable action) {
        try {
            action.run();
        } catch (RuntimeException e) {
            notices.say(name + ": " + Notices.reason(e));
        }
    }

    /**
     * Stops what a supervisor that was killed has left running.
     *
     * @return whether there was anything
     */
    public boolean stopOrphans() {
        boolean found = false;
        boolean hadJobs = runState.process(system.jobManager.name()).isPresent();
        // Also those of parts that this system leaves out.
        Set<String> names = new LinkedHashSet<>();
        reversed(system.parts()).forEach(part -> names.add(part.name()));
        names.addAll(runState.names());
        names.remove(RunState.SUPERVISOR);
        for (String name : names) {
            Optional<ProcessHandle> orphan = runState.process(name);
            if (orphan.isPresent()) {
                if (!found) {
                    notices.say("an earlier supervisor was killed: stopping what it left running");
                    // Without a JobManager of ours, what answers at its port is another system.
                    if (hadJobs) {
                        system.jobs.forEach(job -> job.stop().ifPresent(notices::say));
                    }
                }
                found = true;
                stop(orphan.get());
                notices.say(name + ": stopped, pid " + orphan.get().pid());
            }
            runState.ended(name);
        }
        return found;
    }

    private static void stop(ProcessHandle process) {
        process.destroy();
        try {
            process.onExit().get(ORPHAN_PATIENCE.toSeconds(), TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (ExecutionException | TimeoutException e) {
            process.destroyForcibly();
            process.onExit().join();
        }
    }

    private void checkPorts() {
        Map<Integer, String> wanted = new LinkedHashMap<>();
        system.parts().stream().filter(part -> part.port() != 0).forEach(part -> wanted.put(part.port(), part.name()));
        wanted.forEach((port, name) -> {
            try (ServerSocket socket = new ServerSocket(port, 1, InetAddress.getLoopbackAddress())) {
                socket.getLocalPort();
            } catch (IOException e) {
                throw new LocalException("port " + port + ", which " + name
                        + " needs, is taken: stop what uses it, or move all ports with --port-offset N");
            }
        });
    }

    private static List<ManagedProcess> reversed(List<ManagedProcess> parts) {
        List<ManagedProcess> reversed = new ArrayList<>(parts);
        Collections.reverse(reversed);
        return reversed;
    }
}
