package io.github.eventdedup.job;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.awaitility.Awaitility.await;

import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.launch.Preflight;
import io.github.eventdedup.job.testing.Fixtures;
import io.github.eventdedup.job.testing.Servers;
import io.github.eventdedup.servers.FreePort;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SetupIT {

    @TempDir
    private static Path directory;

    private static Servers servers;
    private static StreamDefinition stream;

    @TempDir
    private Path files;

    @BeforeAll
    static void startServers() throws Exception {
        servers = Servers.start(directory);
        stream = Fixtures.viewEvents();
    }

    @AfterAll
    static void stopServers() throws Exception {
        servers.close();
    }

    @BeforeEach
    void empty() throws Exception {
        Fixtures.execute(servers.login(), "DROP TABLE IF EXISTS view_events");
        try (Admin admin = servers.endpoints().kafka()) {
            admin.deleteTopics(admin.listTopics().names().get()).all().get();
        }
        awaitTopics(0);
    }

    @Test
    void makesAllThatTheJobNeeds() throws Exception {
        setUp();

        assertThatCode(() -> Preflight.check(stream, servers.endpoints())).doesNotThrowAnyException();
        assertThat(partitions())
                .isEqualTo(Map.of(
                        "view-events",
                        4,
                        "view-events.duplicates",
                        2,
                        "view-events.dead-letters",
                        1,
                        "user-logins",
                        4,
                        "user-logins.duplicates",
                        2,
                        "user-logins.dead-letters",
                        1));
        assertThat(setting("view-events", "retention.ms"))
                .as("window and slack")
                .isEqualTo(Long.toString(Duration.ofDays(8).toMillis()));
        assertThat(setting("view-events.dead-letters", "retention.ms")).isEqualTo("-1");
    }

    /** A producer that must not try twice finds out whether it would have had to. */
    @Test
    void topicsTakeRecordsAsSoonAsItReturns() throws Exception {
        String yaml = Files.readString(Fixtures.viewEventsFile());
        Map<String, Object> once = Map.of(
                "bootstrap.servers", servers.kafka().bootstrapServers(), "retries", 0, "enable.idempotence", false);
        try (KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(once, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (int i = 0; i < 20; i++) {
                String name = "stream-" + i;
                Files.writeString(files.resolve("stream.yaml"), yaml.replace("stream: view-events", "stream: " + name));
                Setup.run(List.of("--streams", files.toString()), environment());

                List<Future<RecordMetadata>> sent = IntStream.range(0, 4)
                        .mapToObj(partition ->
                                producer.send(new ProducerRecord<>(name, partition, new byte[0], new byte[0])))
                        .toList();
                for (Future<RecordMetadata> record : sent) {
                    assertThat(record).as(name).succeedsWithin(Duration.ofMinutes(1));
                }
            }
        }
    }

    @Test
    void leavesWhatIsThereAsItIs() throws Exception {
        setUp();
        Fixtures.setTopicSetting(servers.endpoints(), "view-events", "retention.ms", "123456789");
        Fixtures.execute(
                servers.login(),
                "INSERT INTO view_events (fingerprint, user_id, content_id, event_name, event_datetime, sid, event,"
                        + " kafka_partition, kafka_offset, received_at) VALUES ('x', '', '', '', now(), '', '{}', 0, 0, now())");
        Map<String, Integer> before = partitions();

        setUp();

        assertThat(setting("view-events", "retention.ms")).isEqualTo("123456789");
        assertThat(partitions()).isEqualTo(before);
        assertThat(Fixtures.row(servers.login(), "SELECT count(*) FROM view_events"))
                .containsExactly("1");
    }

    @Test
    void makesWhatIsMissing() throws Exception {
        setUp();
        try (Admin admin = servers.endpoints().kafka()) {
            admin.deleteTopics(List.of("view-events.duplicates")).all().get();
        }
        awaitTopics(5);
        Fixtures.execute(servers.login(), "DROP TABLE view_events");

        setUp();

        assertThatCode(() -> Preflight.check(stream, servers.endpoints())).doesNotThrowAnyException();
    }

    /** In 15 seconds, however many streams there are: Preflight's patience, not that of Kafka's client. */
    @Test
    void saysThatKafkaAndPostgresAreAway() throws Exception {
        String yaml = Files.readString(Fixtures.viewEventsFile());
        for (String name : List.of("a", "b", "c")) {
            Files.writeString(files.resolve(name + ".yaml"), yaml.replace("stream: view-events", "stream: " + name));
        }
        Map<String, String> nowhere = environment();
        nowhere.put("DEDUP_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:" + FreePort.find());
        nowhere.put("DEDUP_POSTGRES_URL", "jdbc:postgresql://127.0.0.1:" + FreePort.find() + "/dedup");

        long start = System.nanoTime();
        assertThat(errors(nowhere, "--streams", files.toString(), "--postgres", sql()))
                .satisfiesExactly(
                        line -> assertThat(line)
                                .contains("Kafka at", "does not answer", "DEDUP_KAFKA_BOOTSTRAP_SERVERS"),
                        line -> assertThat(line)
                                .contains("Postgres at", "start it", "DEDUP_POSTGRES_URL", "Connection to"));
        assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(30));
    }

    @Test
    void saysThatAddressesCannotBeUsed() {
        Map<String, String> wrong = environment();
        wrong.put("DEDUP_KAFKA_BOOTSTRAP_SERVERS", "nowhere.invalid:9092");

        assertThat(errors(wrong, "--streams", streams(), "--postgres", sql()))
                .singleElement()
                .asString()
                .contains("nowhere.invalid", "DEDUP_KAFKA_BOOTSTRAP_SERVERS", "No resolvable bootstrap");
    }

    @Test
    void saysThatTheLoginDoesNotWork() throws Exception {
        Fixtures.execute(servers.login(), "DROP ROLE IF EXISTS other; CREATE ROLE other LOGIN PASSWORD 'other'");
        Map<String, String> other = environment();
        other.put("DEDUP_POSTGRES_USER", "other");

        assertThat(errors(other, "--streams", streams(), "--postgres", sql()))
                .singleElement()
                .asString()
                .contains("user 'other'", "DEDUP_POSTGRES_PASSWORD", "password authentication failed");
        assertThat(partitions()).as("what could be made was made").hasSize(6);
    }

    @Test
    void namesEverySchemaFileThatCannotBeAppliedAndAppliesTheRest() throws Exception {
        Files.writeString(files.resolve("1.sql"), "CREATE TABEL a ()");
        Files.writeString(
                files.resolve("2.sql"),
                "-- Zero; of course.\nCREATE TABLE IF NOT EXISTS half (t text DEFAULT ';');\n-- It\nSELECT\n 1/0; SELECT 2");
        Files.copy(Fixtures.file("sql/postgres/001-view-events.sql"), files.resolve("3.sql"));

        assertThat(errors(environment(), "--streams", streams(), "--postgres", files.toString()))
                .filteredOn(line -> line.contains("--postgres"))
                .satisfiesExactly(
                        line -> assertThat(line).contains(files.resolve("1.sql").toString(), "TABEL"),
                        line -> assertThat(line)
                                .contains(files.resolve("2.sql").toString(), "division by zero", "'SELECT 1/0'"));
        assertThat(Fixtures.row(servers.login(), "SELECT to_regclass('half')"))
                .as("a file is applied as a whole or not at all")
                .containsExactly((String) null);
        assertThatCode(() -> Preflight.check(stream, servers.endpoints())).doesNotThrowAnyException();
    }

    @Test
    void namesEverythingThatIsWrongBeforeItDoesAnything() throws Exception {
        Files.writeString(files.resolve("bad.yaml"), "stream: [");
        Map<String, String> wrong = environment();
        wrong.put("DEDUP_POSTGRES_USR", "x");

        assertThat(String.join("\n", errors(wrong, "--streams", files.toString(), "--postgres", "nowhere")))
                .contains(
                        files.resolve("bad.yaml") + " is not a valid stream definition",
                        "--postgres: cannot read the directory nowhere",
                        "DEDUP_POSTGRES_USR is not known");
        assertThat(partitions()).isEmpty();
    }

    @Test
    void refusesADirectoryWithNothingInIt() {
        assertThat(errors(environment(), "--streams", files.toString(), "--postgres", files.toString()))
                .containsExactly(
                        "--streams: no file in the directory " + files + " ends with .yaml",
                        "--postgres: no file in the directory " + files + " ends with .sql");
    }

    @Test
    void refusesOtherArguments() {
        for (List<String> arguments : List.of(
                List.of("--streams"),
                List.of("--postgres", sql()),
                List.of("--streams", streams(), "--streams", streams()),
                List.of("--streams", streams(), "--sql", sql()))) {
            assertThatThrownBy(() -> Setup.run(arguments, environment()))
                    .isInstanceOf(ConfigurationException.class)
                    .hasMessageStartingWith("arguments: give --streams DIR [--postgres DIR] [--clickhouse DIR], as in"
                            + " --streams streams --postgres sql/postgres (");
        }
    }

    private static void setUp() throws ConfigurationException {
        Setup.run(List.of("--streams", streams(), "--postgres", sql()), environment());
    }

    /** The broker answers for the controller, before it has heard of deleted topics itself. */
    private static void awaitTopics(int count) {
        await().atMost(Duration.ofMinutes(2))
                .ignoreExceptionsInstanceOf(ExecutionException.class)
                .until(() -> partitions().size() == count);
    }

    private static List<String> errors(Map<String, String> environment, String... arguments) {
        return catchThrowableOfType(
                        ConfigurationException.class, () -> Setup.run(Arrays.asList(arguments), environment))
                .getMessage()
                .lines()
                .toList();
    }

    private static String streams() {
        return Fixtures.file("streams").toString();
    }

    private static String sql() {
        return Fixtures.file("sql/postgres").toString();
    }

    private static Map<String, String> environment() {
        return new TreeMap<>(Map.of(
                "DEDUP_KAFKA_BOOTSTRAP_SERVERS", servers.kafka().bootstrapServers(),
                "DEDUP_POSTGRES_URL", servers.postgres().jdbcUrl(),
                "DEDUP_POSTGRES_PASSWORD", "read from the environment of the process"));
    }

    private static Map<String, Integer> partitions() throws Exception {
        Map<String, Integer> partitions = new TreeMap<>();
        try (Admin admin = servers.endpoints().kafka()) {
            List<String> topics = new ArrayList<>(admin.listTopics().names().get());
            for (TopicDescription topic :
                    admin.describeTopics(topics).allTopicNames().get().values()) {
                partitions.put(topic.name(), topic.partitions().size());
            }
        }
        return partitions;
    }

    private static String setting(String topic, String name) throws Exception {
        return Fixtures.topicSetting(servers.endpoints(), topic, name);
    }
}
