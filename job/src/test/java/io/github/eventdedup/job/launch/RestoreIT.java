package io.github.eventdedup.job.launch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.awaitility.Awaitility.await;

import com.clickhouse.client.api.Client;
import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.DeduplicationJob;
import io.github.eventdedup.job.pipeline.StateIdentity;
import io.github.eventdedup.job.settings.Endpoints;
import io.github.eventdedup.job.settings.JobSettings.Consent;
import io.github.eventdedup.job.settings.JobSettings.Start;
import io.github.eventdedup.job.testing.Fixtures;
import io.github.eventdedup.job.testing.JobMetrics;
import io.github.eventdedup.job.testing.StreamTopics;
import io.github.eventdedup.servers.ClickHouseServer;
import io.github.eventdedup.servers.FreePort;
import io.github.eventdedup.servers.KafkaServer;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.JobStatus;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.StateRecoveryOptions;
import org.apache.flink.core.execution.SavepointFormatType;
import org.apache.flink.runtime.minicluster.MiniCluster;
import org.apache.flink.util.IOUtils;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.io.TempDir;

/**
 * What a job's state belongs to: a topic, a table, and what was stored since. Between a real Kafka and a real ClickHouse; the
 * job is started as its main method does it. Ids of logins are what is counted: each is to be stored once.
 */
class RestoreIT {

    private static final Duration PATIENCE = Duration.ofMinutes(3);

    @TempDir
    private static Path directory;

    private static KafkaServer kafka;
    private static ClickHouseServer clickHouse;
    private static Endpoints endpoints;
    private static Client client;
    private static MiniCluster flink;

    private StreamDefinition stream;
    private StreamTopics topics;
    private JobID job;
    private JobMetrics metrics;

    @BeforeAll
    static void startServers() throws Exception {
        kafka = new KafkaServer(directory.resolve("kafka"), FreePort.find());
        int port = FreePort.find();
        clickHouse = Fixtures.clickHouse(directory, port);
        kafka.start();
        clickHouse.start();
        endpoints = new Endpoints(kafka.bootstrapServers(), null, Fixtures.login(port));
        client = Fixtures.login(port).connect();
        flink = Fixtures.flink(directory.resolve("checkpoints"));
        flink.start();
    }

    @AfterAll
    static void stopServers() throws Exception {
        IOUtils.closeAll(client, flink, clickHouse, kafka);
    }

    @BeforeEach
    void startJob(TestInfo test) throws Exception {
        StreamDefinition logins = Fixtures.userLogins();
        stream = new StreamDefinition(
                test.getTestMethod().orElseThrow().getName().toLowerCase(Locale.ROOT),
                logins.fingerprint(),
                logins.window(),
                logins.ttlSlack(),
                null,
                logins.table());
        createTable("user_logins");
        Fixtures.createTopics(endpoints, stream);
        topics = new StreamTopics(kafka.bootstrapServers(), stream);
        submit(start(Start.ONLY_WITHOUT_STATE, null));
    }

    @AfterEach
    void stopJob() throws Exception {
        topics.close();
        cancel();
    }

    /** The new topic soon has more records than were read of the old one: none may be taken for those of before. */
    @Test
    void aTopicThatIsCreatedAgainIsNoticedAndReadFromItsBeginning() throws Exception {
        send(1, 40);
        awaitStored(40);
        deleteTopic();
        createTopic();
        send(21, 80);

        awaitFailure("was deleted and created again", "--resume --new-topic");
        cancel();
        assertThat(refusal(Start.RESUME, null))
                .contains("with the id", "deleted and created again", "--new-topic", "--fresh");

        StartingPoint again = start(Start.RESUME, null, Consent.NEW_TOPIC);
        assertThat(again.identity().stateId())
                .as("it is the memory of before")
                .isEqualTo(again.restored().orElseThrow().identity().stateId());
        submit(again);
        awaitStored(100);
        String savepoint = stopWithSavepoint();
        // From now on it is the job's topic.
        submit(start(Start.RESUME, null));
        send(101, 10);
        awaitStored(110);
        assertThat(savepoint).isNotEmpty();
    }

    /** State of earlier versions does not know its topic: what it has read and the topic lacks tells. */
    @Test
    void aTopicThatEndsBeforeTheSavedOffsetIsRefused() throws Exception {
        cancel();
        submitWithoutIds();
        send(1, 40);
        awaitStored(40);
        stopWithSavepoint();
        deleteTopic();
        createTopic();
        send(31, 20);

        assertThat(refusal(Start.RESUME, null)).contains("up to offset", "ends at", "--new-topic", "--fresh");
        submit(start(Start.RESUME, null, Consent.NEW_TOPIC));
        awaitStored(50);
    }

    /** Nothing at submission looks at a job that Flink recovers by itself. */
    @Test
    void aTopicThatEndsBeforeTheSavedOffsetFailsTheJob() throws Exception {
        cancel();
        submitWithoutIds();
        send(1, 40);
        awaitStored(40);
        String savepoint = stopWithSavepoint();
        deleteTopic();
        createTopic();

        Configuration more = new Configuration();
        more.set(StateRecoveryOptions.SAVEPOINT_PATH, savepoint);
        job = Fixtures.submit(flink, stream, StateIdentity.of(stream), endpoints, more);
        metrics = new JobMetrics(flink, job, stream.stream());
        awaitFailure("ends at offset 0, and the job has read it up to", "--new-topic");
    }

    @Test
    void recordsThatAreDeletedUnreadAreCountedOnceAndTheRestIsRead() throws Exception {
        send(1, 40);
        awaitStored(40);
        awaitCount("received", 40);
        assertThat(metrics.count("retentionLost")).isZero();
        stopWithSavepoint();
        long lost = 0;
        Map<TopicPartition, Long> before = ends();
        send(41, 80);
        Map<TopicPartition, RecordsToDelete> deleted = new HashMap<>();
        for (Map.Entry<TopicPartition, Long> end : ends().entrySet()) {
            long unread = end.getValue() - before.get(end.getKey());
            lost += unread / 2;
            deleted.put(end.getKey(), RecordsToDelete.beforeOffset(before.get(end.getKey()) + unread / 2));
        }
        assertThat(lost).isPositive();
        try (Admin admin = endpoints.kafka()) {
            admin.deleteRecords(deleted).all().get();
        }

        submit(start(Start.RESUME, null));
        awaitStored(120 - lost);
        awaitCount("retentionLost", lost);
        awaitCount("received", 120 - lost);
        stopWithSavepoint();
        submit(start(Start.RESUME, null));
        send(121, 10);
        awaitStored(130 - lost);
        awaitCount("received", 130 - lost);
        awaitCount("retentionLost", lost);
    }

    @Test
    void olderStateIsRefusedWithTheNumberOfRowsThatWouldComeTwice() throws Exception {
        send(1, 15);
        awaitStored(15);
        String older = flink.triggerSavepoint(
                        job, savepoints().toUri().toString(), false, SavepointFormatType.CANONICAL)
                .get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
        send(16, 10);
        awaitStored(25);
        String newest = stopWithSavepoint();

        assertThat(refusal(Start.ONLY_WITHOUT_STATE, older))
                .contains(older, newest.substring(newest.indexOf("savepoint-")), "Up to 10 rows", "--from-older");
        assertThat(start(Start.ONLY_WITHOUT_STATE, newest).restored()).isPresent();
        // A copy of it is as new, and one of the older is not newer for being a newer file.
        assertThat(start(Start.ONLY_WITHOUT_STATE, copy(newest, directory.resolve("elsewhere")))
                        .restored())
                .isPresent();
        assertThat(refusal(Start.ONLY_WITHOUT_STATE, copy(older, savepoints().resolve("copy"))))
                .contains("Up to 10 rows");

        submit(start(Start.ONLY_WITHOUT_STATE, older, Consent.FROM_OLDER));
        awaitCount("unique", 25);
        stopWithSavepoint();
        assertThat(ids()).isEqualTo(25);
        assertThat(rows()).as("fewer where a batch has the same rows again").isBetween(25L, 35L);
    }

    /** The recipe of docs/operations.md: no row waits in the state that the job continues from. */
    @Test
    void aTableIsReplacedWithoutALostOrDoubledRow() throws Exception {
        cancel();
        StartingPoint seldom = start(Start.RESUME, null);
        seldom.configuration().setString("execution.checkpointing.interval", "1h");
        seldom.configuration().setString("execution.checkpointing.min-pause", "1h");
        submit(seldom);
        send(1, 40);
        awaitCount("unique", 40);
        stopWithSavepoint();
        assertThat(rows()).isEqualTo(40);
        exchangeForACopy();
        assertThat(refusal(Start.RESUME, null)).contains("non_replicated_deduplication_window = 0");
        client.queryAll("ALTER TABLE user_logins MODIFY SETTING non_replicated_deduplication_window = 1000");
        assertThat(refusal(Start.RESUME, null)).contains("EXCHANGE TABLES", "--new-table", "--fresh");
        assertThat(refusal(Start.RESUME, null, Consent.NEW_TABLE)).contains("without pending rows");
        client.queryAll("EXCHANGE TABLES user_logins AND user_logins_new");

        submit(start(Start.RESUME, null));
        awaitNothingPending();
        stopWithSavepoint();
        exchangeForACopy();
        client.queryAll("ALTER TABLE user_logins MODIFY SETTING non_replicated_deduplication_window = 1000");
        submit(start(Start.RESUME, null, Consent.NEW_TABLE));
        client.queryAll("DROP TABLE user_logins_new SYNC");
        send(41, 20);
        awaitStored(60);
        stopWithSavepoint();
        // From now on it is the job's table.
        submit(start(Start.RESUME, null));
        send(61, 10);
        awaitStored(70);
    }

    @Test
    void aTableThatIsExchangedUnderTheJobGetsNoRow() throws Exception {
        send(1, 40);
        awaitStored(40);
        exchangeForACopy();
        send(41, 20);
        await().atMost(PATIENCE).until(() -> metrics.count("waiting") > 0);
        assertThat(rows()).isEqualTo(40);
        client.queryAll("EXCHANGE TABLES user_logins AND user_logins_new");
        awaitStored(60);
    }

    private static void exchangeForACopy() throws Exception {
        createTable("user_logins_new");
        client.queryAll("ALTER TABLE user_logins_new MODIFY SETTING non_replicated_deduplication_window = 0");
        client.queryAll("INSERT INTO user_logins_new SELECT * FROM user_logins");
        client.queryAll("EXCHANGE TABLES user_logins AND user_logins_new");
    }

    private void awaitNothingPending() {
        await().atMost(PATIENCE).until(() -> {
            SavedState newest = start(Start.RESUME, null).restored().orElseThrow();
            return newest.path().contains(job.toString()) && !newest.hasPendingRows();
        });
    }

    /** As {@link DeduplicationJob} does it. */
    private StartingPoint start(Start how, String named, Consent... consents) throws ConfigurationException {
        Configuration configuration = new Configuration();
        configuration.set(
                CheckpointingOptions.CHECKPOINTS_DIRECTORY,
                directory.resolve("checkpoints").toUri().toString());
        configuration.set(
                CheckpointingOptions.SAVEPOINT_DIRECTORY, savepoints().toUri().toString());
        if (named != null) {
            configuration.set(StateRecoveryOptions.SAVEPOINT_PATH, named);
        }
        StartingPoint start = StartingPoint.of(configuration, StateIdentity.of(stream), how);
        start.requireNewest(configuration, false, Set.of(consents));
        Preflight.check(stream, endpoints);
        start = start.attachedTo(Attachment.of(stream, endpoints), Set.of(consents));
        if (named != null) {
            start.configuration().set(StateRecoveryOptions.SAVEPOINT_PATH, named);
        }
        return start;
    }

    private String refusal(Start how, String named, Consent... consents) {
        return catchThrowableOfType(ConfigurationException.class, () -> start(how, named, consents))
                .getMessage();
    }

    private void submit(StartingPoint start) throws Exception {
        job = Fixtures.submit(flink, stream, start.identity(), endpoints, start.configuration());
        metrics = new JobMetrics(flink, job, stream.stream());
    }

    /** As an earlier version has left it. */
    private void submitWithoutIds() throws Exception {
        job = Fixtures.submit(flink, stream, StateIdentity.of(stream), endpoints, new Configuration());
        metrics = new JobMetrics(flink, job, stream.stream());
    }

    private Path savepoints() {
        return directory.resolve("savepoints");
    }

    private String stopWithSavepoint() throws Exception {
        await().atMost(PATIENCE).until(metrics::allRun);
        String savepoint = flink.stopWithSavepoint(
                        job, savepoints().toUri().toString(), false, SavepointFormatType.CANONICAL)
                .get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
        await().atMost(PATIENCE).until(() -> flink.getJobStatus(job).get() == JobStatus.FINISHED);
        return savepoint;
    }

    private void cancel() throws Exception {
        if (!flink.getJobStatus(job).get().isGloballyTerminalState()) {
            flink.cancelJob(job).get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
        }
        await().atMost(PATIENCE).until(() -> flink.getJobStatus(job).get().isGloballyTerminalState());
    }

    private static String copy(String savepoint, Path to) throws Exception {
        Files.createDirectories(to);
        Files.copy(Path.of(URI.create(savepoint)).resolve("_metadata"), to.resolve("_metadata"));
        return to.toUri().toString();
    }

    private void awaitFailure(String... message) {
        await().atMost(PATIENCE)
                .untilAsserted(() -> assertThat(metrics.lastFailure()).contains(message));
    }

    private void deleteTopic() throws Exception {
        try (Admin admin = endpoints.kafka()) {
            admin.deleteTopics(List.of(stream.stream())).all().get();
            await().atMost(PATIENCE).until(() -> {
                try {
                    admin.describeTopics(List.of(stream.stream()))
                            .allTopicNames()
                            .get();
                    return false;
                } catch (ExecutionException e) {
                    return e.getCause() instanceof UnknownTopicOrPartitionException;
                }
            });
        }
    }

    private void createTopic() throws Exception {
        Fixtures.createTopics(endpoints, stream);
        // Its producer knows the topic of before.
        topics.close();
        topics = new StreamTopics(kafka.bootstrapServers(), stream);
    }

    private Map<TopicPartition, Long> ends() throws Exception {
        Map<TopicPartition, Long> ends = new HashMap<>();
        Attachment.of(stream, endpoints)
                .ends()
                .forEach((partition, end) -> ends.put(new TopicPartition(stream.stream(), partition), end));
        return ends;
    }

    private static void createTable(String name) throws Exception {
        client.queryAll("DROP TABLE IF EXISTS " + name + " SYNC");
        client.queryAll(Files.readString(Fixtures.file("sql/clickhouse/001-user-logins.sql"))
                .replace("user_logins (", name + " ("));
    }

    private void send(int first, int count) throws Exception {
        for (int id = first; id < first + count; id++) {
            topics.send("{\"id\":%d,\"user\":\"u\",\"event\":\"login\",\"timestamp\":1762955631.0}".formatted(id));
        }
        topics.awaitSent();
    }

    /** Waits until this many logins are stored, and fails where one is twice. */
    private void awaitStored(long logins) {
        await().atMost(PATIENCE).ignoreExceptions().until(() -> ids() == logins);
        assertThat(rows()).isEqualTo(logins);
    }

    private void awaitCount(String name, long count) {
        await().atMost(PATIENCE)
                .untilAsserted(() -> assertThat(metrics.count(name)).as(name).isEqualTo(count));
    }

    private static long rows() {
        return client.queryAll("SELECT count() AS n FROM user_logins").get(0).getLong("n");
    }

    private static long ids() {
        return client.queryAll("SELECT uniqExact(id) AS n FROM user_logins")
                .get(0)
                .getLong("n");
    }
}
