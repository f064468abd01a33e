package io.github.eventdedup.relay;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.github.eventdedup.servers.FreshDirectory;
import io.github.eventdedup.servers.PostgresServer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** A table and a topic for one test, the stream that joins them, and the relays that were started for it. */
final class TestOutbox implements AutoCloseable {

    static final int PARTITIONS = 4;

    /** What the topics of {@code Setup} take. */
    static final int MAX_MESSAGE_BYTES = 4 << 20;

    private static final Path JAR = TestServers.file("outbox-relay/target/outbox-relay.jar");
    private static final AtomicInteger COUNT = new AtomicInteger();

    /** What the message of an ordinary row begins with. */
    private static final Pattern EVENT = Pattern.compile("\\{\"id\":(\\d+),\"user\":(null|\"[^\"]*\")");

    final TestServers.Running servers = TestServers.running();
    final String stream;
    final String table;
    final Path directory;
    final Connection database;
    private final List<Process> relays = new ArrayList<>();

    /** The table and the stream of the repository, under names of their own. */
    TestOutbox() throws Exception {
        this("logins_" + COUNT.incrementAndGet());
    }

    private TestOutbox(String table) throws Exception {
        this(
                table.replace('_', '-'),
                table,
                Files.readString(TestServers.file("sql/postgres/002-user-logins.sql"))
                        .replace("user_logins", table),
                Files.readString(TestServers.file("streams/user-logins.yaml"))
                        .replaceFirst("stream: user-logins", "stream: " + table.replace('_', '-'))
                        .replaceFirst("table: user_logins", "table: " + table));
    }

    TestOutbox(String stream, String table, String sql, String yaml) throws Exception {
        this.stream = stream;
        this.table = table;
        directory = FreshDirectory.create(servers.directory().resolve(stream));
        database = servers.connect();
        execute(sql);
        Files.writeString(streamFile(), yaml);
        createTopic();
    }

    Path streamFile() {
        return directory.resolve("stream.yaml");
    }

    /** Writes to the topic as a client of its own would. */
    void send(String event) throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(
                Map.of("bootstrap.servers", servers.kafka().bootstrapServers()),
                new ByteArraySerializer(),
                new ByteArraySerializer())) {
            producer.send(new ProducerRecord<>(stream, event.getBytes(StandardCharsets.UTF_8)))
                    .get();
        }
    }

    private void createTopic() throws Exception {
        Map<String, String> settings = Map.of(
                "message.timestamp.type", "LogAppendTime", "max.message.bytes", Integer.toString(MAX_MESSAGE_BYTES));
        servers.kafka().createTopics(new NewTopic(stream, Optional.of(PARTITIONS), Optional.empty()).configs(settings));
    }

    void execute(String sql) throws SQLException {
        try (Statement statement = database.createStatement()) {
            statement.execute(sql);
        }
    }

    /** The first column of the first row. */
    long number(String sql) {
        try (Statement statement = database.createStatement();
                ResultSet rows = statement.executeQuery(sql)) {
            rows.next();
            return rows.getLong(1);
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }

    long unsent() {
        return number("SELECT count(*) FROM " + table + " WHERE sent_to_kafka IS NOT TRUE");
    }

    long setAside() {
        return number("SELECT count(*) FROM outbox_set_aside WHERE table_name = '" + table + "'");
    }

    void insert(String user) throws SQLException {
        try (PreparedStatement insert = database.prepareStatement("INSERT INTO " + table
                + " (username, event_type, event_time) VALUES (?, 'login', '2025-11-12 16:33:51')")) {
            insert.setString(1, user);
            insert.executeUpdate();
        }
    }

    /** Rows of so many users, in turn. */
    void insert(int rows, int users) throws SQLException {
        execute("INSERT INTO " + table + " (username, event_type, event_time) SELECT 'user-' || n % " + users
                + ", 'login', timestamp '2025-11-12 16:33:51' + n * interval '1 millisecond' FROM generate_series(1, "
                + rows + ") n");
    }

    /** How the relays of this JVM find Kafka and Postgres. */
    Map<String, String> environment() {
        return Map.of(
                "DEDUP_KAFKA_BOOTSTRAP_SERVERS", servers.kafka().bootstrapServers(),
                "DEDUP_POSTGRES_URL", servers.postgres().jdbcUrl(),
                "DEDUP_POSTGRES_PASSWORD", PostgresServer.PASSWORD);
    }

    /** Starts a relay process of this stream. */
    RelayProcess relay(String... arguments) throws IOException {
        return relay(Map.of(), arguments);
    }

    RelayProcess relay(Map<String, String> settings, String... arguments) throws IOException {
        int number = relays.size();
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-Xmx256m",
                // No time but that of Postgres counts, and no day there has only 23 hours.
                "-Duser.timezone=America/New_York",
                "-Djava.io.tmpdir=" + Files.createDirectories(directory.resolve("tmp")),
                "-jar",
                JAR.toString(),
                "--stream",
                streamFile().toString()));
        command.addAll(List.of(arguments));
        ProcessBuilder builder = new ProcessBuilder(command);
        builder.environment().keySet().removeIf(key -> key.startsWith("DEDUP_"));
        builder.environment().remove("JAVA_TOOL_OPTIONS"); // The JVM would tell of it where the relay's errors go.
        builder.environment().putAll(environment());
        builder.environment().putAll(settings);
        Path out = directory.resolve("out-" + number);
        Path err = directory.resolve("err-" + number);
        Process process =
                builder.redirectOutput(out.toFile()).redirectError(err.toFile()).start();
        io.github.eventdedup.servers.ChildProcess.killAtExit(process);
        relays.add(process);
        return new RelayProcess(process, out, err);
    }

    /** A relay that was started. */
    record RelayProcess(Process process, Path out, Path err) {

        /** Waits for its end, and gives the lines that it has written to standard output. */
        List<String> endsWith(int status) throws Exception {
            assertThat(process.waitFor(60, TimeUnit.SECONDS)).as(errors()).isTrue();
            assertThat(process.exitValue()).as(errors()).isEqualTo(status);
            return Files.readAllLines(out);
        }

        String errors() {
            try {
                return Files.readString(err);
            } catch (IOException e) {
                throw new java.io.UncheckedIOException(e);
            }
        }

        void awaitFollowing() {
            awaitLog("Following");
        }

        void awaitLog(String text) {
            await().atMost(Duration.ofSeconds(60)).until(() -> {
                assertThat(process.isAlive()).as(errors()).isTrue();
                return errors().contains(text);
            });
        }

        void kill() throws InterruptedException {
            process.destroyForcibly().waitFor();
        }

        /** SIGTERM, and its end in good order. */
        void stop() throws Exception {
            process.destroy();
            endsWith(0);
            assertThat(errors()).doesNotContain("\tat ").endsWith("Stopped\n");
        }
    }

    /** Runs a relay once. */
    List<String> once() throws Exception {
        return relay("--once").endsWith(0);
    }

    void awaitAllSent() {
        await().atMost(Duration.ofSeconds(60)).until(() -> unsent() == 0);
    }

    /** How many relays have rows at hand and wait for Kafka. */
    long waitingInTransaction() {
        return number("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'outbox-relay'"
                + " AND state = 'idle in transaction' AND query NOT LIKE '%pg_try_advisory%'");
    }

    /** How many relays are at work in Postgres. */
    long inTransaction() {
        return number("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'outbox-relay'"
                + " AND state <> 'idle'");
    }

    /** How many relays wait inside Postgres, for what a test holds. */
    long heldByTest() {
        return number("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'outbox-relay'"
                + " AND wait_event_type = 'Lock'");
    }

    long connectedRelays() {
        return number("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'outbox-relay'");
    }

    long topicSize() {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer()) {
            return consumer.endOffsets(partitions()).values().stream()
                    .mapToLong(Long::longValue)
                    .sum();
        }
    }

    private KafkaConsumer<byte[], byte[]> consumer() {
        return new KafkaConsumer<>(
                Map.of("bootstrap.servers", servers.kafka().bootstrapServers(), "auto.offset.reset", "earliest"),
                new ByteArrayDeserializer(),
                new ByteArrayDeserializer());
    }

    private List<TopicPartition> partitions() {
        return IntStream.range(0, PARTITIONS)
                .mapToObj(partition -> new TopicPartition(stream, partition))
                .toList();
    }

    /** Everything in the topic, each partition in order. */
    List<ConsumerRecord<byte[], byte[]>> records() {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer()) {
            List<TopicPartition> partitions = partitions();
            consumer.assign(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
            while (partitions.stream().anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
                consumer.poll(Duration.ofMillis(200)).forEach(records::add);
            }
            return records;
        }
    }

    /** The messages by their ids; each must be there once. */
    Map<Long, String> messages() {
        Map<Long, String> messages = new HashMap<>();
        for (ConsumerRecord<byte[], byte[]> record : records()) {
            String message = new String(record.value(), StandardCharsets.UTF_8);
            assertThat(messages.put(id(message), message)).as(message).isNull();
        }
        return messages;
    }

    static long id(String message) {
        Matcher matcher = Pattern.compile("\\{\"id\":(\\d+)").matcher(message);
        assertThat(matcher.lookingAt()).as(message).isTrue();
        return Long.parseLong(matcher.group(1));
    }

    /**
     * Every row is flagged and in the topic, and a user's rows are there in the order of their ids, as far as first copies
     * go.
     *
     * @return how many copies there are beyond the first
     */
    long assertAllInOrder(long rows) {
        assertThat(unsent()).isZero();
        Map<Long, Integer> copies = new HashMap<>();
        Map<String, Long> lastOfUser = new HashMap<>();
        for (ConsumerRecord<byte[], byte[]> record : records()) {
            String message = new String(record.value(), StandardCharsets.UTF_8);
            Matcher matcher = EVENT.matcher(message);
            assertThat(matcher.lookingAt()).as(message).isTrue();
            long id = Long.parseLong(matcher.group(1));
            if (copies.merge(id, 1, Integer::sum) == 1) {
                Long last = lastOfUser.put(matcher.group(2), id);
                assertThat(last == null || last < id)
                        .as("%s comes after %s of the same user", id, last)
                        .isTrue();
            }
        }
        assertThat(copies).hasSize((int) rows);
        return copies.values().stream().mapToLong(count -> count - 1).sum();
    }

    @Override
    public void close() throws Exception {
        for (Process relay : relays) {
            relay.destroyForcibly().waitFor();
        }
        database.close();
        FreshDirectory.delete(directory);
    }
}
