package io.github.eventdedup.job;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.InvalidEventException;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.JobMetrics.Counts;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.JobStatus;
import org.apache.flink.runtime.minicluster.MiniCluster;
import org.apache.flink.util.IOUtils;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
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
    private EventReader reader;
    private KafkaProducer<byte[], byte[]> producer;
    private JobID job;
    private JobMetrics metrics;
    private final List<Future<?>> sent = new ArrayList<>();

    @BeforeAll
    static void startServers() throws Exception {
        servers = Servers.start(directory);
        login = servers.login();
        flink = Fixtures.flink(directory.resolve("checkpoints"), "500ms");
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
        reader = new EventReader(stream);
        Fixtures.execute(login, "DROP TABLE IF EXISTS view_events");
        Fixtures.createTable(login);
        Fixtures.createTopics(servers.neighbours(), stream);
        producer = new KafkaProducer<>(
                Map.of(
                        "bootstrap.servers",
                        servers.kafka().bootstrapServers(),
                        "max.request.size",
                        32 << 20,
                        "compression.type",
                        "gzip"),
                new ByteArraySerializer(),
                new ByteArraySerializer());
        Preflight.check(stream, servers.neighbours());
        job = Fixtures.submit(flink, stream, servers.neighbours());
        metrics = new JobMetrics(flink, job, stream.stream());
    }

    @AfterEach
    void stopJob() throws Exception {
        producer.close();
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
        bad.values().forEach(value -> send(null, value));
        send(Fixtures.viewEvent("good", "watch"));

        awaitCounts(new Counts(bad.size() + 1, 1, 0, bad.size(), 0, 0));
        assertThat(flink.getJobStatus(job).get()).isEqualTo(JobStatus.RUNNING);
        Map<String, ConsumerRecord<byte[], byte[]>> letters = read(stream.deadLettersTopic());
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
        send(null, new byte[SideTopics.MAX_VALUE_BYTES + 1]);
        send(Fixtures.viewEvent("good", "watch"));

        awaitCounts(new Counts(2, 1, 0, 1, 0, 0));
        assertThat(read(stream.deadLettersTopic()).values()).singleElement().satisfies(letter -> {
            assertThat(letter.value()).isNull();
            assertThat(header(letter, "reason")).contains("too large");
            assertThat(header(letter, "value-omitted")).contains("16777217 bytes");
        });
    }

    @Test
    void aRowThatPostgresRefusesBecomesADeadLetterAndTheRestIsStored() throws Exception {
        Fixtures.execute(login, "ALTER TABLE view_events ADD CHECK (event_name <> 'refused')");
        for (int i = 0; i < 100; i++) {
            send(Fixtures.viewEvent("user" + i, i % 10 == 3 ? "refused" : "watch"));
        }

        awaitCounts(new Counts(100, 100, 0, 0, 10, 0));
        assertThat(read(stream.deadLettersTopic()).values())
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
                send(Fixtures.viewEvent("user" + round + "-" + i, "watch"));
            }
            if (round == 1) {
                servers.postgres().kill();
            }
        }
        producer.flush();
        servers.postgres().start();

        awaitCounts(new Counts(1500, 1500, 0, 0, 0, 0));
        assertThat(metrics.restarts())
                .as("the writer waits, the job does not restart")
                .isZero();
    }

    @Test
    void kafkaKilledAndBackLosesNothing() throws Exception {
        sendTwiceShuffled();
        producer.flush();
        await().atMost(PATIENCE).until(() -> metrics.counts().received() > 0);
        servers.kafka().kill();
        servers.kafka().start();
        sendTwiceShuffled();

        awaitCounts(new Counts(800, DISTINCT_SAMPLES, 800 - DISTINCT_SAMPLES, 0, 0, 0));
    }

    /** Waits until the job has counted this, and compares it with every place that events end in. */
    private void awaitCounts(Counts expected) throws Exception {
        for (Future<?> record : sent) {
            record.get();
        }
        assertThat(recordsInRawTopic()).isEqualTo(expected.received());
        await().atMost(PATIENCE)
                .untilAsserted(() -> assertThat(metrics.counts()).isEqualTo(expected));
        await().atMost(PATIENCE).untilAsserted(() -> {
            assertThat(Fixtures.row(login, "SELECT count(*), coalesce(sum(escapes), 0) FROM view_events"))
                    .containsExactly(Long.toString(expected.unique() - expected.refused()), "0");
            assertThat(read(stream.duplicatesTopic())).hasSize((int) expected.duplicate());
            assertThat(read(stream.deadLettersTopic())).hasSize((int) (expected.deadLettered() + expected.refused()));
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
            send(line);
        }
    }

    private void send(String json) throws InvalidEventException {
        byte[] value = json.getBytes(UTF_8);
        send(reader.read(value).fingerprint().bytes(), value);
    }

    private void send(byte[] key, byte[] value) {
        sent.add(producer.send(new ProducerRecord<>(stream.stream(), key, value)));
    }

    private long recordsInRawTopic() {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer()) {
            return consumer.endOffsets(partitions(consumer, stream.stream())).values().stream()
                    .mapToLong(Long::longValue)
                    .sum();
        }
    }

    /** The records of a side topic, by key: a replay has the key of the record it repeats. */
    private Map<String, ConsumerRecord<byte[], byte[]>> read(String topic) {
        Map<String, ConsumerRecord<byte[], byte[]>> records = new HashMap<>();
        try (KafkaConsumer<byte[], byte[]> consumer = consumer()) {
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions(consumer, topic));
            consumer.assign(ends.keySet());
            consumer.seekToBeginning(ends.keySet());
            while (ends.entrySet().stream().anyMatch(end -> consumer.position(end.getKey()) < end.getValue())) {
                consumer.poll(Duration.ofSeconds(1))
                        .forEach(record -> records.put(new String(record.key(), UTF_8), record));
            }
        }
        return records;
    }

    private static List<TopicPartition> partitions(KafkaConsumer<?, ?> consumer, String topic) {
        return consumer.partitionsFor(topic).stream()
                .map(partition -> new TopicPartition(topic, partition.partition()))
                .toList();
    }

    private static KafkaConsumer<byte[], byte[]> consumer() {
        return new KafkaConsumer<>(
                Map.of("bootstrap.servers", servers.kafka().bootstrapServers()),
                new ByteArrayDeserializer(),
                new ByteArrayDeserializer());
    }

    private static String header(ConsumerRecord<byte[], byte[]> record, String name) {
        return new String(record.headers().lastHeader(name).value(), UTF_8);
    }
}
