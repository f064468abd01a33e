package io.github.eventdedup.local;

import io.github.eventdedup.local.system.FlinkCluster;
import io.github.eventdedup.local.system.FlinkRest;
import io.github.eventdedup.local.system.Layout;
import io.github.eventdedup.local.system.LocalException;
import io.github.eventdedup.local.system.LocalSystem;
import io.github.eventdedup.local.system.RunState;
import io.github.eventdedup.local.system.Status;
import io.github.eventdedup.local.system.Supervisor;
import io.github.eventdedup.servers.ChildProcess;
import io.github.eventdedup.servers.ServerException;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** The command {@code ./dedup}. */
@Command(
        name = "dedup",
        header = "The Event Deduplicator on this machine: stores every event exactly once, however often it is sent.",
        description = {
            "",
            "  POST http://127.0.0.1:8001/api-fast/view-event -> Kafka -> Flink -> Postgres",
            "  rows of Postgres' table user_logins            -> Kafka -> Flink -> ClickHouse",
            "",
            "Everything listens on loopback. Data stays in the data directory.",
            ""
        },
        synopsisSubcommandLabel = "COMMAND")
final class Dedup implements Runnable {

    /** A stop waits for savepoints. */
    private static final Duration STOP_TIMEOUT = Duration.ofMinutes(5);

    /** Flink ends a TaskManager whose tasks do not end within three minutes. */
    private static final Duration CANCEL_TIMEOUT = Duration.ofMinutes(4);

    @Spec
    private CommandLine.Model.CommandSpec spec;

    private static final class Place {

        @Option(
                names = "--data-dir",
                paramLabel = "DIR",
                description = "where data, logs and state are (default: .dedup in the project)")
        private Path dataDir;

        @Option(
                names = "--port-offset",
                paramLabel = "N",
                description =
                        "added to every port, to run several systems side by side (default: that of what runs in DIR,"
                                + " otherwise 0)")
        private Integer portOffset;

        Layout layout() {
            Path home = Path.of(System.getProperty("dedup.home", "")).toAbsolutePath();
            if (dataDir != null && dataDir.toString().isBlank()) {
                throw new LocalException("--data-dir: is empty; give a directory, or leave the option out");
            }
            Path data = (dataDir == null ? home.resolve(".dedup") : dataDir)
                    .toAbsolutePath()
                    .normalize();
            if (!data.toUri().getRawPath().replaceFirst("/$", "").equals(data.toString())) {
                // Parts of it take a path as it is, and others escape it: they would work in two directories.
                throw new LocalException("--data-dir " + data
                        + ": Flink accepts no blanks, % or letters beyond ASCII in it; give another directory");
            }
            if (portOffset != null && (portOffset < 0 || portOffset > 65535 - 9092)) {
                throw new LocalException("--port-offset " + portOffset + ": give a number from 0 to " + (65535 - 9092));
            }
            Layout layout = new Layout(home, data, portOffset == null ? 0 : portOffset, true);
            RunState.Options running = new RunState(layout.run())
                    .options()
                    .orElse(new RunState.Options(layout.portOffset(), layout.withClickHouse()));
            if (portOffset != null && portOffset != running.portOffset()) {
                throw new LocalException("what runs in " + layout.data() + " has --port-offset " + running.portOffset()
                        + ": leave the option out, or stop it first with ./dedup down");
            }
            return new Layout(layout.home(), layout.data(), running.portOffset(), running.withClickHouse());
        }
    }

    public static void main(String[] arguments) {
        CommandLine line = new CommandLine(new Dedup());
        // What is not ours there belongs to what they start, options and all.
        for (String command : List.of("flink", "relay", "dead-letters", "load", "audit", "prove")) {
            line.getSubcommands().get(command).setUnmatchedOptionsArePositionalParams(true);
        }
        line.setExecutionExceptionHandler((e, command, parsed) -> {
            if (e instanceof LocalException || e instanceof ServerException) {
                System.err.println(e.getMessage());
            } else if (e instanceof IOException failed) {
                System.err.println(Layout.reason(failed));
            } else if (e instanceof UncheckedIOException failed) {
                System.err.println(Layout.reason(failed.getCause()));
            } else {
                System.err.println("unexpected error, please report it: " + e);
                e.printStackTrace();
            }
            return 1;
        });
        System.exit(line.execute(arguments));
    }

    @Override
    public void run() {
        spec.commandLine().usage(System.out);
    }

    @Command(
            mixinStandardHelpOptions = true,
            description = "Start everything, or continue from the last stop. Ctrl-C stops it again.",
            exitCodeListHeading = "With --detach it ends with%n",
            exitCodeList = {"0:all of it runs", "1:nothing was started", "3:it runs, but for a job or a relay"})
    int up(
            @Mixin Place place,
            @Option(names = "--detach", description = "return when it is ready, and leave it running") boolean detach,
            @Option(names = "--fresh", description = "discard the jobs' state; a copy of it stays on disk")
                    boolean fresh,
            @Option(
                            names = "--without-clickhouse",
                            description = "leave out ClickHouse, and the streams that are stored there")
                    boolean withoutClickHouse)
            throws IOException {
        if (fresh && withoutClickHouse) {
            // Their state would be gone too, and the next up would store their rows a second time.
            throw new LocalException("--fresh would also discard the state of the streams that are left out with"
                    + " --without-clickhouse: give one of the two");
        }
        Layout there = place.layout();
        Layout layout = new Layout(there.home(), there.data(), there.portOffset(), !withoutClickHouse);
        layout.checkWritable();
        if (detach) {
            return detached(layout, fresh);
        }
        new Supervisor(layout, System.out).run(fresh);
        return 0;
    }

    /** Starts the supervisor as a process of its own and shows what it says until it is ready or has ended. */
    private static int detached(Layout layout, boolean fresh) throws IOException {
        Path log = layout.log("supervisor");
        Files.createDirectories(log.getParent());
        // nohup: closing the terminal must not stop what was left running on purpose.
        List<String> command = new ArrayList<>(List.of("nohup", Layout.java()));
        command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), Dedup.class.getName(), "up"));
        command.addAll(List.of("--data-dir", layout.data().toString(), "--port-offset", "" + layout.portOffset()));
        if (fresh) {
            command.add("--fresh");
        }
        if (!layout.withClickHouse()) {
            command.add("--without-clickhouse");
        }
        RunState runState = new RunState(layout.run());
        if (runState.process(RunState.SUPERVISOR).isEmpty()) {
            ChildProcess.putAsideIfLong(log);
        }
        try (Tail tail = new Tail(log)) {
            Process supervisor = new ProcessBuilder(command)
                    .redirectInput(Path.of("/dev/null").toFile())
                    .redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()))
                    .start();
            // Ctrl-C while it is starting: nothing is left running.
            Thread abandon = new Thread(() -> {
                supervisor.destroy();
                supervisor.onExit().join();
            });
            Runtime.getRuntime().addShutdownHook(abandon);
            while (supervisor.isAlive() && !runState.isReady(supervisor.toHandle())) {
                tail.show();
                FlinkRest.sleep(Duration.ofMillis(100));
            }
            tail.show();
            Runtime.getRuntime().removeShutdownHook(abandon);
            if (!supervisor.isAlive()) {
                return 1;
            }
            return runState.problems().isEmpty() ? 0 : Status.SOME_NOT_UP;
        }
    }

    @Command(
            mixinStandardHelpOptions = true,
            description = "Stop everything, the jobs with a savepoint first. Nothing is lost: up continues from there.")
    int down(@Mixin Place place) throws IOException {
        Layout layout = place.layout();
        RunState runState = new RunState(layout.run());
        Optional<ProcessHandle> supervisor = runState.process(RunState.SUPERVISOR);
        if (supervisor.isEmpty()) {
            if (Files.exists(layout.run()) && !runState.lock()) {
                throw new LocalException("another ./dedup is starting or stopping " + layout.data() + ": try again");
            }
            if (!Files.exists(layout.run()) || !new Supervisor(layout, System.out).stopOrphans()) {
                System.out.println("nothing is running in " + layout.data());
            }
            return 0;
        }
        Path log = layout.log("supervisor");
        Files.createDirectories(log.getParent());
        try (Tail tail = new Tail(log)) {
            supervisor.get().destroy();
            long deadline = System.nanoTime() + STOP_TIMEOUT.toNanos();
            while (supervisor.get().isAlive()) {
                if (System.nanoTime() > deadline) {
                    throw new LocalException("still stopping after " + STOP_TIMEOUT.toMinutes() + " minutes: see " + log
                            + ", or end pid " + supervisor.get().pid() + " and run ./dedup down again");
                }
                tail.show();
                FlinkRest.sleep(Duration.ofMillis(100));
            }
            tail.show();
        }
        return 0;
    }

    @Command(
            mixinStandardHelpOptions = true,
            description = "Show every process and what each stream's job has counted.",
            exitCodeListHeading = "It ends with%n",
            exitCodeList = {
                "0:all of it runs",
                "1:unknown",
                "3:a process is down or does not answer, or a job does not run or fails again and again",
                "4:nothing runs"
            })
    int status(@Mixin Place place, @Option(names = "--json", description = "for programs, on one line") boolean json) {
        Status status = Status.of(place.layout());
        System.out.print(json ? status.json() + System.lineSeparator() : status.table());
        return status.exitCode();
    }

    @Command(description = "Flink's own command line on this cluster, such as: flink list, flink savepoint JOB.")
    int flink(@Mixin Place place, @Parameters(arity = "0..*", paramLabel = "ARGUMENT") List<String> arguments)
            throws IOException, InterruptedException {
        List<String> forFlink = arguments == null ? List.of("--help") : arguments;
        Layout layout = place.layout();
        int status = new FlinkCluster(layout).commandLine(forFlink).start().waitFor();
        return status == 0 && forFlink.get(0).equals("cancel") ? awaitCancelled(layout, forFlink) : status;
    }

    /** Flink's command returns when the request has arrived; the tasks may still be storing what they have begun. */
    private static int awaitCancelled(Layout layout, List<String> arguments) {
        FlinkRest flink = new FlinkRest(layout.flinkPort());
        for (String job : arguments) {
            if (!job.matches("[0-9a-f]{32}")) {
                continue;
            }
            System.out.println("Waiting until the tasks of job " + job + " have ended.");
            try {
                String state = flink.awaitOver(job, CANCEL_TIMEOUT);
                System.out.println("Job " + job + " is " + state + ".");
            } catch (IOException e) {
                throw new LocalException("job " + job + " may still write: the JobManager does not answer", e);
            }
        }
        return 0;
    }

    @Command(description = "The relay's own command line on this system: relay --once sends what is unsent, and ends.")
    int relay(@Mixin Place place, @Parameters(arity = "0..*", paramLabel = "ARGUMENT") List<String> arguments)
            throws IOException, InterruptedException {
        return LocalSystem.relay(place.layout(), arguments == null ? List.of() : arguments)
                .start()
                .waitFor();
    }

    @Command(
            name = "dead-letters",
            description = "List, show, replay and discard events that could not be stored; see dead-letters --help.")
    int deadLetters(@Mixin Place place, @Parameters(arity = "0..*", paramLabel = "ARGUMENT") List<String> arguments)
            throws IOException, InterruptedException {
        return LocalSystem.deadLetters(place.layout(), arguments == null ? List.of() : arguments)
                .start()
                .waitFor();
    }

    @Command(description = "Send view events as clients do, duplicates among them, and measure; see load --help.")
    int load(@Mixin Place place, @Parameters(arity = "0..*", paramLabel = "ARGUMENT") List<String> arguments)
            throws IOException, InterruptedException {
        return LocalSystem.proof(place.layout(), "load", arguments).start().waitFor();
    }

    @Command(description = "Check that every event that was sent is stored exactly once; see audit --help.")
    int audit(@Mixin Place place, @Parameters(arity = "0..*", paramLabel = "ARGUMENT") List<String> arguments)
            throws IOException, InterruptedException {
        return LocalSystem.proof(place.layout(), "audit", arguments).start().waitFor();
    }

    @Command(
            description =
                    "Prove it here: load on both streams while processes are killed, paused and restarted, then an audit of every"
                            + " event. Exit 0 where none is lost and none is stored twice.")
    int prove(@Mixin Place place, @Parameters(arity = "0..*", paramLabel = "ARGUMENT") List<String> arguments)
            throws IOException, InterruptedException {
        Layout layout = place.layout();
        List<String> forProof = new ArrayList<>(List.of(
                "--dedup",
                layout.home().resolve("dedup").toString(),
                "--data-dir",
                layout.data().toString(),
                "--port-offset",
                "" + layout.portOffset()));
        forProof.addAll(arguments == null ? List.of() : arguments);
        Process process = LocalSystem.proof(layout, "prove", forProof).start();
        // It leaves the system as it was: what ends this command waits for that.
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            process.destroy();
            process.onExit().join();
        }));
        return process.waitFor();
    }

    /** Shows what is appended to a file from now on. */
    private static final class Tail implements AutoCloseable {

        private final RandomAccessFile file;

        Tail(Path path) throws IOException {
            file = new RandomAccessFile(path.toFile(), "rw");
            file.seek(file.length());
        }

        void show() throws IOException {
            byte[] more = new byte[(int) Math.min(1 << 20, file.length() - file.getFilePointer())];
            file.readFully(more);
            System.out.write(more, 0, more.length);
            System.out.flush();
        }

        @Override
        public void close() throws IOException {
            file.close();
        }
    }
}
