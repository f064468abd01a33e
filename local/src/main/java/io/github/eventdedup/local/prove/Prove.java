package io.github.eventdedup.local.prove;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import com.sun.management.OperatingSystemMXBean;
import io.github.eventdedup.local.prove.Fault.Kind;
import io.github.eventdedup.local.system.DedupScript;
import io.github.eventdedup.local.system.FlinkRest;
import io.github.eventdedup.local.system.Layout;
import io.github.eventdedup.local.system.LocalException;
import io.github.eventdedup.local.system.LocalSystem;
import io.github.eventdedup.local.system.ManagedProcess;
import io.github.eventdedup.local.system.RunState;
import io.github.eventdedup.local.system.Status;
import io.github.eventdedup.servers.PostgresServer;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/**
 * The command {@code ./dedup prove}: load on both streams, faults meanwhile, and then the audit of every event.
 *
 * <p>Load and audit are processes of their own, which know nothing of the faults, as the faults know nothing of them.
 */
public final class Prove {

    private static final DateTimeFormatter STAMP =
            DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'", Locale.ROOT).withZone(ZoneOffset.UTC);
    private static final ObjectMapper JSON = new ObjectMapper();

    private static final String LEDGER = "ledger";
    private static final int REPLAYS = 3;
    private static final String SAMPLES = "samples.csv";

    private static final String UNSENT = "SELECT count(*) FROM user_logins WHERE sent_to_kafka IS NOT TRUE";
    private static final String UNSENT_AND_SET_ASIDE =
            UNSENT + " AND id IN (SELECT row_id FROM outbox_set_aside WHERE table_name = 'user_logins')";

    private final Layout layout;
    private final Options options;
    private final PrintStream out;
    private final Path directory;
    private final DedupScript dedup;
    private final List<Fault> plan;
    private final List<InjectedFault> happened = new ArrayList<>();
    private final List<String> problems = new ArrayList<>();
    private int skipped;

    /** The load, then the audit. */
    private volatile Process child;

    /**
     * What the user asked for.
     *
     * @param waitSeconds how long what was sent may take to be stored, once nothing more is sent
     */
    public record Options(double minutes, long seed, Set<Kind> faults, int rate, int batch, int waitSeconds) {

        int seconds() {
            return (int) Math.round(minutes * 60);
        }

        String commandLine(Layout layout) {
            String kinds = faults.isEmpty()
                    ? "none"
                    : new TreeSet<>(faults).stream().map(Kind::word).collect(Collectors.joining(","));
            return "./dedup prove --minutes " + minutes + " --seed " + seed + " --faults " + kinds + " --rate " + rate
                    + (batch == 1 ? "" : " --batch " + batch)
                    + (layout.data().equals(layout.home().resolve(".dedup")) ? "" : " --data-dir " + layout.data())
                    + (layout.portOffset() == 0 ? "" : " --port-offset " + layout.portOffset());
        }
    }

    public Prove(Layout layout, Options options, PrintStream out) {
        this.layout = layout;
        this.options = options;
        this.out = out;
        directory = layout.data()
                .resolve("reports")
                .resolve("prove-" + STAMP.format(Instant.now()) + "-seed" + options.seed());
        dedup = new DedupScript(layout, directory.resolve("commands.log"));
        plan = FaultPlan.of(
                options.seed(),
                options.seconds(),
                options.faults(),
                new LocalSystem(layout, new RunState(layout.run()))
                        .parts().stream().map(ManagedProcess::name).toList(),
                layout.streams().values().stream()
                        .map(stream -> stream.stream())
                        .sorted()
                        .toList());
    }

    /**
     * Runs all of it.
     *
     * @return 0 where it is proved, otherwise 1
     */
    public int run() throws IOException, InterruptedException {
        out.println("seed " + options.seed() + ", to repeat it: " + options.commandLine(layout));
        if (!layout.withClickHouse()) {
            throw new LocalException("what runs in " + layout.data() + " was started --without-clickhouse, and both"
                    + " streams are part of the proof: stop it with ./dedup down, and call this again");
        }
        if (plan.isEmpty() && !options.faults().isEmpty()) {
            throw new LocalException("--minutes " + options.minutes()
                    + " has no room for one of these faults: give it more, or others with --faults");
        }
        layout.built("proof/target/proof.jar");
        RunState runState = new RunState(layout.run());
        var supervisor = runState.process(RunState.SUPERVISOR);
        if (supervisor.isPresent() && !runState.isReady(supervisor.get())) {
            throw new LocalException("another ./dedup is starting or stopping " + layout.data() + ": try again");
        }
        Files.createDirectories(directory);
        if (supervisor.isPresent()) {
            return prove(false);
        }
        say("starting the system in " + layout.data());
        return prove(true);
    }

    private int prove(boolean ours) throws IOException, InterruptedException {
        try (FaultInjector injector = new FaultInjector(layout, dedup)) {
            // Ctrl-C must leave no process stopped, and none running that did not run before.
            Thread interrupted = new Thread(() -> abandon(injector, ours), "abandon");
            Runtime.getRuntime().addShutdownHook(interrupted);
            try {
                if (ours) {
                    dedup.succeed("up", "--detach");
                }
                return prove(injector);
            } finally {
                injector.close();
                if (ours) {
                    say("stopping the system");
                    dedup.succeed("down");
                }
                try {
                    Runtime.getRuntime().removeShutdownHook(interrupted);
                } catch (IllegalStateException e) {
                    // It runs already.
                }
            }
        }
    }

    private void abandon(FaultInjector injector, boolean ours) {
        try {
            injector.close();
            Process running = child;
            if (running != null) {
                running.destroy();
            }
            if (ours) {
                dedup.succeed("down");
            }
        } catch (IOException | LocalException e) {
            System.err.println(e.getMessage());
        }
    }

    private int prove(FaultInjector injector) throws IOException, InterruptedException {
        Path samples = directory.resolve(SAMPLES);
        Path logins = directory.resolve("logins.csv");
        say("load on both streams for " + options.seconds() + " s, " + plan.size() + " faults");

        long setAside;
        try {
            setAside = count(UNSENT_AND_SET_ASIDE);
        } catch (SQLException e) {
            throw new LocalException("Postgres does not answer: " + e.getMessage(), e);
        }
        long begin = System.currentTimeMillis();
        int loadStatus;
        Map<String, Long> loginCounts = new LinkedHashMap<>();
        try (LoginLoad loginLoad = new LoginLoad(layout, options.seed(), logins)) {
            Process load = proof(
                    "load",
                    "--rate",
                    "" + options.rate(),
                    "--batch",
                    "" + options.batch(),
                    "--duration",
                    options.seconds() + "s",
                    // Not the seed of the faults: the same events again would be duplicates, and nothing be stored.
                    "--seed",
                    "" + begin % 1_000_000_000,
                    "--ledger",
                    LEDGER,
                    "--samples",
                    SAMPLES,
                    "--json",
                    "load.json");
            loginLoad.start();
            try {
                begin = firstAcknowledgement(load, samples, begin);
                for (Fault fault : plan) {
                    inject(injector, fault, load, begin, samples, logins);
                }
                loadStatus = end(load, begin);
            } finally {
                load.destroy();
            }
            loginLoad.close();
            loginCounts.put("inserted", loginLoad.inserted());
            loginCounts.put("sent again", loginLoad.repeated());
            if (!loginLoad.failure().isEmpty()) {
                problems.add("user-logins: inserting ended early: " + loginLoad.failure());
            } else if (loginLoad.inserted() == 0) {
                problems.add("user-logins: no row was inserted");
            }
        }
        double seconds = (System.currentTimeMillis() - begin) / 1000.0;
        if (happened.isEmpty() && !plan.isEmpty()) {
            problems.add("none of the planned faults was done");
        }
        awaitSent(setAside);

        int auditStatus = audit();
        // What was rejected last may have become a dead letter after the replay.
        for (int round = 0; round < REPLAYS && replayOpenLetters(injector); round++) {
            auditStatus = audit();
        }
        return report(begin, seconds, loadStatus, auditStatus, loginCounts, samples, logins);
    }

    private int audit() throws IOException, InterruptedException {
        say("audit");
        return proof("audit", "--ledger", LEDGER, "--json", "audit.json", "--wait", options.waitSeconds() + "s")
                .waitFor();
    }

    /** Only where rows were rejected on purpose; says whether there was something to replay. */
    private boolean replayOpenLetters(FaultInjector injector) throws IOException {
        if (happened.stream().noneMatch(it -> it.fault().kind() == Kind.REJECT)) {
            return false;
        }
        boolean replayed = false;
        for (JsonNode stream : read("audit.json").path("streams")) {
            long open = stream.path("deadLettersOpen").asLong();
            if (open > 0) {
                String name = stream.path("stream").asText();
                say(open + " dead letters of " + name + " are open: replaying them");
                try {
                    injector.replay(name);
                    replayed = true;
                } catch (LocalException e) {
                    say("   " + e.getMessage());
                }
            }
        }
        return replayed;
    }

    /** The load needs a while to begin, and the plan of faults is about its seconds. */
    private long firstAcknowledgement(Process load, Path samples, long started) throws IOException {
        while (load.isAlive() && System.currentTimeMillis() < started + 60_000) {
            if (Sample.read(samples).stream().anyMatch(sample -> sample.sent() > 0)) {
                return System.currentTimeMillis();
            }
            FlinkRest.sleep(Duration.ofMillis(200));
        }
        return started;
    }

    /** Its result goes to a file .txt of its name, progress and errors to one .log. */
    private Process proof(String command, String... arguments) throws IOException {
        child = LocalSystem.proof(layout, command, List.of(arguments))
                .directory(directory.toFile())
                .redirectInput(Path.of("/dev/null").toFile())
                .redirectOutput(directory.resolve(command + ".txt").toFile())
                .redirectError(directory.resolve(command + ".log").toFile())
                .start();
        return child;
    }

    private void inject(FaultInjector injector, Fault fault, Process load, long begin, Path samples, Path logins)
            throws IOException {
        long latest = begin + 1000L * (FaultPlan.end(options.seconds()) - FaultPlan.usualSeconds(fault));
        long planned = begin + 1000L * fault.second();
        while (load.isAlive()
                && (System.currentTimeMillis() < planned
                        || (!fault.early()
                                && System.currentTimeMillis() <= latest
                                && !hasRecovered(samples, logins)))) {
            FlinkRest.sleep(Duration.ofMillis(200));
        }
        if (!load.isAlive() || System.currentTimeMillis() > latest + 1000) {
            skipped++;
            return;
        }
        say((happened.size() + 1) + "  " + fault.what());
        long began = System.currentTimeMillis();
        String failure = "";
        try {
            injector.inject(fault);
        } catch (LocalException e) {
            failure = e.getMessage();
            say("   " + failure);
        }
        happened.add(new InjectedFault(fault, began, System.currentTimeMillis(), failure, OptionalLong.empty()));
    }

    private boolean hasRecovered(Path samples, Path logins) throws IOException {
        return happened.isEmpty()
                || happened.get(happened.size() - 1)
                        .seenIn(Sample.read(samples), Sample.read(logins))
                        .recoveryMillis()
                        .isPresent();
    }

    /** The load goes on after its time until the last event is acknowledged, and then until it is visible. */
    private int end(Process load, long begin) throws InterruptedException {
        long allowed = options.seconds() * 1000L + options.waitSeconds() * 2500L;
        if (load.waitFor(begin + allowed - System.currentTimeMillis(), TimeUnit.MILLISECONDS)) {
            return load.exitValue();
        }
        say("the load goes on and on: ending it");
        load.destroy();
        if (!load.waitFor(30, TimeUnit.SECONDS)) {
            load.destroyForcibly();
        }
        // Whatever it ends with now, it has not done its work.
        return Math.max(1, load.waitFor());
    }

    /**
     * The audit knows only of rows that are flagged as sent.
     *
     * @param setAside how many had been set aside before
     */
    private void awaitSent(long setAside) {
        long deadline =
                System.nanoTime() + Duration.ofSeconds(options.waitSeconds()).toNanos();
        while (System.nanoTime() < deadline) {
            try {
                if (count(UNSENT) <= setAside) {
                    return;
                }
            } catch (SQLException e) {
                // Postgres is still away.
            }
            FlinkRest.sleep(Duration.ofMillis(200));
        }
        problems.add("user-logins: rows that the relay has not sent, after " + options.waitSeconds() + " s");
    }

    private long count(String sql) throws SQLException {
        return Long.parseLong(query(sql));
    }

    private String query(String sql) throws SQLException {
        try (Connection connection = DriverManager.getConnection(
                        layout.postgres().jdbcUrl(), PostgresServer.USER, PostgresServer.PASSWORD);
                Statement statement = connection.createStatement();
                ResultSet result = statement.executeQuery(sql)) {
            result.next();
            return result.getString(1);
        }
    }

    private int report(
            long begin,
            double seconds,
            int loadStatus,
            int auditStatus,
            Map<String, Long> loginCounts,
            Path samples,
            Path logins)
            throws IOException {
        List<Sample> views = Sample.read(samples);
        List<Sample> ofLogins = Sample.read(logins);
        List<InjectedFault> faults =
                happened.stream().map(fault -> fault.seenIn(views, ofLogins)).toList();
        JsonNode audit = read("audit.json");
        Status status = awaitUp();
        Verdict verdict = Verdict.of(
                loadStatus, lastLine("load.log"), auditStatus, lastLine("audit.log"), audit, status, faults, problems);
        new ProofReport(
                        verdict,
                        options.commandLine(layout),
                        options.seed(),
                        begin,
                        seconds,
                        faults,
                        skipped,
                        read("load.json"),
                        text("load.txt"),
                        audit,
                        text("audit.txt"),
                        loginCounts,
                        machine(),
                        sizes())
                .write(directory, views, ofLogins);
        out.println();
        out.println(verdict.isProved() ? "PROVED" : "BROKEN");
        verdict.streams()
                .forEach(stream -> out.println("  " + stream.stream() + ": lost " + stream.lost() + ", duplicates "
                        + stream.duplicates() + ", escapes " + stream.escapes()));
        verdict.problems().forEach(problem -> out.println("  " + problem));
        if (skipped > 0) {
            out.println("  " + skipped + " faults of the plan left out: there was no time for them");
        }
        out.println(directory.resolve("report.md"));
        return verdict.isProved() ? 0 : 1;
    }

    /** The last fault may have hit what neither the load nor the audit needs. */
    private Status awaitUp() {
        long deadline =
                System.nanoTime() + Duration.ofSeconds(options.waitSeconds()).toNanos();
        Status status = Status.of(layout);
        while (!status.notUp().isEmpty() && System.nanoTime() < deadline) {
            FlinkRest.sleep(Duration.ofMillis(500));
            status = Status.of(layout);
        }
        return status;
    }

    private String lastLine(String file) throws IOException {
        return text(file).lines().filter(line -> !line.isBlank()).reduce("", (before, line) -> line);
    }

    private String text(String file) throws IOException {
        Path path = directory.resolve(file);
        // Whatever the encoding: a report with an odd letter is better than none.
        return Files.exists(path) ? new String(Files.readAllBytes(path), StandardCharsets.UTF_8) : "";
    }

    private JsonNode read(String file) throws IOException {
        Path path = directory.resolve(file);
        return Files.exists(path) && Files.size(path) > 0 ? JSON.readTree(path.toFile()) : MissingNode.getInstance();
    }

    private Map<String, String> machine() {
        Map<String, String> machine = new LinkedHashMap<>();
        machine.put("cores", "" + Runtime.getRuntime().availableProcessors());
        if (ManagementFactory.getOperatingSystemMXBean() instanceof OperatingSystemMXBean system) {
            machine.put("memory", system.getTotalMemorySize() / (1 << 20) + " MiB");
        }
        machine.put(
                "OS",
                System.getProperty("os.name") + " " + System.getProperty("os.version") + ", "
                        + System.getProperty("os.arch"));
        machine.put("Java", System.getProperty("java.vendor") + " " + System.getProperty("java.runtime.version"));
        machine.put("Kafka", kafkaVersion());
        try {
            machine.put(
                    "Flink",
                    new FlinkRest(layout.flinkPort())
                            .get("/overview")
                            .path("flink-version")
                            .asText());
            machine.put("Postgres", query("SHOW server_version"));
            machine.put("ClickHouse", clickHouseVersion());
        } catch (IOException | SQLException | LocalException e) {
            // That they are away is said elsewhere.
        }
        return machine;
    }

    private String clickHouseVersion() throws IOException {
        HttpRequest request = HttpRequest.newBuilder(URI.create(layout.clickHouseUrl()))
                .timeout(Duration.ofSeconds(5))
                .POST(HttpRequest.BodyPublishers.ofString("SELECT version()"))
                .build();
        try {
            return HttpClient.newHttpClient()
                    .send(request, BodyHandlers.ofString())
                    .body()
                    .strip();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new LocalException("interrupted", e);
        }
    }

    /** As the jar says that the broker is started from. */
    private static String kafkaVersion() {
        Properties properties = new Properties();
        try (InputStream file = Prove.class.getResourceAsStream("/kafka/kafka-version.properties")) {
            if (file != null) {
                properties.load(file);
            }
        } catch (IOException e) {
            // Not worth the report.
        }
        return properties.getProperty("version", "?");
    }

    private Map<String, Long> sizes() {
        Map<String, Long> sizes = new LinkedHashMap<>();
        sizes.put("Kafka", size(layout.data().resolve("kafka")));
        sizes.put("Postgres", size(layout.data().resolve("postgres/data")));
        sizes.put("ClickHouse", size(layout.data().resolve("clickhouse")));
        sizes.put("Flink's checkpoints", size(layout.checkpoints()));
        return sizes;
    }

    /** Roughly: files come and go. */
    private static long size(Path directory) {
        long bytes = 0;
        try (var files = Files.walk(directory)) {
            for (var file = files.iterator(); file.hasNext(); ) {
                Path path = file.next();
                bytes += Files.isRegularFile(path) ? path.toFile().length() : 0;
            }
        } catch (IOException | UncheckedIOException e) {
            // One has gone meanwhile.
        }
        return bytes;
    }

    private void say(String line) {
        out.printf("%s  %s%n", Instant.now().toString().substring(11, 19), line);
        out.flush();
    }
}
