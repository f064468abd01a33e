package io.github.eventdedup.ingest.access;

import static io.github.eventdedup.ingest.access.ApiKeysTest.sha256;
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
import io.github.eventdedup.ingest.testing.LogLines;
import io.github.eventdedup.ingest.testing.RawClient;
import io.github.eventdedup.ingest.testing.RawClient.Answer;
import io.github.eventdedup.ingest.testing.TestEvents;
import io.github.eventdedup.ingest.testing.TestIngest;
import io.github.eventdedup.ingest.testing.TestKafka;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Who gets in, over real sockets and into a real broker. */
@Timeout(180)
class ApiKeysIT {

    private static final String STREAM_PATH = "/v1/streams/view-events/events";
    private static final String OTHER_PATH = "/v1/streams/other/events";
    private static final String KEY = "6d1f0c7e-the-key-of-this-test";
    private static final String OTHER_KEY = "9a3b5d2f-the-key-of-another-stream";

    @TempDir
    private static Path kafkaDirectory;

    private static TestKafka kafka;

    @TempDir
    private Path directory;

    private Path keysFile;
    private LogLines log;
    private HttpIngest ingest;
    private int recordsBefore;

    @BeforeAll
    static void startKafka() throws Exception {
        kafka = new TestKafka(kafkaDirectory);
        kafka.start();
        kafka.createTopic(STREAM, Map.of());
        kafka.createTopic("other", Map.of());
    }

    @AfterAll
    static void stopKafka() {
        if (kafka != null) {
            kafka.close();
        }
    }

    @BeforeEach
    void start() throws Exception {
        recordsBefore = kafka.records(STREAM).size();
        keysFile = directory.resolve("keys.yaml");
        writeKeys("");
        Path streams = TestEvents.streams(directory);
        Files.writeString(
                streams.resolve("other.yaml"),
                Files.readString(streams.resolve("view-events.yaml")).replace("stream: view-events", "stream: other"));
        log = new LogLines();
        ingest = HttpIngest.start(settings(streams));
        TestIngest.awaitReady(ingest.port());
    }

    private IngestSettings settings(Path streams) throws ConfigurationException {
        return TestIngest.settings(
                kafka.bootstrapServers(), streams, Map.of("DEDUP_API_KEYS_FILE", keysFile.toString()));
    }

    /** Keys and hashes appear in no line of the log, whatever the test did. */
    @AfterEach
    void stop() throws Exception {
        if (ingest != null) {
            ingest.close();
        }
        log.close();
        String hash = sha256(KEY);
        assertThat(log.all()).isNotEmpty().noneMatch(line -> line.contains(KEY) || line.contains(hash));
    }

    /** The key of the stream, that of another stream, and more entries. */
    private void writeKeys(String more) throws Exception {
        Files.writeString(
                keysFile, "keys:\n" + entry("mobile", KEY, STREAM, "") + entry("b", OTHER_KEY, "other", "") + more);
    }

    private static String entry(String name, String key, String stream, String rest) throws Exception {
        return "- { name: " + name + ", sha256: " + sha256(key) + ", streams: [" + stream + "]" + rest + " }\n";
    }

    private Answer post(String path, String headers) throws IOException {
        byte[] event = VECTOR.getBytes(StandardCharsets.UTF_8);
        String head = "POST " + path + " HTTP/1.1\r\n" + headers + "Content-Type: application/json\r\nContent-Length: "
                + event.length + "\r\n";
        return RawClient.request(ingest.port(), head, event);
    }

    private Answer postWith(String key) throws IOException {
        return post(PATH, "X-API-Key: " + key + "\r\n");
    }

    private void assertUnauthorized(Answer answer, String detail) {
        assertThat(problem(answer, 401)).contains(detail).doesNotContain(STREAM, KEY);
        assertThat(answer.headers()).containsEntry("www-authenticate", "Bearer");
    }

    @ParameterizedTest
    @ValueSource(strings = {PATH, STREAM_PATH})
    void acceptsTheKeyInEitherHeader(String path) throws Exception {
        assertThat(fingerprint(post(path, "Authorization: Bearer " + KEY + "\r\n")))
                .isEqualTo(VECTOR_FINGERPRINT);
        assertThat(fingerprint(post(path, "authorization: bearer " + KEY + "\r\n")))
                .isEqualTo(VECTOR_FINGERPRINT);
        assertThat(fingerprint(post(path, "X-API-Key: " + KEY + "\r\n"))).isEqualTo(VECTOR_FINGERPRINT);
        assertThat(kafka.records(STREAM)).hasSize(recordsBefore + 3);
    }

    @ParameterizedTest
    @ValueSource(strings = {PATH, STREAM_PATH, "/v1/streams/nope/events"})
    void refusesWhoeverHasNoValidKeyWithoutSayingWhatThereIs(String path) throws Exception {
        assertUnauthorized(post(path, ""), "a key is needed");
        assertUnauthorized(post(path, "Authorization: Bearer wrong\r\n"), "not valid");
        assertUnauthorized(post(path, "X-API-Key: wrong\r\n"), "not valid");
        assertUnauthorized(post(path, "Authorization: Basic " + KEY + "\r\n"), "Authorization");
        assertUnauthorized(
                post(path, "Authorization: Bearer " + KEY + "\r\nX-API-Key: " + OTHER_KEY + "\r\n"), "different");
        assertThat(kafka.records(STREAM)).hasSize(recordsBefore);
    }

    @Test
    void refusesTheKeyOfAnotherStream() throws Exception {
        assertThat(problem(postWith(OTHER_KEY), 403)).isEqualTo("the key 'b' is not for the stream 'view-events'");
        assertThat(problem(post("/v1/streams/nope/events", "X-API-Key: " + KEY + "\r\n"), 403))
                .isEqualTo("the key 'mobile' is not for the stream 'nope'");
        assertThat(fingerprint(post(OTHER_PATH, "X-API-Key: " + OTHER_KEY + "\r\n")))
                .isNotBlank();
        assertThat(kafka.records(STREAM)).hasSize(recordsBefore);
    }

    @Test
    void asksNobodyForAKeyWhoAsksForHealth() throws Exception {
        assertThat(RawClient.get(ingest.port(), "/health/live").status()).isEqualTo(200);
        TestIngest.awaitReady(ingest.port());
    }

    @Test
    void followsTheFile() throws Exception {
        fingerprint(postWith(KEY));
        Files.writeString(keysFile, "keys:\n" + entry("mobile", "the-new-key", STREAM, ""));
        await().until(() -> postWith("the-new-key").status() == 202);
        assertUnauthorized(postWith(KEY), "not valid");

        Files.writeString(keysFile, "keys:\n" + entry("mobile", KEY, "nope", ""));
        await().until(() -> !log.warnings().isEmpty());
        fingerprint(postWith("the-new-key"));
        assertUnauthorized(postWith(KEY), "not valid");

        Files.writeString(keysFile, "keys: []\n");
        await().until(() -> postWith("the-new-key").status() == 401);
        assertThat(log.warnings())
                .filteredOn(line -> line.contains("keys.yaml"))
                .singleElement()
                .asString()
                .contains("entry 1 (mobile): streams: there is no stream 'nope'");
    }

    @Test
    void limitsTheRateOfOneKeyAndOfNoOther() throws Exception {
        ingest.close();
        writeKeys(entry("slow", "the-slow-key", STREAM, ", requests-per-second: 1"));
        ingest = HttpIngest.start(settings(directory.resolve("streams")));
        TestIngest.awaitReady(ingest.port());

        Answer refused = postWith("the-slow-key");
        fingerprint(refused);
        for (int tries = 0; refused.status() != 429 && tries < 100; tries++) {
            refused = postWith("the-slow-key");
        }
        assertThat(problem(refused, 429)).isEqualTo("the key 'slow' may send 1 requests a second");
        assertThat(refused.headers()).containsEntry("retry-after", "1");
        fingerprint(postWith(KEY));
        await().until(() -> postWith("the-slow-key").status() == 202);
    }

    @Test
    void doesNotStartWithoutValidKeys() throws Exception {
        Files.writeString(keysFile, "keys:\n- { name: mobile }\n");
        assertThatThrownBy(() -> HttpIngest.start(settings(directory.resolve("streams"))))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("DEDUP_API_KEYS_FILE: " + keysFile)
                .hasMessageContaining("entry 1 (mobile): sha256: missing")
                .hasMessageContaining("entry 1 (mobile): streams: missing");
    }
}
