package io.github.eventdedup.ingest;

import static io.github.eventdedup.ingest.testing.TestEvents.PATH;
import static io.github.eventdedup.ingest.testing.TestEvents.STREAM;
import static io.github.eventdedup.ingest.testing.TestEvents.VECTOR;
import static io.github.eventdedup.ingest.testing.TestEvents.VECTOR_FINGERPRINT;
import static io.github.eventdedup.ingest.testing.TestEvents.event;
import static io.github.eventdedup.ingest.testing.TestEvents.fingerprint;
import static io.github.eventdedup.ingest.testing.TestEvents.problem;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.ingest.testing.RawClient;
import io.github.eventdedup.ingest.testing.RawClient.Answer;
import io.github.eventdedup.ingest.testing.TestEvents;
import io.github.eventdedup.ingest.testing.TestIngest;
import io.github.eventdedup.ingest.testing.TestKafka;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Every answer while all is well, over real sockets and from a real broker. */
class AnswersIT {

    private static final String STREAM_PATH = "/v1/streams/view-events/events";
    private static final String SMALL_STREAM_PATH = "/v1/streams/small/events";
    private static final String POST = "POST " + PATH + " HTTP/1.1\r\n";
    private static final String JSON = "Content-Type: application/json\r\n";

    @TempDir
    private static Path directory;

    private static TestKafka kafka;
    private static HttpIngest ingest;

    @BeforeAll
    static void start() throws Exception {
        kafka = new TestKafka(directory.resolve("kafka"));
        kafka.start();
        kafka.createTopic(STREAM, Map.of());
        kafka.createTopic("small", Map.of("max.message.bytes", "1000", "compression.type", "uncompressed"));

        Path streams = TestEvents.streams(directory);
        Files.writeString(
                streams.resolve("small.yaml"),
                Files.readString(streams.resolve("view-events.yaml")).replace("stream: view-events", "stream: small"));
        ingest = HttpIngest.start(TestIngest.settings(kafka.bootstrapServers(), streams, Map.of()));
        TestIngest.awaitReady(ingest.port());
    }

    @AfterAll
    static void stop() {
        try {
            if (ingest != null) {
                ingest.close();
            }
        } finally {
            kafka.close();
        }
    }

    @Test
    void acceptsAnEventOnceItIsInTheTopicByteForByte() throws Exception {
        int before = vectorRecords().size();
        assertThat(fingerprint(post(PATH, VECTOR))).isEqualTo(VECTOR_FINGERPRINT);
        assertThat(fingerprint(post(STREAM_PATH, VECTOR))).isEqualTo(VECTOR_FINGERPRINT);
        assertThat(vectorRecords())
                .hasSize(before + 2)
                .allSatisfy(record -> assertThat(record.value()).isEqualTo(VECTOR.getBytes(StandardCharsets.UTF_8)));
    }

    private static List<ConsumerRecord<byte[], byte[]>> vectorRecords() {
        return kafka.records(STREAM).stream()
                .filter(record -> HexFormat.of().formatHex(record.key()).equals(VECTOR_FINGERPRINT))
                .toList();
    }

    @Test
    void aKeptConnectionCarriesManyRequests() throws Exception {
        try (RawClient client = new RawClient(ingest.port())) {
            for (int i = 0; i < 20; i++) {
                fingerprint(client.post(PATH, VECTOR.getBytes(StandardCharsets.UTF_8)));
                problem(client.post(PATH, "[]".getBytes(StandardCharsets.UTF_8)), 400);
            }
        }
    }

    @Test
    void acceptsAnEventThatArrivesInPieces() throws Exception {
        byte[] event = VECTOR.getBytes(StandardCharsets.UTF_8);
        try (RawClient client = new RawClient(ingest.port())) {
            client.send(POST + JSON + "Transfer-Encoding: chunked\r\n", new byte[0]);
            for (byte b : event) {
                client.send(new byte[] {'1', '\r', '\n', b, '\r', '\n'});
            }
            client.send("0\r\n\r\n".getBytes(StandardCharsets.ISO_8859_1));
            assertThat(fingerprint(client.read())).isEqualTo(VECTOR_FINGERPRINT);
        }
    }

    @Test
    void clientsThatSendHalfABodyHoldUpNobody() throws Exception {
        List<RawClient> slow = new ArrayList<>();
        try {
            byte[] event = VECTOR.getBytes(StandardCharsets.UTF_8);
            for (int i = 0; i < 100; i++) {
                RawClient client = new RawClient(ingest.port());
                slow.add(client);
                client.send(POST + JSON + "Content-Length: " + event.length + "\r\n", new byte[] {event[0]});
            }
            assertThat(fingerprint(post(PATH, VECTOR))).isEqualTo(VECTOR_FINGERPRINT);
            for (RawClient client : slow) {
                client.send(VECTOR.substring(1).getBytes(StandardCharsets.UTF_8));
                assertThat(fingerprint(client.read())).isEqualTo(VECTOR_FINGERPRINT);
            }
        } finally {
            for (RawClient client : slow) {
                client.close();
            }
        }
    }

    @Test
    void namesTheFieldsThatAreMissing() throws Exception {
        assertThat(problem(post(PATH, "{\"userId\":1}"), 400))
                .isEqualTo("the event lacks the fields content_id, event_name, event_datetime, sid");
    }

    @ParameterizedTest
    @ValueSource(strings = {"not json", "", "[]", "{\"userId\":\"\\u0000\"}", "{\"userId\":{}}", "{}{}"})
    void refusesWhatIsNoEvent(String body) throws Exception {
        assertThat(problem(post(PATH, body), 400)).startsWith("the event ");
        assertThat(problem(post(STREAM_PATH, body), 400))
                .startsWith(body.equals("[]") ? "the batch is empty" : "the event ");
    }

    @Test
    void refusesInvalidUtf8() throws Exception {
        problem(RawClient.request(ingest.port(), POST + JSON + "Content-Length: 1\r\n", new byte[] {-1}), 400);
    }

    @Test
    void namesTheStreamsThatThereAre() throws Exception {
        assertThat(problem(post("/v1/streams/nope/events", VECTOR), 404))
                .isEqualTo("there is no stream 'nope'; there is small, view-events");
    }

    @ParameterizedTest
    @CsvSource({
        "GET, /, 404",
        "POST, /, 404",
        "GET, /WEB-INF/web.xml, 404",
        "POST, /v1/streams/view-events, 404",
        "GET, /api-fast/view-event, 405",
        "PUT, /v1/streams/view-events/events, 405",
        "BREW, /v1/streams/view-events/events, 405",
        "POST, /health/live, 405",
        "GET, /%ff, 400",
    })
    void saysWhereThereIsNothing(String method, String path, int status) throws Exception {
        Answer answer = RawClient.request(ingest.port(), method + " " + path + " HTTP/1.1\r\n", new byte[0]);
        assertThat(problem(answer, status)).isNotBlank();
        if (status == 405) {
            assertThat(answer.headers()).containsEntry("allow", path.startsWith("/health") ? "GET" : "POST");
        }
    }

    @ParameterizedTest
    @CsvSource({
        PATH + ", application/json, 202",
        PATH + ", Application/JSON; Charset=\"UTF-8\", 202",
        PATH + ", , 202",
        PATH + ", text/plain, 415",
        PATH + ", application/json; charset=iso-8859-1, 415",
        STREAM_PATH + ", application/json;charset=utf-8, 202",
        STREAM_PATH + ", , 415",
        STREAM_PATH + ", application/x-www-form-urlencoded, 415",
    })
    void takesJsonInUtf8(String path, String contentType, int status) throws Exception {
        String head = "POST " + path + " HTTP/1.1\r\n"
                + (contentType == null ? "" : "Content-Type: " + contentType + "\r\n")
                + "Content-Length: " + VECTOR.getBytes(StandardCharsets.UTF_8).length + "\r\n";
        Answer answer = RawClient.request(ingest.port(), head, VECTOR.getBytes(StandardCharsets.UTF_8));
        if (status == 202) {
            assertThat(fingerprint(answer)).isEqualTo(VECTOR_FINGERPRINT);
        } else {
            assertThat(problem(answer, status)).contains("application/json");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"br", "deflate", "gzip, gzip", "x"})
    void refusesOtherEncodings(String encoding) throws Exception {
        String head = POST + JSON + "Content-Encoding: " + encoding + "\r\nContent-Length: 1\r\n";
        assertThat(problem(RawClient.request(ingest.port(), head, new byte[1]), 415))
                .contains("encoding");
    }

    @Test
    void takesAnEventOfTheLargestSizeAndNoLarger() throws Exception {
        String largest = event(
                "largest", EventReader.MAX_EVENT_BYTES - event("largest", 0).length());
        assertThat(largest).hasSize(EventReader.MAX_EVENT_BYTES);
        fingerprint(post(PATH, largest));
        problem(post(PATH, largest.replace(":\"", ": \"")), 413);
        problem(post(STREAM_PATH, largest.replace(":\"", ": \"")), 413);
    }

    @Test
    void refusesALargeBodyByItsDeclaredLengthUnread() throws Exception {
        String head = POST + JSON + "Content-Length: " + (EventReader.MAX_EVENT_BYTES + 1) + "\r\n";
        assertThat(problem(RawClient.request(ingest.port(), head, new byte[0]), 413))
                .contains("at most 262144 bytes");
    }

    @Test
    void stopsReadingAChunkedBodyThatIsTooLarge() throws Exception {
        try (RawClient client = new RawClient(ingest.port())) {
            client.send(POST + JSON + "Transfer-Encoding: chunked\r\n", new byte[0]);
            byte[] chunk = ("10000\r\n" + "x".repeat(0x10000) + "\r\n").getBytes(StandardCharsets.ISO_8859_1);
            for (int sent = 0; sent <= EventReader.MAX_EVENT_BYTES; sent += 0x10000) {
                client.send(chunk);
            }
            // The body has not ended, and never does.
            assertThat(problem(client.read(), 413)).contains("at most 262144 bytes");
        }
    }

    @Test
    void refusesAnEventThatTheTopicDoesNotTake() throws Exception {
        fingerprint(post(SMALL_STREAM_PATH, event("small", 10)));
        assertThat(problem(post(SMALL_STREAM_PATH, event("large", 5000)), 413)).contains("max.message.bytes");
    }

    @ParameterizedTest
    @CsvSource({"BROKEN, 400", "GET / HTTP/9, 505", "GET / HTTP/1.1, 400"})
    void refusesABrokenRequest(String requestLine, int status) throws Exception {
        try (RawClient client = new RawClient(ingest.port())) {
            client.send((requestLine + "\r\n\r\n").getBytes(StandardCharsets.ISO_8859_1));
            problem(client.read(), status);
        }
    }

    @Test
    void refusesABrokenChunk() throws Exception {
        Answer answer = RawClient.request(
                ingest.port(),
                POST + JSON + "Transfer-Encoding: chunked\r\n",
                "zz\r\n".getBytes(StandardCharsets.ISO_8859_1));
        assertThat(problem(answer, 400)).contains("broken");
    }

    @Test
    void refusesHeadersThatAreTooLarge() throws Exception {
        String head = "GET / HTTP/1.1\r\nX-Large: " + "x".repeat(20_000) + "\r\n";
        problem(RawClient.request(ingest.port(), head, new byte[0]), 431);
    }

    @Test
    void doesNotSpeakWebSocket() throws Exception {
        String head = "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n";
        problem(RawClient.request(ingest.port(), head, new byte[0]), 404);
    }

    @Test
    void isLiveAndReady() throws Exception {
        assertThat(get("/health/live")).satisfies(answer -> {
            assertThat(answer.status()).isEqualTo(200);
            assertThat(answer.body()).isEqualTo("{\"status\":\"live\"}");
        });
        TestIngest.awaitReady(ingest.port());
        assertThat(get("/health/ready").body()).isEqualTo("{\"status\":\"ready\"}");
        assertThat(RawClient.head(ingest.port(), "/health/ready")).isEqualTo(200);
    }

    private static Answer get(String path) throws IOException {
        return RawClient.get(ingest.port(), path);
    }

    private static Answer post(String path, String json) throws IOException {
        return RawClient.post(ingest.port(), path, json);
    }
}
