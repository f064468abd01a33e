package io.github.eventdedup.ingest;

import static io.github.eventdedup.ingest.testing.TestEvents.PATH;
import static io.github.eventdedup.ingest.testing.TestEvents.STREAM;
import static io.github.eventdedup.ingest.testing.TestEvents.VECTOR;
import static io.github.eventdedup.ingest.testing.TestEvents.event;
import static io.github.eventdedup.ingest.testing.TestEvents.fingerprint;
import static io.github.eventdedup.ingest.testing.TestEvents.fingerprints;
import static io.github.eventdedup.ingest.testing.TestEvents.problem;
import static io.github.eventdedup.ingest.testing.TestIngest.await;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.eventdedup.ingest.benchmark.Load;
import io.github.eventdedup.ingest.events.EventPublisher;
import io.github.eventdedup.ingest.settings.IngestSettings;
import io.github.eventdedup.ingest.testing.LogLines;
import io.github.eventdedup.ingest.testing.RawClient;
import io.github.eventdedup.ingest.testing.TestEvents;
import io.github.eventdedup.ingest.testing.TestIngest;
import io.github.eventdedup.ingest.testing.TestKafka;
import java.io.EOFException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The broker comes late, dies, hangs and comes back; the ingest is never restarted. */
@Timeout(180)
class KafkaOutageIT {

    /** Far below the 60 s that Kafka has, and enough for a busy machine. */
    private static final Duration AT_ONCE = Duration.ofSeconds(20);

    private static final int LEAST_IN_FLIGHT_BYTES = 512 * 1024;

    @TempDir
    private Path directory;

    private TestKafka kafka;
    private HttpIngest ingest;

    @BeforeEach
    void prepare() throws Exception {
        kafka = new TestKafka(directory);
    }

    @AfterEach
    void stop() {
        try {
            if (ingest != null) {
                ingest.close();
            }
        } finally {
            kafka.close();
        }
    }

    private void startIngest(Map<String, String> settings) throws Exception {
        ingest = HttpIngest.start(
                TestIngest.settings(kafka.bootstrapServers(), TestEvents.streams(directory), settings));
    }

    @Test
    void startsWithoutKafkaAndBecomesReadyByItself() throws Exception {
        startIngest(Map.of());
        assertThat(RawClient.get(ingest.port(), "/health/live").status()).isEqualTo(200);
        assertThat(problem(RawClient.get(ingest.port(), "/health/ready"), 503)).contains("Kafka");
        assertThat(RawClient.head(ingest.port(), "/health/ready")).isEqualTo(503);
        assertThat(within(AT_ONCE, () -> problem(RawClient.post(ingest.port(), PATH, VECTOR), 503)))
                .contains("Kafka cannot be reached");

        kafka.start();
        await().untilAsserted(() -> assertThat(problem(RawClient.get(ingest.port(), "/health/ready"), 503))
                .isEqualTo("Kafka lacks the topic view-events; create it"));
        problem(RawClient.post(ingest.port(), PATH, VECTOR), 503);

        kafka.createTopic(STREAM, Map.of());
        TestIngest.awaitReady(ingest.port());
        fingerprint(RawClient.post(ingest.port(), PATH, VECTOR));
    }

    /** A stream rests, metadata are fetched again and again: its next event finds Kafka's partitions known all the same. */
    @Test
    void knowsItsTopicHoweverLongItRests() throws Exception {
        kafka.start();
        kafka.createTopic(STREAM, Map.of());
        IngestSettings settings =
                TestIngest.settings(kafka.bootstrapServers(), TestEvents.streams(directory), Map.of());
        Map<String, Object> configuration = new HashMap<>(EventPublisher.configuration(settings, "rests", 0));
        configuration.put(ProducerConfig.METADATA_MAX_AGE_CONFIG, 200);
        try (KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(configuration, new ByteArraySerializer(), new ByteArraySerializer())) {
            producer.partitionsFor(STREAM);
            double before = requests(producer);
            await().until(() -> requests(producer) >= before + 5);
            kafka.pause();

            assertThat(producer.partitionsFor(STREAM)).isNotEmpty();
        } finally {
            kafka.resume();
        }
    }

    private static double requests(KafkaProducer<?, ?> producer) {
        return producer.metrics().entrySet().stream()
                .filter(metric -> metric.getKey().group().equals("producer-metrics")
                        && metric.getKey().name().equals("request-total"))
                .mapToDouble(metric -> (double) metric.getValue().metricValue())
                .sum();
    }

    @Test
    void refusesWithinSecondsWhileKafkaIsAwayAndLosesNothingItAccepted() throws Exception {
        kafka.start();
        kafka.createTopic(STREAM, Map.of());
        startIngest(Map.of("DEDUP_DELIVERY_TIMEOUT", "2s"));
        TestIngest.awaitReady(ingest.port());

        Load load = new Load(ingest.port(), 8);
        try (load) {
            await().until(() -> load.count(202) > 200);
            kafka.kill();
            await().until(() -> load.count(503) > 8);
            long acceptedBefore = load.count(202);
            within(AT_ONCE, () -> problem(RawClient.post(ingest.port(), PATH, event("while away", 10)), 503));
            await().until(() -> RawClient.get(ingest.port(), "/health/ready").status() == 503);
            assertThat(RawClient.get(ingest.port(), "/health/live").status()).isEqualTo(200);
            assertThat(load.count(202)).isEqualTo(acceptedBefore);

            kafka.start();
            await().until(() -> load.count(202) > acceptedBefore + 200);
            TestIngest.awaitReady(ingest.port());
        }
        assertThat(load.outcomes())
                .allSatisfy(outcome -> assertThat(outcome.answer().status()).isIn(202, 503));
        assertThat(fingerprints(kafka)).containsAll(acceptedFingerprints(load));
        assertThat(ingest.freeBytes()).isEqualTo(32 * 1024 * 1024);
    }

    @Test
    void boundsWhatWaitsForKafkaAndRefusesTheRestAtOnce() throws Exception {
        kafka.start();
        kafka.createTopic(STREAM, Map.of());
        startIngest(Map.of(
                "DEDUP_MAX_IN_FLIGHT_BYTES",
                Integer.toString(LEAST_IN_FLIGHT_BYTES),
                "DEDUP_KEEP_ALIVE_TIMEOUT",
                "2s"));
        TestIngest.awaitReady(ingest.port());

        kafka.pause();
        List<RawClient> waiting = new ArrayList<>();
        try {
            for (int i = 0; i < 5; i++) {
                RawClient client = new RawClient(ingest.port());
                waiting.add(client);
                client.sendPost(PATH, event("waits " + i, 100_000).getBytes(StandardCharsets.UTF_8));
            }
            await().until(() -> ingest.freeBytes() < 100_000);
            assertThat(within(
                            AT_ONCE,
                            () -> problem(RawClient.post(ingest.port(), PATH, event("too much", 100_000)), 503)))
                    .isEqualTo("too many events are waiting for Kafka; try again");
            // A connection may rest for that long, and one that waits for Kafka does not rest.
            try (RawClient resting = new RawClient(ingest.port())) {
                resting.send("GET /health/live HTTP/1.1\r\n", new byte[0]);
                assertThat(resting.read().headers()).containsEntry("keep-alive", "timeout=1");
                assertThatThrownBy(resting::read).isInstanceOf(EOFException.class);
            }

            kafka.resume();
            for (RawClient client : waiting) {
                fingerprint(client.read());
            }
        } finally {
            for (RawClient client : waiting) {
                client.close();
            }
        }
        assertThat(ingest.freeBytes()).isEqualTo(LEAST_IN_FLIGHT_BYTES);
        fingerprint(RawClient.post(ingest.port(), PATH, event("too much", 100_000)));

        String batch = IntStream.range(0, 1100)
                .mapToObj(i -> event("never fits " + i, 10))
                .collect(Collectors.joining(",", "[", "]"));
        for (String query : List.of("", "?on-error=fail")) {
            // A request holds its memory until just after its answer.
            await().until(() -> ingest.freeArrivingBytes() == LEAST_IN_FLIGHT_BYTES);
            assertThat(problem(RawClient.post(ingest.port(), "/v1/streams/" + STREAM + "/events" + query, batch), 413))
                    .contains("DEDUP_MAX_IN_FLIGHT_BYTES = 524288")
                    .contains("in parts");
        }
    }

    @Test
    void isNotReadyWhileTooFewReplicasAreInSync() throws Exception {
        kafka.start();
        kafka.startSecondBroker();
        // The controller has to know it first.
        await().ignoreExceptions().until(() -> kafka.createTopic(STREAM, 2, Map.of("min.insync.replicas", "2")) == 2);
        startIngest(Map.of("DEDUP_DELIVERY_TIMEOUT", "1s"));
        TestIngest.awaitReady(ingest.port());
        // The second has to have caught up first.
        await().until(() -> RawClient.post(ingest.port(), PATH, VECTOR).status() == 202);

        try (LogLines log = new LogLines()) {
            kafka.killSecondBroker();
            await().untilAsserted(() -> assertThat(problem(RawClient.get(ingest.port(), "/health/ready"), 503))
                    .startsWith("partition 0 of the topic view-events has 1 in-sync of 2 replicas, and"
                            + " min.insync.replicas is 2"));
            for (int i = 0; i < 3; i++) {
                problem(RawClient.post(ingest.port(), PATH, event("in vain " + i, 10)), 503);
            }
            assertThat(log.warnings())
                    .filteredOn(line -> line.startsWith("Kafka does not accept events for view-events"))
                    .hasSize(1);

            kafka.startSecondBroker();
            TestIngest.awaitReady(ingest.port());
            await().until(() -> RawClient.post(ingest.port(), PATH, VECTOR).status() == 202
                    && log.all().stream()
                                    .filter(line -> line.startsWith("Kafka accepts events for view-events again"))
                                    .count()
                            == 1);
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aClientThatGoesAwayLeaksNothing(boolean batch) throws Exception {
        kafka.start();
        kafka.createTopic(STREAM, Map.of());
        startIngest(Map.of());
        TestIngest.awaitReady(ingest.port());
        int free = ingest.freeBytes();
        int freeArriving = ingest.freeArrivingBytes();

        try (LogLines log = new LogLines()) {
            kafka.pause();
            for (int i = 0; i < 20; i++) {
                try (RawClient client = new RawClient(ingest.port())) {
                    String one = event("gone " + i, 3000);
                    byte[] body = (batch ? "[" + one + "," + one + "]" : one).getBytes(StandardCharsets.UTF_8);
                    client.sendPost("/v1/streams/" + STREAM + "/events", body);
                    int sent = i + 1;
                    await().until(() -> ingest.freeBytes() <= free - sent * 3000);
                    if (i % 2 == 0) {
                        client.reset();
                    } else if (i % 3 == 0) {
                        client.halfClose();
                    }
                }
            }
            kafka.resume();
            await().until(() -> ingest.freeBytes() == free && ingest.freeArrivingBytes() == freeArriving);
            fingerprint(RawClient.post(ingest.port(), PATH, VECTOR));
            assertThat(log.of(event -> event.getThrown() != null)).isEmpty();
            // The watch says it where Kafka was away for long enough to be asked.
            assertThat(log.warnings())
                    .allMatch(line -> line.startsWith("Not ready") || line.startsWith("Dead letters"));
        }
    }

    private static List<String> acceptedFingerprints(Load load) {
        return load.outcomes().stream()
                .map(Load.Outcome::answer)
                .filter(answer -> answer.status() == 202)
                .map(TestEvents::fingerprint)
                .toList();
    }

    private interface Request<T> {
        T send() throws Exception;
    }

    private static <T> T within(Duration limit, Request<T> request) throws Exception {
        long start = System.nanoTime();
        T result = request.send();
        assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(limit);
        return result;
    }
}
