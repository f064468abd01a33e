package io.github.eventdedup.local.system;

import io.github.eventdedup.servers.ServerException;
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

    private static final Duration FIRST_PAUSE = Duration.ofSeconds(1);
    private static final Duration LONGEST_PAUSE = Duration.ofSeconds(30);

    /** A part that ran this long had started well: its next end is a new story. */
    private static final Duration STEADY = Duration.ofMinutes(1);

    private static final Duration JOB_PATIENCE = Duration.ofMinutes(2);

    /** A job may fail once or twice while everything starts. */
    private static final int FAILURES_TO_REPORT = 3;

    /** How often a job is asked why it fails, if it does. */
    private static final Duration LOOK = Duration.ofSeconds(5);

    private static final Duration ORPHAN_PATIENCE = Duration.ofSeconds(30);

    private final Layout layout;
    private final RunState runState;
    private final LocalSystem system;
    private final PrintStream out;
    private final Instant begin = Instant.now();
    private final ExecutorService threads = Executors.newCachedThreadPool(task -> {
        Thread thread = new Thread(task, "supervise");
        thread.setDaemon(true);
        return thread;
    });
    private volatile boolean stopping;
    private volatile boolean failed;

    public Supervisor(Layout layout, PrintStream out) {
        this.layout = layout;
        this.out = out;
        runState = new RunState(layout.run());
        system = new LocalSystem(layout, runState);
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
        layout.definitions().warnings().forEach(this::say);
        checkPorts();
        if (layout.withClickHouse()) {
            system.installClickHouse(this::say);
        }
        Runtime.getRuntime().addShutdownHook(new Thread(this::shutDown, "shut-down"));
        if (fresh) {
            system.setStateAside();
        }
        try {
            start();
        } catch (RuntimeException e) {
            // What went wrong is the one thing to say.
            failed = true;
            throw e;
        }
        Map<String, String> problems = runState.problems();
        out.println();
        out.println(
                problems.isEmpty()
                        ? "Ready after " + seconds() + " s."
                        : "The ingest accepts events after " + seconds() + " s, but not all of it runs:");
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
        system.jobs.forEach(
                job -> steps.put("job " + job.stream(), forJobs.thenRunAsync(() -> startJob(job), threads)));
        awaitAll(steps);
    }

    private CompletableFuture<Void> start(ManagedProcess part, CompletableFuture<?>... needed) {
        return CompletableFuture.allOf(needed)
                .thenRunAsync(
                        () -> {
                            startPart(part);
                            inBackground(() -> keepRunning(part));
                        },
                        threads);
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
            startPart(part);
        } catch (RuntimeException e) {
            problem(part.name(), reason(e));
            part.child().kill();
        }
        inBackground(() -> keepRunning(part));
    }

    /** Topics and tables that are there from before serve, whatever keeps new ones from being made. */
    private void setUp() {
        try {
            system.setUp();
        } catch (LocalException e) {
            problem("topics and tables", e.getMessage() + System.lineSeparator() + "then run ./dedup down and up");
        }
    }

    private void problem(String name, String reason) {
        if (!reason.equals(runState.problems().get(name))) {
            say(reason.startsWith(name) ? reason : name + ": " + reason);
        }
        runState.problem(name, reason);
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
                say("waiting for " + missing);
                said = Instant.now();
            }
            FlinkRest.sleep(Duration.ofMillis(100));
        }
    }

    private void startPart(ManagedProcess part) {
        say(part.name() + ": starting");
        part.start().run();
        say(part.name() + ": ready, pid " + part.child().process().pid()
                + (part.port() == 0 ? "" : ", port " + part.port()));
        runState.problem(part.name(), null);
    }

    /** Returns when the job runs, or when it is known that it does not. The others go on either way. */
    private void startJob(StreamJob job) {
        String problem = "does not run after " + JOB_PATIENCE.toMinutes() + " minutes";
        Instant deadline = Instant.now().plus(JOB_PATIENCE);
        boolean runs = false;
        int submissions = 0;
        while (!runs && Instant.now().isBefore(deadline)) {
            try {
                Optional<String> submitted = job.ensureSubmitted();
                submitted.ifPresent(this::say);
                submissions += submitted.isPresent() ? 1 : 0;
                Optional<String> running = job.running();
                running.ifPresent(this::say);
                runs = running.isPresent();
                Optional<String> failing = runs ? Optional.empty() : job.failing();
                problem = failing.orElse(problem);
                if (failing.isPresent() && submissions + job.failures() > FAILURES_TO_REPORT) {
                    break;
                }
            } catch (IOException e) {
                problem = "the JobManager does not answer; see " + layout.log("jobmanager");
            } catch (LocalException e) {
                problem = e.getMessage();
                break;
            }
            FlinkRest.sleep(Duration.ofMillis(200));
        }
        if (!runs) {
            problem(job.name(), problem);
        }
        inBackground(() -> keepRunning(job));
    }

    private void keepRunning(ManagedProcess part) {
        Duration pause = Duration.ZERO;
        while (!stopping) {
            Instant started = Instant.now();
            try {
                int status = part.child().process().waitFor();
                if (stopping) {
                    return;
                }
                if (Duration.between(started, Instant.now()).compareTo(STEADY) > 0) {
                    pause = Duration.ZERO;
                }
                String end = "ended with status " + status
                        + part.child().lastWords().map(words -> ": " + words).orElse("");
                say(part.name() + ": " + end + System.lineSeparator() + "        starting it again"
                        + (pause.isZero() ? "" : " in " + pause.toSeconds() + " s"));
                runState.problem(part.name(), end);
                Thread.sleep(pause.toMillis());
                pause = longer(pause);
                startPart(part);
            } catch (RuntimeException e) {
                // Also a full disk, where what was started cannot be recorded: one that nobody watches would stay down.
                if (!stopping) {
                    problem(part.name(), reason(e));
                    // Running but not ready is as good as not running.
                    part.child().kill();
                    FlinkRest.sleep(FIRST_PAUSE);
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return;
            }
        }
    }

    private static Duration longer(Duration pause) {
        Duration next = pause.isZero() ? FIRST_PAUSE : pause.multipliedBy(2);
        return next.compareTo(LONGEST_PAUSE) > 0 ? LONGEST_PAUSE : next;
    }

    private void keepRunning(StreamJob job) {
        Duration pause = Duration.ZERO;
        Instant acted = Instant.now();
        Instant looked = Instant.now();
        while (!stopping) {
            Optional<String> news = Optional.empty();
            Optional<String> refusal = Optional.empty();
            try {
                FlinkRest.sleep(FIRST_PAUSE.plus(pause));
                if (!stopping) {
                    news = job.ensureSubmitted();
                    if (news.isEmpty()
                            && Duration.between(looked, Instant.now()).compareTo(LOOK) > 0) {
                        looked = Instant.now();
                        lookAt(job);
                    }
                }
            } catch (IOException e) {
                // The JobManager is unavailable; its own part says so.
            } catch (RuntimeException e) {
                refusal = Optional.of(reason(e));
            }
            if (stopping) {
                return;
            }
            news.ifPresent(this::say);
            // Said once, and in the status from then on.
            refusal.ifPresent(reason -> problem(job.name(), reason));
            boolean steady = Duration.between(acted, Instant.now()).compareTo(STEADY) > 0;
            if (news.isPresent() || refusal.isPresent()) {
                // A job that fails as soon as it runs is not helped by being submitted every second.
                pause = longer(steady ? Duration.ZERO : pause);
                acted = Instant.now();
            } else if (steady) {
                pause = Duration.ZERO;
            }
        }
    }

    /** Says once that a job fails and why, and once that it runs again. */
    private void lookAt(StreamJob job) throws IOException {
        String known = runState.problems().get(job.name());
        Optional<String> failing = job.failing();
        if (failing.isPresent()) {
            if (known == null) {
                say(job.name() + ": fails and is started again: " + failing.get());
            }
            runState.problem(job.name(), failing.get());
        } else if (known != null && job.isLeftAlone()) {
            runState.problem(job.name(), null);
        } else if (known != null && job.running().isPresent()) {
            say(job.name() + ": runs again");
            runState.problem(job.name(), null);
        }
    }

    private static String reason(RuntimeException e) {
        return e instanceof LocalException || e instanceof ServerException ? e.getMessage() : e.toString();
    }

    private void shutDown() {
        stopping = true;
        attempt("supervisor", () -> runState.ready(false));
        say("stopping");
        // Not started, its port may be somebody else's by now.
        if (system.jobManager.child().isAlive()) {
            system.jobs.forEach(
                    job -> attempt("job " + job.stream(), () -> job.stop().ifPresent(this::say)));
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
                say(part.name() + ": stopped");
            }
            attempt(part.name(), () -> runState.ended(part.name()));
        }
        attempt("supervisor", () -> runState.ended(RunState.SUPERVISOR));
        say("stopped");
    }

    /** What cannot be done must not keep the rest from being stopped. */
    private void attempt(String name, Runnable action) {
        try {
            action.run();
        } catch (RuntimeException e) {
            say(name + ": " + reason(e));
        }
    }

    /**
     * Stops what a supervisor that was killed has left running.
     *
     * @return whether there was anything
     */
    public boolean stopOrphans() {
        boolean found = false;
        boolean jobs = runState.process(system.jobManager.name()).isPresent();
        // Also those of parts that this system leaves out.
        Set<String> names = new LinkedHashSet<>();
        reversed(system.parts()).forEach(part -> names.add(part.name()));
        names.addAll(runState.names());
        names.remove(RunState.SUPERVISOR);
        for (String name : names) {
            Optional<ProcessHandle> orphan = runState.process(name);
            if (orphan.isPresent()) {
                if (!found) {
                    say("an earlier supervisor was killed: stopping what it left running");
                    // Without a JobManager of ours, what answers at its port is another system.
                    if (jobs) {
                        system.jobs.forEach(job -> job.stop().ifPresent(this::say));
                    }
                }
                found = true;
                stop(orphan.get());
                say(name + ": stopped, pid " + orphan.get().pid());
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

    private long seconds() {
        return Duration.between(begin, Instant.now()).toSeconds();
    }

    private synchronized void say(String line) {
        if (failed) {
            return;
        }
        out.printf("%4d s  %s%n", seconds(), line);
        out.flush();
    }
}
