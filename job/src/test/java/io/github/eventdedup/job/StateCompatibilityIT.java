package io.github.eventdedup.job;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.testing.Fixtures;
import io.github.eventdedup.job.testing.JobMetrics;
import io.github.eventdedup.job.testing.JobMetrics.Counts;
import io.github.eventdedup.job.testing.Servers;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.apache.flink.api.common.JobID;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.core.execution.SavepointFormatType;
import org.apache.flink.runtime.jobmaster.JobResult;
import org.apache.flink.runtime.minicluster.MiniCluster;
import org.apache.flink.util.IOUtils;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Today's job restores the state that earlier ones have left: the savepoints kept among the test resources, each taken here
 * when it was new. What fails would have cost users their state: give back the uid, the name, the class or the format that
 * changed. How to keep another: CONTRIBUTING.md.
 */
public class StateCompatibilityIT {

    private static final Duration PATIENCE = Duration.ofMinutes(2);

    /** It is kept in the repository. */
    private static final int MAX_BYTES = 20_000;

    private static final StreamDefinition STREAM = Fixtures.keptStream();

    // What the job had read and counted when its state was kept. Never to be changed: offsets and counts are part of
    // it.
    private static final int EVENTS = 60;
    private static final int REFUSED = 3;
    private static final int ESCAPES = 2;
    private static final int DUPLICATES = 25;
    private static final int DEAD_LETTERS = 5;
    private static final Counts KEPT = new Counts(
            EVENTS + REFUSED + DUPLICATES + DEAD_LETTERS, EVENTS + REFUSED, DUPLICATES, DEAD_LETTERS, REFUSED, ESCAPES);

    private static final int NEW_EVENTS = 10;

    @TempDir
    private static Path directory;

    private static Servers servers;
    private static MiniCluster flink;

    private JobID job;
    private JobMetrics metrics;

    @BeforeAll
    static void start() throws Exception {
        servers = Servers.start(directory);
        flink = Fixtures.flink(directory.resolve("checkpoints"));
        flink.start();
    }

    @AfterAll
    static void stop() throws Exception {
        IOUtils.closeAll(flink, servers);
    }

    /** Offsets are part of the state: the topic begins anew each time, and holds again what had been read. */
    @BeforeEach
    void readBefore() throws Exception {
        createTable();
        try (Admin admin = servers.endpoints().kafka()) {
            List<String> topics = List.of(STREAM.stream(), STREAM.duplicatesTopic(), STREAM.deadLettersTopic());
            if (admin.listTopics().names().get().containsAll(topics)) {
                admin.deleteTopics(topics).all().get();
                // The broker answers for the controller, before it has heard of it itself.
                await().atMost(PATIENCE)
                        .until(() ->
                                Collections.disjoint(admin.listTopics().names().get(), topics));
            }
        }
        Fixtures.createTopics(servers.endpoints(), STREAM);
        send(keptRecords());
    }

    @AfterEach
    void stopJob() throws Exception {
        if (!flink.getJobStatus(job).get().isGloballyTerminalState()) {
            flink.cancelJob(job).get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
        }
        await().atMost(PATIENCE).until(() -> flink.getJobStatus(job).get().isGloballyTerminalState());
    }

    @ParameterizedTest
    @MethodSource("keptStates")
    void keptStateIsRestored(Path state, int parallelism) throws Exception {
        restore(state, parallelism);
    }

    private static Stream<Arguments> keptStates() throws IOException {
        return Fixtures.keptStates().stream()
                .flatMap(state -> Stream.of(Arguments.of(state, 1), Arguments.of(state, 2)));
    }

    /** Leaves a savepoint to keep in target/state: moved from where it was taken, as one is that comes from a repository. */
    @Test
    void stateOfTodayIsRestored() throws Exception {
        for (byte[] event : List.of(event("kept0"), event("kept1"))) {
            insertFromElsewhere(event);
        }
        submit(new Configuration());
        awaitCounts(KEPT);
        await().atMost(PATIENCE)
                .untilAsserted(() -> assertThat(row("SELECT count(*), sum(escapes) FROM view_events"))
                        .isEqualTo(List.of("60", "2")));
        await().atMost(PATIENCE).until(metrics::allRun);

        Path taken = Path.of(URI.create(
                flink.stopWithSavepoint(job, directory.toUri().toString(), false, SavepointFormatType.CANONICAL)
                        .get(PATIENCE.toSeconds(), TimeUnit.SECONDS)));
        Path state = Fixtures.file("job/target/state");
        if (Files.exists(state)) {
            Fixtures.delete(state);
        }
        Files.move(taken, state);
        // Flink keeps what is small in the metadata file itself: no other, and so no path in it that matters.
        try (var files = Files.list(state)) {
            assertThat(files)
                    .singleElement()
                    .satisfies(file -> assertThat(file)
                            .hasFileName("_metadata")
                            .satisfies(
                                    metadata -> assertThat(Files.size(metadata)).isLessThan(MAX_BYTES)));
        }

        createTable();
        restore(state, 1);
    }

    /** The same events again are known, others are new, and the counts go on. */
    private void restore(Path state, int parallelism) throws Exception {
        submit(Configuration.fromMap(Map.of(
                "execution.state-recovery.path", state.toUri().toString(),
                "parallelism.default", Integer.toString(parallelism))));
        awaitCounts(KEPT);

        send(keptRecords());
        List<ProducerRecord<byte[], byte[]>> others = new ArrayList<>();
        for (int i = 0; i < NEW_EVENTS; i++) {
            others.add(record(i, event("new" + i)));
        }
        send(others);
        awaitCounts(new Counts(
                2 * KEPT.received() + NEW_EVENTS,
                KEPT.unique() + NEW_EVENTS,
                KEPT.duplicate() + KEPT.unique() + KEPT.duplicate(),
                2 * KEPT.deadLettered(),
                KEPT.refused(),
                KEPT.escapes()));
        await().atMost(PATIENCE)
                .untilAsserted(() -> assertThat(
                                row("SELECT count(*), count(*) FILTER (WHERE user_id LIKE 'new%') FROM view_events"))
                        .isEqualTo(List.of("10", "10")));
    }

    private void submit(Configuration more) throws Exception {
        // State that cannot be restored is to be reported, not tried again.
        more.setString("restart-strategy.type", "none");
        job = Fixtures.submit(flink, STREAM, servers.endpoints(), more);
        metrics = new JobMetrics(flink, job, STREAM.stream());
    }

    private void awaitCounts(Counts expected) {
        await().atMost(PATIENCE)
                .failFast(this::requireRunning)
                .untilAsserted(() -> assertThat(metrics.counts()).isEqualTo(expected));
    }

    private void requireRunning() throws Exception {
        if (flink.getJobStatus(job).get().isGloballyTerminalState()) {
            JobResult result = flink.requestJobResult(job).get();
            throw new AssertionError(
                    "the job failed",
                    result.getSerializedThrowable()
                            .orElseThrow()
                            .deserializeError(getClass().getClassLoader()));
        }
    }

    private static List<ProducerRecord<byte[], byte[]>> keptRecords() {
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (int i = 0; i < EVENTS; i++) {
            records.add(record(i, event("kept" + i)));
        }
        for (int i = 0; i < REFUSED; i++) {
            records.add(record(i, Fixtures.viewEvent("kept" + i, "refused").getBytes(UTF_8)));
        }
        for (int i = 0; i < DUPLICATES; i++) {
            records.add(record(i, event("kept" + i)));
        }
        for (int i = 0; i < DEAD_LETTERS; i++) {
            records.add(record(i, "not json".getBytes(UTF_8)));
        }
        return records;
    }

    private static byte[] event(String user) {
        return Fixtures.viewEvent(user, "watch").getBytes(UTF_8);
    }

    /** By partition, not by key: where the records lie must not depend on how Kafka's client hashes. */
    private static ProducerRecord<byte[], byte[]> record(int i, byte[] value) {
        return new ProducerRecord<>(STREAM.stream(), i % 4, null, value);
    }

    private static void send(List<ProducerRecord<byte[], byte[]>> records) throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(
                Map.of("bootstrap.servers", servers.kafka().bootstrapServers()),
                new ByteArraySerializer(),
                new ByteArraySerializer())) {
            for (var sent : records.stream().map(producer::send).toList()) {
                RecordMetadata unused = sent.get();
            }
        }
    }

    private static void createTable() throws Exception {
        Fixtures.execute(servers.login(), "DROP TABLE IF EXISTS view_events");
        Fixtures.createTable(servers.login());
        Fixtures.execute(servers.login(), "ALTER TABLE view_events ADD CHECK (event_name <> 'refused')");
    }

    /** A row that the job's state does not know of: the event escapes. */
    private static void insertFromElsewhere(byte[] event) throws Exception {
        String fingerprint = new EventReader(STREAM).read(event).fingerprint().toString();
        Fixtures.execute(
                servers.login(),
                "INSERT INTO view_events (fingerprint, user_id, content_id, event_name, event_datetime, sid, event,"
                        + " kafka_partition, kafka_offset, received_at) VALUES (decode('" + fingerprint
                        + "', 'hex'), '', '', '', now(), '', '{}', -1, -1, now())");
    }

    private static List<String> row(String query) throws Exception {
        return Fixtures.row(servers.login(), query);
    }
}
