package io.github.eventdedup.job.testing;

import static org.awaitility.Awaitility.await;

import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.DeadLetters;
import io.github.eventdedup.job.DeduplicationJob;
import io.github.eventdedup.job.Setup;
import io.github.eventdedup.job.StateCompatibilityIT;
import io.github.eventdedup.job.kafka.TopicCreation;
import io.github.eventdedup.job.model.SourceRecord;
import io.github.eventdedup.job.pipeline.StateIdentity;
import io.github.eventdedup.job.settings.ClickHouseLogin;
import io.github.eventdedup.job.settings.Endpoints;
import io.github.eventdedup.job.settings.PostgresLogin;
import io.github.eventdedup.servers.ClickHouseServer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.common.JobID;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.runtime.minicluster.MiniCluster;
import org.apache.flink.runtime.minicluster.MiniClusterConfiguration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.common.config.ConfigResource;

/** The project's own stream, schema and sample, for tests and benchmarks. */
public final class Fixtures {

    private static final Path ROOT =
            Path.of("").toAbsolutePath().getFileName().toString().equals("job") ? Path.of("..") : Path.of("");

    private Fixtures() {}

    /** A file or directory of the project, wherever the tests run. */
    public static Path file(String path) {
        return ROOT.resolve(path);
    }

    /**
     * The stream of {@link #keptStates}. Name and fields are its state's identity; no clock comes to the end of its window.
     */
    public static StreamDefinition keptStream() {
        try {
            Duration always = Duration.ofDays(100 * 365);
            List<String> fingerprint = List.of("userId", "content_id", "event_name", "event_datetime", "sid");
            return new StreamDefinition(
                    "view-events",
                    fingerprint,
                    always,
                    always,
                    null,
                    viewEvents().table());
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }

    /** The savepoints that {@link StateCompatibilityIT} has taken over time. */
    public static List<Path> keptStates() throws IOException {
        try (var states = Files.list(file("job/src/test/resources/state"))) {
            return states.sorted().toList();
        }
    }

    public static Path viewEventsFile() {
        return file("streams/view-events.yaml");
    }

    public static StreamDefinition viewEvents() throws Exception {
        return StreamDefinition.read(viewEventsFile());
    }

    public static StreamDefinition userLogins() throws Exception {
        return StreamDefinition.read(file("streams/user-logins.yaml"));
    }

    public static ClickHouseServer clickHouse(Path directory, int port) {
        return new ClickHouseServer(directory.resolve("clickhouse"), file("servers/target/clickhouse"), port);
    }

    public static ClickHouseLogin login(int clickHousePort) {
        return new ClickHouseLogin(
                "http://127.0.0.1:" + clickHousePort, ClickHouseServer.DATABASE, ClickHouseServer.USER);
    }

    /** The sample's 200 lines, which hold 152 different events. */
    public static List<String> sampleLines() throws IOException {
        return Files.readAllLines(file("event/src/test/resources/view-events.jsonl"));
    }

    public static List<SourceRecord> sampleRecords() throws IOException {
        List<SourceRecord> records = new ArrayList<>();
        for (String line : sampleLines()) {
            records.add(new SourceRecord(
                    line.getBytes(StandardCharsets.UTF_8), 0, records.size(), 1_746_057_600_000L + records.size()));
        }
        return records;
    }

    /** A small valid event. */
    public static String viewEvent(String user, String name) {
        return """
                {"userId":"%s","content_id":"1","event_name":"%s","event_datetime":"2025-05-01T00:00:00Z","sid":"1"}""".formatted(user, name);
    }

    public static void createTable(PostgresLogin login) throws IOException, SQLException {
        execute(login, Files.readString(file("sql/postgres/001-view-events.sql")));
    }

    public static void execute(PostgresLogin login, String statements) throws SQLException {
        try (Connection connection = login.connect();
                Statement statement = connection.createStatement()) {
            statement.execute(statements);
        }
    }

    /** The only row of a query, as text. */
    public static List<String> row(PostgresLogin login, String query) throws SQLException {
        try (Connection connection = login.connect();
                Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery(query)) {
            rows.next();
            List<String> row = new ArrayList<>();
            for (int i = 1; i <= rows.getMetaData().getColumnCount(); i++) {
                row.add(rows.getString(i));
            }
            return row;
        }
    }

    /** The topics of a stream, as {@link Setup} makes them. */
    public static void createTopics(Endpoints endpoints, StreamDefinition stream) throws ConfigurationException {
        List<String> errors = new ArrayList<>();
        TopicCreation.create(endpoints, List.of(stream), errors);
        if (!errors.isEmpty()) {
            throw new ConfigurationException(errors);
        }
    }

    /**
     * The broker answers for the controller, before it has heard of the change itself; returns when it has, so that what is
     * read next is not what was.
     */
    public static void setTopicSetting(Endpoints endpoints, String topic, String name, String value) throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        AlterConfigOp operation = new AlterConfigOp(new ConfigEntry(name, value), AlterConfigOp.OpType.SET);
        try (Admin admin = endpoints.kafka()) {
            admin.incrementalAlterConfigs(Map.of(resource, List.of(operation)))
                    .all()
                    .get();
        }
        await().atMost(Duration.ofMinutes(1))
                .until(() -> topicSetting(endpoints, topic, name).equals(value));
    }

    public static String topicSetting(Endpoints endpoints, String topic, String name) throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        try (Admin admin = endpoints.kafka()) {
            return admin.describeConfigs(List.of(resource))
                    .values()
                    .get(resource)
                    .get()
                    .get(name)
                    .value();
        }
    }

    /** What the command {@code dead-letters} says, on both its outputs, with its exit code before it. */
    public static String deadLetters(Path definitions, Map<String, String> environment, String... arguments) {
        List<String> all = new ArrayList<>(List.of("--streams", definitions.toString()));
        all.addAll(List.of(arguments));
        ByteArrayOutputStream said = new ByteArrayOutputStream();
        PrintStream out = new PrintStream(said, true, StandardCharsets.UTF_8);
        int code = DeadLetters.run(all, environment, out, out);
        return code + " " + said.toString(StandardCharsets.UTF_8);
    }

    /** A cluster of one TaskManager with two slots inside this JVM; not started yet. */
    public static MiniCluster flink(Path checkpoints) {
        return new MiniCluster(new MiniClusterConfiguration.Builder()
                .setConfiguration(Configuration.fromMap(Map.of(
                        "execution.checkpointing.dir", checkpoints.toUri().toString(),
                        "state.backend.type", "rocksdb",
                        "restart-strategy.type", "fixed-delay",
                        "restart-strategy.fixed-delay.attempts", "100",
                        "restart-strategy.fixed-delay.delay", "100ms",
                        "metrics.fetcher.update-interval", "100",
                        "jobmanager.bind-host", "127.0.0.1",
                        "taskmanager.bind-host", "127.0.0.1",
                        "rest.bind-address", "127.0.0.1")))
                .withRandomPorts()
                .setNumTaskManagers(1)
                .setNumSlotsPerTaskManager(2)
                .build());
    }

    /** Submits the job with the pipeline settings of flink-conf/config.yaml and frequent checkpoints. */
    public static JobID submit(MiniCluster flink, StreamDefinition stream, Endpoints endpoints) throws Exception {
        return submit(flink, stream, endpoints, new Configuration());
    }

    /** Submits the job with settings in addition to those. */
    public static JobID submit(MiniCluster flink, StreamDefinition stream, Endpoints endpoints, Configuration more)
            throws Exception {
        return submit(flink, stream, StateIdentity.of(stream), endpoints, more);
    }

    /** Submits the job with an identity of its own. */
    public static JobID submit(
            MiniCluster flink, StreamDefinition stream, StateIdentity identity, Endpoints endpoints, Configuration more)
            throws Exception {
        Configuration configuration = Configuration.fromMap(Map.of(
                "execution.checkpointing.interval",
                "500ms",
                "execution.checkpointing.externalized-checkpoint-retention",
                "RETAIN_ON_CANCELLATION",
                "pipeline.generic-types",
                "false",
                "pipeline.object-reuse",
                "true",
                "parallelism.default",
                "2"));
        configuration.addAll(more);
        StreamExecutionEnvironment environment = StreamExecutionEnvironment.getExecutionEnvironment(configuration);
        DeduplicationJob.build(environment, stream, identity, endpoints);
        return flink.submitJob(environment.getStreamGraph().getJobGraph())
                .get(2, TimeUnit.MINUTES)
                .getJobID();
    }

    public static void delete(Path directory) throws IOException {
        try (var files = Files.walk(directory)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }
}
