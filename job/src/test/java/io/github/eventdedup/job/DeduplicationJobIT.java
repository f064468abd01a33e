package io.github.eventdedup.job;

import static io.github.eventdedup.job.StreamTopics.header;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.JobMetrics.Counts;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.JobStatus;
import org.apache.flink.runtime.minicluster.MiniCluster;
import org.apache.flink.util.IOUtils;
import org.apache.kafka.clients.consumer.ConsumerRecord;
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
        Fixtures.createTopics(servers.neighbours(), stream);
        topics = new StreamTopics(servers.kafka().bootstrapServers(), stream);
        Preflight.check(stream, servers.neighbours());
        job = Fixtures.submit(flink, stream, servers.neighbours());
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
