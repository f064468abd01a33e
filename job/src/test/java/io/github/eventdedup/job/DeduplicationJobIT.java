package io.github.eventdedup.job;

import static io.github.eventdedup.job.testing.StreamTopics.header;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.github.eventdedup.event.Column;
import io.github.eventdedup.event.ColumnType;
import io.github.eventdedup.event.PostgresTable;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.kafka.SideTopics;
import io.github.eventdedup.job.launch.Attachment;
import io.github.eventdedup.job.launch.Preflight;
import io.github.eventdedup.job.settings.PostgresLogin;
import io.github.eventdedup.job.testing.Fixtures;
import io.github.eventdedup.job.testing.JobMetrics;
import io.github.eventdedup.job.testing.JobMetrics.Counts;
import io.github.eventdedup.job.testing.Servers;
import io.github.eventdedup.job.testing.StreamTopics;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.JobStatus;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.core.execution.SavepointFormatType;
import org.apache.flink.runtime.minicluster.MiniCluster;
import org.apache.flink.util.IOUtils;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.io.TempDir;

/** The whole job on RocksDB, between a real Kafka and a real Postgres. Every scenario ends with all counts and rows compared. */
class DeduplicationJobIT {

    private static final Duration PATIENCE = Duration.ofMinutes(2);
    private static final int DISTINCT_SAMPLES = 152;

    @TempDir
    private static Path directory;

    private static Servers servers;
    private static PostgresLogin login;
    private static MiniCluster flink;

    private StreamDefinition stream;
    private StreamTopics topics;
    private JobID job;
    private JobMetrics metrics;

    @BeforeAll
    static void startServers() throws Exception {
        servers = Servers.start(directory);
        login = servers.login();
        flink = Fixtures.flink(directory.resolve("checkpoints"));
        flink.start();
    }

    @AfterAll
    static void stopServers() throws Exception {
        IOUtils.closeAll(flink, servers);
    }

    @BeforeEach
    void startJob(TestInfo test) throws Exception {
        StreamDefinition views = Fixtures.viewEvents();
        stream = new StreamDefinition(
                test.getTestMethod().orElseThrow().getName().toLowerCase(Locale.ROOT),
                views.fingerprint(),
                views.window(),
                views.ttlSlack(),
                null,
                views.table());
        Fixtures.execute(login, "DROP TABLE IF EXISTS view_events");
        Fixtures.createTable(login);
        Fixtures.createTopics(servers.endpoints(), stream);
        topics = new StreamTopics(servers.kafka().bootstrapServers(), stream);
        Preflight.check(stream, servers.endpoints());
        job = Fixtures.submit(flink, stream, servers.endpoints());
        metrics = new JobMetrics(flink, job, stream.stream());
    }

    @AfterEach
    void stopJob() throws Exception {
        topics.close();
        flink.cancelJob(job).get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
        await().atMost(PATIENCE).until(() -> flink.getJobStatus(job).get().isGloballyTerminalState());
    }

    @Test
    void eachEventOfTheSampleIsStoredOnceHoweverOftenItIsSent() throws Exception {
        sendTwiceShuffled();

        awaitCounts(new Counts(400, DISTINCT_SAMPLES, 400 - DISTINCT_SAMPLES, 0, 0, 0));
    }

    @Test
    void aSideTopicThatIsDeletedIsNamedUntilItIsThereAgain() throws Exception {
        topics.send(Fixtures.viewEvent("first", "watch"));
        awaitCounts(new Counts(1, 1, 0, 0, 0, 0));
        try (Admin admin = servers.endpoints().kafka()) {
            admin.deleteTopics(List.of(stream.deadLettersTopic())).all().get();
        }
        await().atMost(PATIENCE)
                .untilAsserted(() -> assertThat(metrics.lastFailure())
                        .contains("Kafka has no topic '" + stream.deadLettersTopic() + "'", "Create it again"));
        Fixtures.createTopics(servers.endpoints(), stream);
        topics.send(null, "not json".getBytes(UTF_8));
        awaitCounts(new Counts(2, 1, 0, 1, 0, 0));
    }

    @Test
    void badRecordsBecomeDeadLettersWithTheirReasonAndTheJobGoesOn() throws Exception {
        Map<String, byte[]> bad = new LinkedHashMap<>();
        bad.put("is not JSON", "not json".getBytes(UTF_8));
        bad.put("lacks the fields", "{\"userId\":1}".getBytes(UTF_8));
        bad.put("U+0000", Fixtures.viewEvent("\\u0000", "watch").getBytes(UTF_8));
        bad.put("is too large", Fixtures.viewEvent("x".repeat(2 << 20), "watch").getBytes(UTF_8));
        bad.put("is empty", new byte[0]);
        bad.put("tombstone", null);
        bad.values().forEach(value -> topics.send(null, value));
        topics.send(Fixtures.viewEvent("good", "watch"));

        awaitCounts(new Counts(bad.size() + 1, 1, 0, bad.size(), 0, 0));
        assertThat(flink.getJobStatus(job).get()).isEqualTo(JobStatus.RUNNING);
        Map<String, ConsumerRecord<byte[], byte[]>> letters = topics.deadLetters();
        bad.forEach((reason, value) -> assertThat(letters.values())
                .as(reason)
                .filteredOn(letter -> header(letter, "reason").contains(reason))
                .singleElement()
                .satisfies(letter -> {
                    assertThat(letter.value()).isEqualTo(value);
                    assertThat(header(letter, "topic")).isEqualTo(stream.stream());
                    assertThat(new String(letter.key(), UTF_8))
                            .isEqualTo(header(letter, "partition") + ":" + header(letter, "offset"));
                }));
    }

    /** Compressed it fits into the topic; expanded, no producer would send it on. */
    @Test
    void aRecordThatExpandsBeyondMeasureIsADeadLetterWithoutItsValue() throws Exception {
        topics.send(null, new byte[SideTopics.MAX_VALUE_BYTES + 1]);
        topics.send(Fixtures.viewEvent("good", "watch"));

        awaitCounts(new Counts(2, 1, 0, 1, 0, 0));
        assertThat(topics.deadLetters().values()).singleElement().satisfies(letter -> {
            assertThat(letter.value()).isNull();
            assertThat(header(letter, "reason")).contains("too large");
            assertThat(header(letter, "value-omitted")).contains("16777217 bytes");
        });
    }

    @Test
    void aRowThatPostgresRefusesBecomesADeadLetterAndTheRestIsStored() throws Exception {
        Fixtures.execute(login, "ALTER TABLE view_events ADD CHECK (event_name <> 'refused')");
        for (int i = 0; i < 100; i++) {
            topics.send(Fixtures.viewEvent("user" + i, i % 10 == 3 ? "refused" : "watch"));
        }

        awaitCounts(new Counts(100, 100, 0, 0, 10, 0));
        assertThat(topics.deadLetters().values())
                .allSatisfy(letter -> assertThat(header(letter, "reason")).contains("Postgres refused the row"));
    }

    @Test
    void aRejectedEventIsStoredOnceHoweverOftenItIsReplayed() throws Exception {
        Fixtures.execute(login, "ALTER TABLE view_events ADD CONSTRAINT mistake CHECK (event_name <> 'rejected')");
        topics.send(Fixtures.viewEvent("user", "rejected"));
        awaitCounts(new Counts(1, 1, 0, 0, 1, 0));
        assertThat(deadLetters("list"))
                .contains(": 1 dead letter", "rejected-by-postgres", "violates check constraint \"mistake\"");
        assertThat(deadLetters("replay", "--dry-run")).contains(": 1 dead letter", "would be sent again: 1");

        // Too early: it is rejected again, and is a letter again.
        assertThat(deadLetters("replay")).contains("sent again: 1, refused: 0");
        await().atMost(PATIENCE).until(() -> metrics.counts().equals(new Counts(2, 2, 0, 0, 2, 0)));
        await().atMost(PATIENCE)
                .untilAsserted(() -> assertThat(deadLetters("list")).contains(": 1 dead letter"));

        Fixtures.execute(login, "ALTER TABLE view_events DROP CONSTRAINT mistake");
        topics.send(Fixtures.viewEvent("user", "rejected"));
        await().atMost(PATIENCE).until(() -> metrics.counts().equals(new Counts(3, 2, 1, 0, 2, 0)));
        flink.terminateTaskManager(0).get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
        assertThat(deadLetters("replay", "--reason-code", "rejected-by-postgres"))
                .contains("sent again: 1, refused: 0");
        flink.startTaskManager();
        await().atMost(PATIENCE).until(() -> metrics.counts().equals(new Counts(4, 3, 1, 0, 2, 0)));
        assertThat(Fixtures.row(login, "SELECT count(*), sum(escapes), min(kafka_offset) FROM view_events"))
                .as("one row, with the place of the original")
                .containsExactly("1", "0", "0");

        assertThat(deadLetters("replay")).contains("sent again: 0, refused: 0");
        assertThat(deadLetters("list")).contains(": 0 dead letters");
        // As if it had been killed before it could note what it did.
        try (Admin admin = servers.endpoints().kafka()) {
            admin.deleteTopics(List.of(stream.deadLettersTopic() + ".handled"))
                    .all()
                    .get();
            await().atMost(PATIENCE)
                    .until(() -> !admin.listTopics().names().get().contains(stream.deadLettersTopic() + ".handled"));
        }
        assertThat(deadLetters("replay")).contains("sent again: 1, refused: 0");
        await().atMost(PATIENCE).until(() -> metrics.counts().equals(new Counts(5, 3, 2, 0, 2, 0)));
        assertThat(metrics.count("replayed")).isEqualTo(2);
        assertThat(Fixtures.row(login, "SELECT count(*), sum(escapes) FROM view_events"))
                .containsExactly("1", "0");
    }

    /** An event that is invalid under a definition, and valid once it is corrected. */
    @Test
    void anInvalidEventIsStoredOnceItsDefinitionIsCorrected() throws Exception {
        submitAgain(withSidAs(ColumnType.BIGINT));
        topics.send(Fixtures.viewEvent("user", "watch").replace("\"sid\":\"1\"", "\"sid\":\"s\""));
        topics.send(null, "{}".getBytes(UTF_8));
        awaitCounts(new Counts(2, 0, 0, 2, 0, 0));
        submitAgain(stream);

        assertThat(deadLetters("list")).contains(": 2 dead letters", "wrong-type", "missing-field");
        assertThat(deadLetters("replay"))
                .startsWith("3 ")
                .contains("sent again: 1, refused: 1", "refused: the event lacks the fields");
        awaitCounts(new Counts(3, 1, 0, 2, 0, 0));
        assertThat(deadLetters("show"))
                .contains("newest 1 of 1 dead letter", "reason-code   missing-field", "value         {}");
        assertThat(deadLetters("discard", "--stream", stream.stream())).contains(": 1 dead letter", "discarded");
        assertThat(deadLetters("list")).contains(": 0 dead letters");
        assertThat(deadLetters("list", "--all")).contains(": 2 dead letters");
    }

    private StreamDefinition withSidAs(ColumnType type) {
        PostgresTable table = (PostgresTable) stream.table();
        List<Column> columns = table.columns().stream()
                .map(column -> column.field().equals("sid") ? new Column(column.name(), column.field(), type) : column)
                .toList();
        return new StreamDefinition(
                stream.stream(),
                stream.fingerprint(),
                stream.window(),
                stream.ttlSlack(),
                null,
                new PostgresTable(table.name(), columns, table.document()));
    }

    private void submitAgain(StreamDefinition definition) throws Exception {
        await().atMost(PATIENCE).until(() -> metrics.allRun());
        String savepoint = flink.stopWithSavepoint(
                        job, directory.toUri().toString(), false, SavepointFormatType.CANONICAL)
                .get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
        await().atMost(PATIENCE).until(() -> flink.getJobStatus(job).get() == JobStatus.FINISHED);
        job = Fixtures.submit(
                flink,
                definition,
                servers.endpoints(),
                Configuration.fromMap(Map.of("execution.state-recovery.path", savepoint)));
        metrics = new JobMetrics(flink, job, stream.stream());
    }

    /** What the command says, on both its outputs, with its exit code before it. */
    private String deadLetters(String... arguments) throws Exception {
        Path definitions = Files.createDirectories(directory.resolve(stream.stream()));
        Files.writeString(
                definitions.resolve("stream.yaml"),
                Files.readString(Fixtures.viewEventsFile())
                        .replace("stream: view-events", "stream: " + stream.stream()));
        return Fixtures.deadLetters(
                definitions,
                Map.of("DEDUP_KAFKA_BOOTSTRAP_SERVERS", servers.kafka().bootstrapServers()),
                arguments);
    }

    @Test
    void aTaskManagerThatDiesChangesNothing() throws Exception {
        sendTwiceShuffled();
        await().atMost(PATIENCE).until(() -> metrics.counts().unique() > 0);
        flink.terminateTaskManager(0).get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
        sendTwiceShuffled();
        flink.startTaskManager();
        sendTwiceShuffled();

        awaitCounts(new Counts(1200, DISTINCT_SAMPLES, 1200 - DISTINCT_SAMPLES, 0, 0, 0));
    }

    @Test
    void postgresKilledAndBackUnderLoadLosesNothing() throws Exception {
        for (int round = 0; round < 3; round++) {
            for (int i = 0; i < 500; i++) {
                topics.send(Fixtures.viewEvent("user" + round + "-" + i, "watch"));
            }
            if (round == 1) {
                servers.postgres().kill();
            }
        }
        topics.awaitSent();
        servers.postgres().start();

        awaitCounts(new Counts(1500, 1500, 0, 0, 0, 0));
        assertThat(metrics.restarts())
                .as("the writer waits, the job does not restart")
                .isZero();
    }

    @Test
    void kafkaKilledAndBackLosesNothing() throws Exception {
        sendTwiceShuffled();
        topics.awaitSent();
        await().atMost(PATIENCE).until(() -> metrics.counts().received() > 0);
        servers.kafka().kill();
        servers.kafka().start();
        sendTwiceShuffled();

        awaitCounts(new Counts(800, DISTINCT_SAMPLES, 800 - DISTINCT_SAMPLES, 0, 0, 0));
    }

    /** More than the job holds waits in Kafka, and goes before the table takes rows again. */
    @Test
    void recordsThatAreDeletedUnderAJobThatIsBehindAreCounted() throws Exception {
        int total = 20_000;
        try (Connection lock = login.connect();
                Statement statement = lock.createStatement()) {
            lock.setAutoCommit(false);
            statement.execute("LOCK TABLE view_events IN ACCESS EXCLUSIVE MODE");
            for (int i = 0; i < total; i++) {
                topics.send(Fixtures.viewEvent("x".repeat(2000) + i, "watch"));
            }
            topics.awaitSent();
            Map<TopicPartition, RecordsToDelete> deleted = new HashMap<>();
            Attachment.of(stream, servers.endpoints())
                    .ends()
                    .forEach((partition, end) -> deleted.put(
                            new TopicPartition(stream.stream(), partition), RecordsToDelete.beforeOffset(end - 10)));
            try (Admin admin = servers.endpoints().kafka()) {
                admin.deleteRecords(deleted).all().get();
            }
            lock.rollback();
        }

        await().atMost(PATIENCE).untilAsserted(() -> {
            assertThat(metrics.count("retentionLost")).isPositive();
            assertThat(metrics.count("received") + metrics.count("retentionLost"))
                    .isEqualTo(total);
        });
        assertThat(flink.getJobStatus(job).get()).isEqualTo(JobStatus.RUNNING);
    }

    /** Waits until the job has counted this, and compares it with every place that events end in. */
    private void awaitCounts(Counts expected) throws Exception {
        topics.awaitSent();
        assertThat(topics.recordsInRawTopic()).isEqualTo(expected.received());
        await().atMost(PATIENCE)
                .untilAsserted(() -> assertThat(metrics.counts()).isEqualTo(expected));
        await().atMost(PATIENCE).untilAsserted(() -> {
            assertThat(Fixtures.row(login, "SELECT count(*), coalesce(sum(escapes), 0) FROM view_events"))
                    .containsExactly(Long.toString(expected.unique() - expected.refused()), "0");
            assertThat(topics.duplicates()).hasSize((int) expected.duplicate());
            assertThat(topics.deadLetters()).hasSize((int) (expected.deadLettered() + expected.refused()));
        });
        assertThat(expected.received())
                .as("records in the topic = stored + duplicates + dead letters")
                .isEqualTo((expected.unique() - expected.refused())
                        + expected.duplicate()
                        + expected.deadLettered()
                        + expected.refused());
    }

    private void sendTwiceShuffled() throws Exception {
        long seed = System.nanoTime();
        System.out.println("shuffled with seed " + seed);
        List<String> lines = new ArrayList<>(Fixtures.sampleLines());
        lines.addAll(Fixtures.sampleLines());
        Collections.shuffle(lines, new Random(seed));
        for (String line : lines) {
            topics.send(line);
        }
    }
}
