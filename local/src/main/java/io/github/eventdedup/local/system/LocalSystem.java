package io.github.eventdedup.local.system;

import io.github.eventdedup.servers.ChildProcess;
import io.github.eventdedup.servers.ClickHouseEngine;
import io.github.eventdedup.servers.ClickHouseServer;
import io.github.eventdedup.servers.KafkaServer;
import io.github.eventdedup.servers.PostgresServer;
import io.github.eventdedup.servers.ServerException;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.function.Supplier;

/** What the system consists of: its processes, in the order they are started, and the job of each stream. */
public final class LocalSystem {

    private static final Duration READY_TIMEOUT = Duration.ofMinutes(2);
    private static final Duration STOP_PATIENCE = Duration.ofSeconds(30);

    final ManagedProcess kafka;
    final ManagedProcess postgres;
    final ManagedProcess clickHouse;
    final ManagedProcess zooKeeper;
    final ManagedProcess jobManager;
    final ManagedProcess taskManager;
    final ManagedProcess ingest;
    /** What the names of relays begin with. */
    static final String RELAY = "relay";

    final List<ManagedProcess> relays;
    final List<StreamJob> jobs;

    private final Layout layout;
    private final RunState runState;
    private final FlinkCluster flinkCluster;
    private final HttpClient http = HttpClient.newHttpClient();

    public LocalSystem(Layout layout, RunState runState) {
        this.layout = layout;
        this.runState = runState;
        flinkCluster = new FlinkCluster(layout);
        FlinkRest flink = new FlinkRest(layout.flinkPort());
        jobs = layout.streams().entrySet().stream()
                .map(entry -> new StreamJob(layout, entry.getKey(), entry.getValue().stream(), flink))
                .toList();

        ChildProcess kafkaProcess = child("kafka", runState);
        KafkaServer kafkaServer = new KafkaServer(layout.data().resolve("kafka"), layout.kafkaPort(), kafkaProcess);
        kafka = new ManagedProcess(
                "kafka", layout.kafkaPort(), kafkaProcess, kafkaServer::start, kafkaServer::answers, kafkaServer::stop);

        ChildProcess postgresProcess = child("postgres", runState);
        PostgresServer postgresServer =
                new PostgresServer(layout.data().resolve("postgres"), layout.postgresPort(), postgresProcess);
        postgres = new ManagedProcess(
                "postgres",
                layout.postgresPort(),
                postgresProcess,
                postgresServer::start,
                postgresServer::answers,
                postgresServer::stop);

        ChildProcess clickHouseProcess = child("clickhouse", runState);
        ClickHouseServer clickHouseServer = new ClickHouseServer(
                layout.data().resolve("clickhouse"),
                layout.clickHouseEngine(),
                layout.clickHousePort(),
                clickHouseProcess);
        clickHouse = new ManagedProcess(
                "clickhouse",
                layout.clickHousePort(),
                clickHouseProcess,
                clickHouseServer::start,
                clickHouseServer::answers,
                clickHouseServer::stop);

        zooKeeper = part(
                "zookeeper", layout.zooKeeperPort(), runState, flinkCluster::zooKeeper, flinkCluster::zooKeeperAnswers);
        jobManager = part("jobmanager", layout.flinkPort(), runState, flinkCluster::jobManager, flink::answers);
        taskManager = part("taskmanager", 0, runState, flinkCluster::taskManager, flink::hasTaskManager);
        ingest = part("ingest", layout.ingestPort(), runState, this::ingestProcess, this::ingestAnswers);
        Map<String, Path> outboxes = outboxes(layout);
        relays = outboxes.entrySet().stream()
                .map(outbox -> relay(outboxes.size() == 1 ? "relay" : "relay-" + outbox.getKey(), outbox, runState))
                .toList();
    }

    /** The definition files of the streams that a relay fills. */
    private static Map<String, Path> outboxes(Layout layout) {
        Map<String, Path> outboxes = new TreeMap<>();
        layout.streams().forEach((file, stream) -> {
            if (stream.outbox() != null) {
                outboxes.put(stream.stream(), file);
            }
        });
        return outboxes;
    }

    private ManagedProcess relay(String name, Map.Entry<String, Path> outbox, RunState runState) {
        return part(
                name,
                0,
                runState,
                () -> relay(layout, name, List.of("--stream", outbox.getValue().toString())),
                this::relaysAnswer);
    }

    private ChildProcess child(String name, RunState runState) {
        return new ChildProcess(name, layout.log(name), process -> runState.started(name, process.toHandle()));
    }

    private ManagedProcess part(
            String name, int port, RunState runState, Supplier<ProcessBuilder> command, BooleanSupplier answers) {
        ChildProcess child = child(name, runState);
        return new ManagedProcess(
                name,
                port,
                child,
                () -> {
                    child.start(command.get());
                    child.awaitReady(READY_TIMEOUT, answers);
                },
                answers,
                () -> child.stop(STOP_PATIENCE));
    }

    public List<ManagedProcess> parts() {
        List<ManagedProcess> parts = new ArrayList<>(List.of(kafka, postgres));
        if (layout.withClickHouse()) {
            parts.add(clickHouse);
        }
        parts.addAll(List.of(zooKeeper, jobManager, taskManager, ingest));
        parts.addAll(relays);
        return parts;
    }

    /** What has to be there before the first process is started. */
    void checkBuilt() {
        layout.built("job/target/deduplication-job.jar");
        layout.built("http-ingest/target/http-ingest.jar");
        layout.built("outbox-relay/target/outbox-relay.jar");
        layout.built("local/flink/target/lib");
    }

    /** ClickHouse's engine is no part of the build. */
    void installClickHouse(Consumer<String> say) {
        ClickHouseEngine engine = new ClickHouseEngine(layout.clickHouseEngine(), System.getenv());
        if (!engine.isInstalled()) {
            say.accept("clickhouse: installing its engine, 180 MB, once");
        }
        try {
            Path unused = engine.install();
        } catch (ServerException e) {
            String message = e.getMessage();
            throw new LocalException(
                    message + (message.contains("\n") ? System.lineSeparator() + "Or" : ", or")
                            + " leave ClickHouse out: ./dedup up --without-clickhouse",
                    e);
        }
    }

    /** Begins from nothing: what Flink has is kept on disk, under another name. */
    void setStateAside() {
        Path flink = layout.flink();
        try {
            if (Files.exists(flink)) {
                Files.move(flink, flink.resolveSibling(flink.getFileName() + ".aside-" + System.currentTimeMillis()));
            }
        } catch (IOException e) {
            throw new LocalException("cannot rename " + flink + ": " + e, e);
        }
    }

    void configureFlink() {
        flinkCluster.configure();
        flinkCluster.forgetJobs();
    }

    /** Creates the topics and tables that are not there yet, with what does so on any other system. */
    void setUp() {
        List<String> command = jobsJar(layout, "io.github.eventdedup.job.Setup");
        command.addAll(
                List.of("--postgres", layout.home().resolve("sql/postgres").toString()));
        if (layout.withClickHouse()) {
            command.addAll(List.of(
                    "--clickhouse", layout.home().resolve("sql/clickhouse").toString()));
        }
        Layout.output(Layout.process(command, layout.jobEnvironment()), "cannot create the topics and tables");
    }

    /** A program of the job's jar, on the streams of this system. */
    private static List<String> jobsJar(Layout layout, String mainClass) {
        return new ArrayList<>(List.of(
                Layout.java(),
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-Xmx512m",
                "-cp",
                layout.built("job/target/deduplication-job.jar") + ":" + layout.built("local/flink/target/lib") + "/*",
                mainClass,
                "--streams",
                layout.home().resolve("streams").toString()));
    }

    /** The command for dead letters, for the terminal it was called from. */
    public static ProcessBuilder deadLetters(Layout layout, List<String> arguments) {
        List<String> command = jobsJar(layout, "io.github.eventdedup.job.DeadLetters");
        command.addAll(arguments);
        return Layout.process(command, layout.jobEnvironment()).inheritIO();
    }

    /** The relay for the terminal it was called from: of the only outbox there is, where no stream is named. */
    public static ProcessBuilder relay(Layout layout, List<String> arguments) {
        List<String> forRelay = new ArrayList<>(arguments);
        Map<String, Path> outboxes = outboxes(layout);
        if (outboxes.size() == 1 && !arguments.contains("--stream")) {
            forRelay.addAll(
                    List.of("--stream", outboxes.values().iterator().next().toString()));
        }
        return relay(layout, "relay-by-hand-" + ProcessHandle.current().pid(), forRelay)
                .inheritIO();
    }

    private static ProcessBuilder relay(Layout layout, String name, List<String> arguments) {
        List<String> command = new ArrayList<>(List.of(
                Layout.java(),
                "-XX:+UseSerialGC",
                "-Xmx128m",
                layout.temporaryFiles(name),
                "-jar",
                layout.built("outbox-relay/target/outbox-relay.jar").toString()));
        command.addAll(arguments);
        // Of ClickHouse it asks the types of the columns that its rows end in.
        return Layout.process(command, layout.withClickHouse() ? layout.jobEnvironment() : layout.relayEnvironment());
    }

    /** The load or the audit of this system, for the terminal it was called from. */
    public static ProcessBuilder proof(Layout layout, String command, List<String> arguments) {
        Map<String, String> environment = new TreeMap<>(layout.jobEnvironment());
        environment.put("DEDUP_HTTP_URL", "http://127.0.0.1:" + layout.ingestPort());
        environment.put("DEDUP_FLINK_URL", "http://127.0.0.1:" + layout.flinkPort());
        environment.put("DEDUP_STREAMS_DIR", layout.home().resolve("streams").toString());
        environment.put(
                "DEDUP_PROCESSES_FILE", layout.run().resolve("processes.json").toString());
        environment.put("DEDUP_REPORTS_DIR", layout.data().resolve("reports").toString());
        List<String> all = new ArrayList<>(List.of(
                Layout.java(),
                "-XX:+UseSerialGC",
                "-Xmx1g",
                "-jar",
                layout.built("proof/target/proof.jar").toString(),
                command));
        all.addAll(arguments == null ? List.of() : arguments);
        return Layout.process(all, environment).inheritIO();
    }

    /** They have no port of their own to ask: whether Postgres knows them. */
    private boolean relaysAnswer() {
        Properties properties = new Properties();
        properties.setProperty("user", PostgresServer.USER);
        properties.setProperty("password", PostgresServer.PASSWORD);
        // One that is stopped, or whose disk hangs, accepts connections and never answers.
        properties.setProperty("loginTimeout", "5");
        properties.setProperty("socketTimeout", "5");
        try (Connection connection =
                        DriverManager.getConnection(layout.postgres().jdbcUrl(), properties);
                Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery(
                        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'outbox-relay'")) {
            return rows.next()
                    && rows.getInt(1)
                            >= relays.stream()
                                    .filter(relay ->
                                            runState.process(relay.name()).isPresent())
                                    .count();
        } catch (SQLException e) {
            return false;
        }
    }

    private ProcessBuilder ingestProcess() {
        // Kafka, and for the receipts Postgres, are told as the relay is.
        Map<String, String> environment = new TreeMap<>(layout.relayEnvironment());
        environment.put("DEDUP_HTTP_PORT", Integer.toString(layout.ingestPort()));
        environment.put("DEDUP_STREAMS_DIR", layout.home().resolve("streams").toString());
        return Layout.process(
                List.of(
                        Layout.java(),
                        "-XX:+UseSerialGC",
                        "-Xmx512m",
                        layout.temporaryFiles("ingest"),
                        "-jar",
                        layout.built("http-ingest/target/http-ingest.jar").toString()),
                environment);
    }

    private boolean ingestAnswers() {
        HttpRequest request = HttpRequest.newBuilder(
                        URI.create("http://127.0.0.1:" + layout.ingestPort() + "/health/ready"))
                .timeout(Duration.ofSeconds(5))
                .build();
        try {
            return http.send(request, BodyHandlers.discarding()).statusCode() == 200;
        } catch (IOException e) {
            return false;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }
}
