package io.github.eventdedup.ingest.lookup;

import static io.github.eventdedup.ingest.testing.TestEvents.PATH;
import static io.github.eventdedup.ingest.testing.TestEvents.STREAM;
import static io.github.eventdedup.ingest.testing.TestEvents.VECTOR;
import static io.github.eventdedup.ingest.testing.TestEvents.VECTOR_FINGERPRINT;
import static io.github.eventdedup.ingest.testing.TestEvents.fingerprint;
import static io.github.eventdedup.ingest.testing.TestEvents.problem;
import static io.github.eventdedup.ingest.testing.TestIngest.await;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.ingest.HttpIngest;
import io.github.eventdedup.ingest.settings.IngestSettings;
import io.github.eventdedup.ingest.testing.RawClient;
import io.github.eventdedup.ingest.testing.RawClient.Answer;
import io.github.eventdedup.ingest.testing.TestEvents;
import io.github.eventdedup.ingest.testing.TestIngest;
import io.github.eventdedup.ingest.testing.TestKafka;
import io.github.eventdedup.ingest.testing.TestPostgres;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What is answered to who asks for a receipt, from a real database. */
@Timeout(180)
class ReceiptsIT {

    private static final String EVENTS = "/v1/streams/view-events/events/";
    private static final String ABSENT = "00".repeat(32);
    private static final String PASSWORD = "of-the-test";

    @TempDir
    private static Path directory;

    private static TestKafka kafka;
    private static TestPostgres postgres;
    private static Path streams;
    private static HttpIngest ingest;

    @BeforeAll
    static void start() throws Exception {
        kafka = new TestKafka(directory.resolve("kafka"));
        kafka.start();
        postgres = new TestPostgres(directory.resolve("postgres"));
        postgres.start();
        postgres.createTable(PASSWORD);
        postgres.store("view_events", VECTOR_FINGERPRINT, Instant.parse("2026-03-01T12:00:00.123Z"), 2, 5_000_000_017L);

        streams = TestEvents.streams(directory);
        Files.copy(Path.of("..", "streams", "user-logins.yaml"), streams.resolve("user-logins.yaml"));
        // A table of another schema, whose name is a reserved word.
        Files.writeString(
                streams.resolve("orders.yaml"),
                Files.readString(streams.resolve("view-events.yaml"))
                        .replace("stream: view-events", "stream: orders")
                        .replace("table: view_events", "table: order.events"));
        postgres.execute(
                "CREATE SCHEMA \"order\"",
                "CREATE TABLE \"order\".events (LIKE view_events INCLUDING ALL)",
                "GRANT USAGE ON SCHEMA \"order\" TO " + TestPostgres.READER);
        for (String stream : new String[] {STREAM, "user-logins", "orders"}) {
            kafka.createTopic(stream, Map.of());
        }
        ingest = HttpIngest.start(settings(Map.of(
                "DEDUP_POSTGRES_URL",
                postgres.url(),
                "DEDUP_POSTGRES_USER",
                TestPostgres.READER,
                "DEDUP_POSTGRES_PASSWORD",
                PASSWORD)));
        TestIngest.awaitReady(ingest.port());
        awaitDatabase();
    }

    @AfterAll
    static void stop() throws Exception {
        try {
            if (ingest != null) {
                ingest.close();
            }
        } finally {
            if (postgres != null) {
                postgres.close();
            }
            kafka.close();
        }
    }

    /** The first question waits for the first connection, on a busy machine longer than a client may. */
    private static void awaitDatabase() {
        await().until(() -> get(EVENTS + VECTOR_FINGERPRINT).status() == 200);
        // Until the dead letters were read, it is not known whether the event is one.
        await().until(() -> get(EVENTS + ABSENT).status() == 404);
    }

    private static IngestSettings settings(Map<String, String> more) throws ConfigurationException {
        return TestIngest.settings(kafka.bootstrapServers(), streams, more);
    }

    private static Answer get(String path) throws Exception {
        return RawClient.get(ingest.port(), path);
    }

    @Test
    void saysWhereTheStoredEventCameFrom() throws Exception {
        Answer answer = get(EVENTS + VECTOR_FINGERPRINT);
        assertThat(answer.status()).as(answer.body()).isEqualTo(200);
        assertThat(answer.body())
                .isEqualTo("{\"status\":\"stored\",\"fingerprint\":\"" + VECTOR_FINGERPRINT
                        + "\",\"receivedAt\":\"2026-03-01T12:00:00.123Z\",\"topic\":\"view-events\",\"partition\":2,"
                        + "\"offset\":5000000017,\"escapes\":0}");
        assertThat(answer.headers())
                .containsEntry("content-type", "application/json")
                .containsEntry("cache-control", "no-store");
    }

    @Test
    void takesUpperCaseAndAnswersLowerCase() throws Exception {
        assertThat(get(EVENTS + VECTOR_FINGERPRINT.toUpperCase(Locale.ROOT)))
                .usingRecursiveComparison()
                .ignoringFields("headers.date")
                .isEqualTo(get(EVENTS + VECTOR_FINGERPRINT));
    }

    @Test
    void countsEscapes() throws Exception {
        String fingerprint = "0e".repeat(32);
        postgres.store("view_events", fingerprint, Instant.now(), 0, 1);
        postgres.execute("UPDATE view_events SET escapes = 3 WHERE fingerprint = '\\x" + fingerprint + "'");
        assertThat(get(EVENTS + fingerprint).body()).endsWith(",\"escapes\":3}");
    }

    @Test
    void saysThatAnEventIsNotStoredUntilItIs() throws Exception {
        String path = EVENTS + "0a".repeat(32);
        Answer before = get(path);
        assertThat(problem(before, 404))
                .isEqualTo("the event is not stored, and is not among the newest 20000 dead letters: it was not"
                        + " accepted here, or is still on its way (usually for a second or two); ask again");
        assertThat(before.headers()).containsEntry("cache-control", "no-store");
        assertThat(RawClient.head(ingest.port(), path)).isEqualTo(404);

        postgres.store("view_events", "0a".repeat(32), Instant.now(), 0, 0);
        assertThat(get(path).status()).isEqualTo(200);
        assertThat(RawClient.head(ingest.port(), path)).isEqualTo(200);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "x",
                "0",
                "0000000000000000000000000000000000000000000000000000000000000000ab",
                "000000000000000000000000000000000000000000000000000000000000000",
                "000000000000000000000000000000000000000000000000000000000000000g",
                "%C3%BC00000000000000000000000000000000000000000000000000000000000000",
                "%27%20OR%20true--"
            })
    void refusesWhatIsNoFingerprint(String fingerprint) throws Exception {
        assertThat(problem(get(EVENTS + fingerprint), 400)).contains("64 hexadecimal digits");
    }

    @Test
    void namesTheStreamsThatThereAre() throws Exception {
        assertThat(problem(get("/v1/streams/nope/events/" + ABSENT), 404))
                .isEqualTo(problem(RawClient.post(ingest.port(), "/v1/streams/nope/events", VECTOR), 404))
                .contains("'nope'", STREAM);
    }

    @Test
    void hasNoReceiptsWhereNoFingerprintsAreKept() throws Exception {
        assertThat(problem(get("/v1/streams/user-logins/events/" + ABSENT), 404))
                .isEqualTo("there are no receipts for the stream 'user-logins': its table keeps no fingerprints; the"
                        + " event is not among the newest 20000 dead letters");
    }

    @Test
    void hasNoReceiptsWithoutADatabase() throws Exception {
        try (HttpIngest without = HttpIngest.start(settings(Map.of()))) {
            TestIngest.awaitReady(without.port());
            await().untilAsserted(() -> assertThat(
                            problem(RawClient.get(without.port(), EVENTS + VECTOR_FINGERPRINT), 404))
                    .contains("DEDUP_POSTGRES_URL"));
            fingerprint(RawClient.post(without.port(), PATH, VECTOR));
        }
    }

    @Test
    void findsDeadLettersUntilTheyAreStored() throws Exception {
        String fingerprint = "0d".repeat(32);
        kafka.createTopic(STREAM + ".dead-letters", Map.of());
        kafka.send(
                STREAM + ".dead-letters",
                new byte[0],
                headers(2, 17, "rejected-by-postgres", "the \"first\"", fingerprint));
        kafka.send(
                STREAM + ".dead-letters",
                new byte[0],
                headers(2, 17, "rejected-by-postgres", "the \"last\"", fingerprint));
        await().untilAsserted(() -> assertThat(get(EVENTS + fingerprint).body())
                .startsWith(
                        "{\"status\":\"dead-letter\",\"fingerprint\":\"" + fingerprint
                                + "\",\"reasonCode\":\"rejected-by-postgres\",\"reason\":\"the \\\"last\\\"\",\"rejectedAt\":\"")
                .endsWith("\"topic\":\"view-events\",\"partition\":2,\"offset\":17}"));

        postgres.store("view_events", fingerprint, Instant.now(), 2, 17);
        assertThat(get(EVENTS + fingerprint).body()).startsWith("{\"status\":\"stored\"");
    }

    /** What the table's types refuse is accepted here, and the job notes no fingerprint with a letter it cannot read. */
    @Test
    void findsTheDeadLettersOfAStreamThatEndsInClickHouse() throws Exception {
        String event = "{\"id\":\"x\"}";
        String fingerprint = fingerprint(RawClient.post(ingest.port(), "/v1/streams/user-logins/events", event));
        assertThat(get("/v1/streams/user-logins/events/" + fingerprint).status())
                .isEqualTo(404);
        kafka.createTopic("user-logins.dead-letters", Map.of());
        kafka.send(
                "user-logins.dead-letters",
                event.getBytes(StandardCharsets.UTF_8),
                headers(0, 0, "wrong-type", "has \"x\" in the field 'id'", null));
        await().untilAsserted(() -> assertThat(
                        get("/v1/streams/user-logins/events/" + fingerprint).body())
                .contains(
                        "\"status\":\"dead-letter\"",
                        "\"reasonCode\":\"wrong-type\"",
                        "\"note\":\"a replay since then"));
    }

    private static Map<String, String> headers(
            int partition, long offset, String code, String reason, String fingerprint) {
        Map<String, String> headers = new HashMap<>(Map.of(
                "partition",
                Integer.toString(partition),
                "offset",
                Long.toString(offset),
                "reason-code",
                code,
                "reason",
                reason));
        if (fingerprint != null) {
            headers.put("fingerprint", fingerprint);
        }
        return headers;
    }

    @Test
    void takesNothingElseThere() throws Exception {
        Answer answer = RawClient.post(ingest.port(), EVENTS + ABSENT, VECTOR);
        assertThat(problem(answer, 405)).contains("GET");
    }

    @Test
    void readsATableThatHasToBeQuotedOnceItMay() throws Exception {
        String path = "/v1/streams/orders/events/" + VECTOR_FINGERPRINT;
        // The role may not read it: the operator's fault, and nothing that a client could mend.
        problem(get(path), 503);
        assertThat(get(EVENTS + VECTOR_FINGERPRINT).status()).isEqualTo(200);

        postgres.execute("GRANT SELECT ON \"order\".events TO " + TestPostgres.READER);
        problem(get(path), 404);
        postgres.store("\"order\".events", VECTOR_FINGERPRINT, Instant.now(), 1, 7);
        assertThat(get(path).body()).contains("\"topic\":\"orders\",\"partition\":1,\"offset\":7,");
    }

    @Test
    void saysAtTheStartThatTheUrlIsNone() {
        assertThatThrownBy(() -> HttpIngest.start(settings(Map.of(
                        "DEDUP_POSTGRES_URL", "jdbc:postgresql://host:port/dedup", "DEDUP_POSTGRES_PASSWORD", "p"))))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("DEDUP_POSTGRES_URL");
    }
}
