package io.github.eventdedup.proof.prove;

import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.proof.prove.faults.Fault;
import io.github.eventdedup.proof.prove.faults.Fault.Kind;
import io.github.eventdedup.proof.prove.faults.FaultInjector;
import io.github.eventdedup.proof.prove.faults.FaultPlan;
import io.github.eventdedup.proof.system.Databases;
import io.github.eventdedup.proof.system.DedupScript;
import io.github.eventdedup.proof.system.Endpoints;
import io.github.eventdedup.proof.system.Flink;
import io.github.eventdedup.proof.system.ProofException;
import io.github.eventdedup.proof.system.SystemStatus;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ThreadLocalRandom;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * The command {@code ./dedup prove}: load on both streams, faults meanwhile, and then the audit of every event.
 *
 * <p>Load and audit are processes of their own, which know nothing of the faults, as the faults know nothing of them. The
 * system is another program's: it is started, stopped and looked at with {@code ./dedup}.
 */
@Command(
        name = "prove",
        mixinStandardHelpOptions = true,
        description =
                "Prove it here: load on both streams while processes are killed, paused and restarted, then an audit of every"
                        + " event. Exit 0 where none is lost and none is stored twice.",
        footer = {
            "",
            "Runs on the system that is up, or starts one and stops it again. Writes report.md, report.json and",
            "plot.svg to DIR/reports/. The same seed, minutes and faults give the same plan of faults; the events are",
            "others each time, for the same again would be duplicates."
        })
public final class Prove implements Callable<Integer> {

    @Option(names = "--dedup", hidden = true, paramLabel = "FILE", defaultValue = "dedup")
    private Path script;

    @Option(
            names = "--data-dir",
            paramLabel = "DIR",
            description = "where data, logs and state are (default: .dedup in the project)")
    private Path dataDir;

    @Option(
            names = "--port-offset",
            paramLabel = "N",
            description = "added to every port, to run several systems side by side (default: that of what runs in DIR,"
                    + " otherwise 0)")
    private int portOffset;

    @Option(
            names = "--minutes",
            paramLabel = "N",
            defaultValue = "10",
            description = "how long, as in 10 or 0.5 (default: ${DEFAULT-VALUE})")
    private double minutes;

    @Option(
            names = "--seed",
            paramLabel = "N",
            description = "decides the plan of faults (default: another one each time; it is printed)")
    private Long seed;

    @Option(
            names = "--faults",
            paramLabel = "LIST",
            defaultValue = "kill,pause,pairs,rescale,restart,reject,clock",
            description = {
                "which, separated by commas, or none (default: all):",
                "kill: kill -9 of one process",
                "pause: SIGSTOP of one process, SIGCONT after 10 to 40 s",
                "pairs: two processes at once, each killed or paused",
                "rescale: a job is stopped with a savepoint and restored with another parallelism",
                "restart: down and up",
                "reject: a table rejects some rows for 5 to 15 s, then their dead letters are replayed",
                "clock: Kafka's clock steps by 90 s or an hour, and back after 5 to 15 s"
            })
    private String faults;

    @Option(
            names = "--rate",
            paramLabel = "N",
            defaultValue = "300",
            description = "view events a second (default: ${DEFAULT-VALUE})")
    private int rate;

    @Option(
            names = "--batch",
            paramLabel = "N",
            defaultValue = "1",
            description = "view events in a request (default: ${DEFAULT-VALUE})")
    private int batch;

    @Option(
            names = "--wait",
            paramLabel = "SECONDS",
            defaultValue = "120",
            description = "how long the last events may take to be stored (default: ${DEFAULT-VALUE}); what is"
                    + " missing then counts as lost")
    private int wait;

    /** Exits with 0 where it is proved, otherwise with 1. */
    @Override
    public Integer call() throws ConfigurationException, InterruptedException {
        ProveOptions options = options();
        Endpoints endpoints = Endpoints.of(System.getenv());
        RunDirectory directory = new RunDirectory(endpoints.files().reports(), options.seed(), System.out);
        Path project = script.toAbsolutePath().getParent();
        DedupScript dedup = new DedupScript(
                script.toAbsolutePath(),
                dataDir == null ? project.resolve(".dedup") : dataDir,
                portOffset,
                directory.file("commands.log"));
        try {
            return prove(options, endpoints, dedup, directory);
        } catch (IOException e) {
            throw new ProofException(e.getMessage() == null ? e.toString() : e.getMessage(), e);
        }
    }

    private static int prove(ProveOptions options, Endpoints endpoints, DedupScript dedup, RunDirectory directory)
            throws IOException, InterruptedException {
        String command = options.commandLine(dedup);
        System.out.println("seed " + options.seed() + ", to repeat it: " + command);
        SystemStatus status = dedup.status();
        if (!status.processes().contains("clickhouse")) {
            throw new ProofException("what runs in " + dedup.data() + " was started --without-clickhouse, and both"
                    + " streams are part of the proof: stop it with ./dedup down, and call this again");
        }
        List<Fault> plan = plan(options, status);
        if (status.supervisor().equals("starting")) {
            throw new ProofException("another ./dedup is starting or stopping " + dedup.data() + ": try again");
        }
        directory.create();
        Databases databases = new Databases(endpoints);
        Flink flink = new Flink(endpoints.flink());
        FaultInjector injector = new FaultInjector(dedup, flink, databases, endpoints.streamsDirectory(), status);
        try (BorrowedSystem system = new BorrowedSystem(dedup, status, injector, directory)) {
            system.up();
            LoadPhase.Outcome load = new LoadPhase(options, plan, injector, databases, directory).run();
            AuditPhase.Outcome audit = new AuditPhase(options, injector, dedup, directory).run(load.injected());
            Machine machine = Machine.of(flink, databases, status);
            return new Conclusion(options, command, directory).draw(load, audit, machine);
        }
    }

    private static List<Fault> plan(ProveOptions options, SystemStatus status) {
        List<Fault> plan = FaultPlan.of(
                options.seed(),
                options.seconds(),
                options.faults(),
                status.processes(),
                status.streams().stream().sorted().toList());
        if (plan.isEmpty() && !options.faults().isEmpty()) {
            throw new ProofException("--minutes " + options.minutes()
                    + " has no room for one of these faults: give it more, or others with --faults");
        }
        return plan;
    }

    private ProveOptions options() {
        if (!(minutes >= 0.1 && minutes <= 10_000)) {
            throw new ProofException("--minutes " + minutes + ": give a number from 0.1 to 10000");
        }
        if (rate < 1 || wait < 1 || batch < 1) {
            throw new ProofException("--rate, --batch and --wait: give numbers from 1");
        }
        long chosen = seed == null ? ThreadLocalRandom.current().nextInt(1_000_000) : seed;
        return new ProveOptions(minutes, chosen, kinds(faults), rate, batch, wait);
    }

    private static Set<Kind> kinds(String list) {
        Set<Kind> kinds = EnumSet.noneOf(Kind.class);
        if (list.equals("none")) {
            return kinds;
        }
        for (String word : list.split(",", -1)) {
            kinds.add(
                    Arrays.stream(Kind.values())
                            .filter(kind -> kind.word().equals(word.strip()))
                            .findFirst()
                            .orElseThrow(
                                    () -> new ProofException(
                                            "--faults " + list + ": '" + word
                                                    + "' is none of them; give some of kill,pause,pairs,rescale,restart,reject,clock, or none")));
        }
        return kinds;
    }
}
