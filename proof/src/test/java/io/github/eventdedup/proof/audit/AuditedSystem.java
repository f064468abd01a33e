package io.github.eventdedup.proof.audit;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.event.Event;
import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.InvalidEventException;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.proof.system.ProofException;
import io.github.eventdedup.proof.system.TopicRange;
import io.github.eventdedup.servers.ClickHouseServer;
import io.github.eventdedup.servers.FreePort;
import io.github.eventdedup.servers.FreshDirectory;
import io.github.eventdedup.servers.KafkaServer;
import io.github.eventdedup.servers.PostgresServer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import picocli.CommandLine;

/** Real servers, and what the job would have written, written by the test: so that it can be broken. */
final class AuditedSystem implements AutoCloseable {

    static final int PARTITIONS = 4;

    final KafkaServer kafka;
    final PostgresServer postgres;
    final ClickHouseServer clickHouse;
    final Admin admin;
    final StreamDefinition viewEvents;
    final StreamDefinition userLogins;
    private final Path directory;
    private final int clickHousePort;
    private final KafkaProducer<byte[], byte[]> producer;
    private final Connection database;
    private final HttpClient http = HttpClient.newHttpClient();
    private final HttpServer flink;
    private volatile long lost;

    /** What an audit has said. */
    record Outcome(int status, String out, String err, JsonNode json) {

        JsonNode stream(String name) {
            for (JsonNode it : json.get("streams")) {
                if (it.get("stream").asText().equals(name)) {
                    return it;
                }
            }
            throw new AssertionError("no " + name + " in " + json);
        }
    }

    /** A record of the raw topic. */
    record Sent(int partition, long offset, long millis, byte[] value, Event event) {

        String fingerprint() {
            return event.fingerprint().toString();
        }

        String position() {
            return partition + ":" + offset;
        }
    }

    AuditedSystem(Path directory) throws Exception {
        this.directory = FreshDirectory.create(directory);
        clickHousePort = FreePort.find();
        kafka = new KafkaServer(directory.resolve("kafka"), FreePort.find());
        postgres = new PostgresServer(directory.resolve("postgres"), FreePort.find());
        clickHouse = new ClickHouseServer(
                directory.resolve("clickhouse"), file("servers/target/clickhouse"), clickHousePort);
        flink = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        flink.createContext("/", this::answer);
        flink.start();
        kafka.start();
        postgres.start();
        clickHouse.start();
        admin = Admin.create(Map.of("bootstrap.servers", kafka.bootstrapServers()));
        producer = new KafkaProducer<>(
                Map.of("bootstrap.servers", kafka.bootstrapServers(), "acks", "all"),
                new ByteArraySerializer(),
                new ByteArraySerializer());
        database = connect();
        viewEvents = StreamDefinition.read(file("streams/view-events.yaml"));
        userLogins = StreamDefinition.read(file("streams/user-logins.yaml"));
        for (String sql : List.of("001-view-events.sql", "002-user-logins.sql")) {
            sql(Files.readString(file("sql/postgres/" + sql)));
        }
        clickHouse(Files.readString(file("sql/clickhouse/001-user-logins.sql")));
        for (StreamDefinition stream : List.of(viewEvents, userLogins)) {
            createTopics(stream);
        }
    }

    private void createTopics(StreamDefinition stream) throws Exception {
        // The test says when records came.
        Map<String, String> settings = Map.of("message.timestamp.type", "CreateTime", "retention.ms", "-1");
        kafka.createTopics(
                new NewTopic(stream.stream(), Optional.of(PARTITIONS), Optional.empty()).configs(settings),
                new NewTopic(stream.duplicatesTopic(), Optional.of(2), Optional.empty()).configs(settings),
                new NewTopic(stream.deadLettersTopic(), Optional.of(1), Optional.empty()).configs(settings));
    }

    /** A file of the project, wherever the tests run. */
    static Path file(String path) {
        Path here = Path.of("").toAbsolutePath();
        return here.getFileName().toString().equals("proof") ? here.resolveSibling(path) : here.resolve(path);
    }

    Path path(String name) {
        return directory.resolve(name);
    }

    /** Another connection than the one of the other methods. */
    Connection connect() throws SQLException {
        return DriverManager.getConnection(postgres.jdbcUrl(), PostgresServer.USER, PostgresServer.PASSWORD);
    }

    boolean somebodyWaitsForALock() throws SQLException {
        try (Statement statement = database.createStatement();
                ResultSet result = statement.executeQuery(
                        "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")) {
            result.next();
            return result.getBoolean(1);
        }
    }

    void sql(String statements) throws SQLException {
        try (Statement statement = database.createStatement()) {
            statement.execute(statements);
        }
    }

    void clickHouse(String statement) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + clickHousePort + "/?database="
                        + ClickHouseServer.DATABASE + "&mutations_sync=1&insert_deduplicate=0"))
                .header("X-ClickHouse-User", ClickHouseServer.USER)
                .header("X-ClickHouse-Key", ClickHouseServer.PASSWORD)
                .POST(HttpRequest.BodyPublishers.ofString(statement))
                .build();
        HttpResponse<String> answer = http.send(request, HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() != 200) {
            throw new AssertionError(answer.body());
        }
    }

    /** Sends a record to the raw topic, to the partition that its fingerprint says. */
    Sent send(StreamDefinition stream, byte[] value, long millis) throws Exception {
        Event event;
        try {
            event = new EventReader(stream).read(value);
        } catch (InvalidEventException e) {
            event = null;
        }
        int partition = event == null ? 0 : Math.floorMod(event.fingerprint().hashCode(), PARTITIONS);
        return send(stream, partition, value, event, millis);
    }

    Sent send(StreamDefinition stream, int partition, byte[] value, Event event, long millis) throws Exception {
        RecordMetadata at = producer.send(new ProducerRecord<>(stream.stream(), partition, millis, null, value))
                .get();
        return new Sent(partition, at.offset(), millis, value, event);
    }

    void duplicate(StreamDefinition stream, Sent sent) throws Exception {
        aside(stream.duplicatesTopic(), sent, "");
    }

    void deadLetter(StreamDefinition stream, Sent sent, String reason) throws Exception {
        aside(stream.deadLettersTopic(), sent, reason);
    }

    private void aside(String topic, Sent sent, String reason) throws Exception {
        ProducerRecord<byte[], byte[]> record =
                new ProducerRecord<>(topic, sent.position().getBytes(UTF_8), sent.value());
        record.headers().add("reason", reason.getBytes(UTF_8));
        producer.send(record).get();
    }

    /**
     * Sends a dead letter to the raw topic again.
     *
     * @return the event with the place of the replay, and the time of the original
     */
    Sent replay(StreamDefinition stream, Sent original, int attempt, String reasonCode, long millis) throws Exception {
        ProducerRecord<byte[], byte[]> record =
                new ProducerRecord<>(stream.stream(), original.partition(), millis, null, original.value());
        header(record, "replay-of", original.position() + ":" + original.millis());
        header(record, "replay-attempt", "" + attempt);
        header(record, "replay-reason-code", reasonCode);
        RecordMetadata at = producer.send(record).get();
        return new Sent(original.partition(), at.offset(), original.millis(), original.value(), original.event());
    }

    /** A dead letter of a replay. */
    void deadLetterOfReplay(StreamDefinition stream, Sent original, Sent replay, int attempt) throws Exception {
        ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(
                stream.deadLettersTopic(), original.position().getBytes(UTF_8), original.value());
        header(record, "reason-code", "rejected-by-postgres");
        header(record, "replay-attempt", "" + attempt);
        header(record, "replayed-at", replay.position());
        producer.send(record).get();
    }

    void fill(String topic, int records) throws Exception {
        for (int i = 0; i < records; i++) {
            producer.send(new ProducerRecord<>(topic, 0, null, new byte[0])).get();
        }
    }

    /** Notes that a dead letter is discarded. */
    void discard(StreamDefinition stream, Sent sent, int attempt) throws Exception {
        String topic = stream.deadLettersTopic() + ".handled";
        if (!admin.listTopics().names().get().contains(topic)) {
            kafka.createTopics(new NewTopic(topic, 1, (short) 1));
        }
        String key = sent.position() + ":" + sent.millis() + ":" + attempt + ":";
        producer.send(new ProducerRecord<>(
                        topic,
                        key.getBytes(UTF_8),
                        "{\"action\":\"discarded\",\"at\":\"2026-11-28T06:00:00Z\"}".getBytes(UTF_8)))
                .get();
    }

    private static void header(ProducerRecord<byte[], byte[]> record, String name, String value) {
        record.headers().add(name, value.getBytes(UTF_8));
    }

    /** A client whose transaction the test ends. */
    KafkaProducer<byte[], byte[]> transactions() {
        KafkaProducer<byte[], byte[]> transactional = new KafkaProducer<>(
                Map.of("bootstrap.servers", kafka.bootstrapServers(), "transactional.id", "audit-it"),
                new ByteArraySerializer(),
                new ByteArraySerializer());
        transactional.initTransactions();
        return transactional;
    }

    /** Answers as the JobManager does whose job has counted this many records as deleted unread. */
    void lost(long count) {
        lost = count;
    }

    private void answer(HttpExchange exchange) throws IOException {
        String path = exchange.getRequestURI().getPath();
        String metric = "0.identify.stream.view-events.retentionLost";
        String answer = path.equals("/jobs/overview")
                ? "{\"jobs\":[{\"jid\":\"1\",\"name\":\"view-events\",\"state\":\"RUNNING\"}]}"
                : path.equals("/jobs/1")
                        ? "{\"vertices\":[{\"id\":\"2\"}]}"
                        : "[{\"id\":\"" + metric + "\",\"sum\":" + lost + "}]";
        exchange.sendResponseHeaders(200, answer.length());
        try (exchange) {
            exchange.getResponseBody().write(answer.getBytes(UTF_8));
        }
    }

    /** Stores a row of view_events as the job does. */
    void store(Sent sent) throws SQLException {
        store(database, sent);
    }

    static void store(Connection database, Sent sent) throws SQLException {
        String sql = "INSERT INTO view_events (fingerprint, kafka_partition, kafka_offset, received_at, event, user_id,"
                + " content_id, event_name, event_datetime, sid, platform, content_type, device_id, app_version,"
                + " playtime_ms) VALUES (?, ?, ?, ?, ?::json" + ", ?".repeat(10) + ")";
        try (PreparedStatement insert = database.prepareStatement(sql)) {
            insert.setBytes(1, sent.event().fingerprint().bytes());
            insert.setInt(2, sent.partition());
            insert.setLong(3, sent.offset());
            insert.setObject(4, Instant.ofEpochMilli(sent.millis()).atOffset(ZoneOffset.UTC));
            insert.setString(5, new String(sent.value(), UTF_8));
            for (int i = 0; i < 10; i++) {
                Object value = sent.event().columns().get(i);
                insert.setObject(6 + i, value instanceof Instant time ? time.atOffset(ZoneOffset.UTC) : value);
            }
            insert.executeUpdate();
        }
    }

    /** What the job does at a checkpoint: commits all that is in the topic. */
    void commit(StreamDefinition stream) throws Exception {
        TopicRange range = TopicRange.of(admin, stream.stream());
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        for (int i = 0; i < PARTITIONS; i++) {
            offsets.put(new TopicPartition(stream.stream(), i), new OffsetAndMetadata(range.end()[i]));
        }
        commit(offsets, stream);
    }

    /** The same of one partition, where its last record lies before this offset. */
    void commit(StreamDefinition stream, int partition, long offset) throws Exception {
        commit(Map.of(new TopicPartition(stream.stream(), partition), new OffsetAndMetadata(offset)), stream);
    }

    private void commit(Map<TopicPartition, OffsetAndMetadata> offsets, StreamDefinition stream) throws Exception {
        admin.alterConsumerGroupOffsets("dedup-" + stream.stream(), offsets)
                .all()
                .get();
    }

    /** Runs the command; the report, where there is one, comes as JSON. */
    Outcome audit(String... arguments) throws IOException {
        return audit(Map.of(), arguments);
    }

    /** With other settings than those of this system. */
    Outcome audit(Map<String, String> settings, String... arguments) throws IOException {
        Map<String, String> environment = new HashMap<>(environment());
        environment.putAll(settings);
        Path report = path("report.json");
        Files.deleteIfExists(report);
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        Audit audit = new Audit(environment, new PrintStream(out, true, UTF_8), new PrintStream(err, true, UTF_8));
        CommandLine line = new CommandLine(audit);
        line.setExecutionExceptionHandler((e, command, parsed) -> {
            if (!(e instanceof ProofException || e instanceof ConfigurationException)) {
                throw e;
            }
            err.writeBytes(e.getMessage().getBytes(UTF_8));
            return 1;
        });
        List<String> all = new ArrayList<>(Arrays.asList(arguments));
        all.addAll(List.of("--json", report.toString(), "--temp", path("temp").toString()));
        int status = line.execute(all.toArray(String[]::new));
        JsonNode json = Files.exists(report) ? new ObjectMapper().readTree(report.toFile()) : null;
        return new Outcome(status, out.toString(UTF_8), err.toString(UTF_8), json);
    }

    Map<String, String> environment() {
        return Map.of(
                "DEDUP_FLINK_URL",
                "http://127.0.0.1:" + flink.getAddress().getPort(),
                "DEDUP_KAFKA_BOOTSTRAP_SERVERS",
                kafka.bootstrapServers(),
                "DEDUP_POSTGRES_URL",
                postgres.jdbcUrl(),
                "DEDUP_POSTGRES_PASSWORD",
                PostgresServer.PASSWORD,
                "DEDUP_CLICKHOUSE_URL",
                "http://127.0.0.1:" + clickHousePort,
                "DEDUP_CLICKHOUSE_PASSWORD",
                ClickHouseServer.PASSWORD,
                "DEDUP_STREAMS_DIR",
                file("streams").toString());
    }

    @Override
    public void close() throws Exception {
        flink.stop(0);
        producer.close();
        admin.close();
        database.close();
        clickHouse.close();
        postgres.close();
        kafka.kill();
        FreshDirectory.delete(directory);
    }
}
