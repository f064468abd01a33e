package io.github.eventdedup.ingest;

import static io.github.eventdedup.ingest.testing.TestEvents.STREAM;
import static io.github.eventdedup.ingest.testing.TestEvents.event;
import static io.github.eventdedup.ingest.testing.TestEvents.problem;
import static io.github.eventdedup.ingest.testing.TestIngest.await;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.ingest.testing.RawClient;
import io.github.eventdedup.ingest.testing.RawClient.Answer;
import io.github.eventdedup.ingest.testing.TestEvents;
import io.github.eventdedup.ingest.testing.TestIngest;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.zip.GZIPOutputStream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Many events in one request, and that the counts of what became of them add up with the topic. */
@Timeout(120)
class BatchesIT {

    private static final String PATH = "/v1/streams/view-events/events";
    private static final int MAX_BODY_BYTES = 1024 * 1024;
    private static final int MAX_BATCH_EVENTS = 2000;
    private static final int MAX_IN_FLIGHT_BYTES = 2 * 1024 * 1024;

    private static final String ACCEPTED = "dedup_events_accepted_total{stream=\"view-events\"}";
    private static final String INVALID = "dedup_events_rejected_total{reason=\"invalid\",stream=\"view-events\"}";
    private static final String TOO_LARGE = "dedup_events_rejected_total{reason=\"too_large\",stream=\"view-events\"}";
    private static final String UNAVAILABLE =
            "dedup_events_rejected_total{reason=\"unavailable\",stream=\"view-events\"}";

    private static final String BATCH = "dedup_events_rejected_total{reason=\"batch\",stream=\"view-events\"}";

    @TempDir
    private static Path directory;

    private static TestIngest ingest;

    @BeforeAll
    static void start() throws Exception {
        ingest = TestIngest.start(
                directory,
                Map.of(
                        "DEDUP_MAX_BODY_BYTES", Integer.toString(MAX_BODY_BYTES),
                        "DEDUP_MAX_BATCH_EVENTS", Integer.toString(MAX_BATCH_EVENTS),
                        "DEDUP_MAX_IN_FLIGHT_BYTES", Integer.toString(MAX_IN_FLIGHT_BYTES)));
    }

    @AfterAll
    static void stop() {
        if (ingest != null) {
            ingest.close();
        }
    }

    @AfterEach
    void everyCountAddsUpAndNothingIsHeld() throws Exception {
        ingest.kafka.resume();
        await().untilAsserted(() -> {
            assertThat(metric(ACCEPTED)).isEqualTo(ingest.kafka.records(STREAM).size());
            assertThat(metric("dedup_in_flight_bytes{of=\"kafka\"}")).isZero();
            assertThat(metric("dedup_in_flight_bytes{of=\"arriving\"}")).isZero();
        });
    }

    @Test
    void takesEventsLineByLine() throws Exception {
        List<String> events = List.of(event("line 1", 10), event("line 2", 3000), event("line 3", 100_000));
        Answer answer = postLines(String.join("\n", events) + "\r\n\r\n");
        assertThat(answer.status()).isEqualTo(202);
        assertThat(answer.headers()).containsEntry("content-type", "application/json");
        assertResultsAreInTheTopic(answer, events);
    }

    @Test
    void takesTheElementsOfAnArray() throws Exception {
        List<String> events = List.of(event("element ],[", 10), event("element \\\"{", 3000));
        Answer answer = post(" [ " + String.join(" , ", events) + " ] ");
        assertThat(answer.status()).isEqualTo(202);
        assertResultsAreInTheTopic(answer, events);
    }

    @Test
    void takesCompressedEvents() throws Exception {
        List<String> events =
                IntStream.range(0, 300).mapToObj(i -> event("gzip " + i, 3000)).toList();
        Answer answer = post("application/x-ndjson", "Content-Encoding: gzip\r\n", gzip(String.join("\n", events)));
        assertThat(answer.status()).isEqualTo(202);
        assertResultsAreInTheTopic(answer, events);
    }

    @Test
    void saysOfEachEventWhatBecameOfIt() throws Exception {
        double invalid = metric(INVALID);
        double tooLarge = metric(TOO_LARGE);
        Answer answer = postLines(String.join(
                "\n", event("some 1", 10), "{}", event("some 2", EventReader.MAX_EVENT_BYTES), event("some 3", 10)));
        assertThat(answer.status()).isEqualTo(207);
        JsonNode json = TestEvents.json(answer);
        assertThat(json.path("accepted").asInt()).isEqualTo(2);
        assertThat(json.path("rejected").asInt()).isEqualTo(2);
        assertThat(json.path("results"))
                .extracting(result -> result.path("index").asInt()
                        + " " + result.path("status").asText()
                        + " " + result.path("error").asText())
                .containsExactly(
                        "0 accepted ",
                        "1 rejected the event lacks the fields userId, content_id, event_name, event_datetime, sid",
                        "2 rejected the event is too large; at most 262144 bytes are taken",
                        "3 accepted ");
        assertThat(json.path("results")).noneMatch(result -> result.has("retry"));
        assertThat(answer.headers()).doesNotContainKey("retry-after");
        assertThat(metric(INVALID)).isEqualTo(invalid + 1);
        assertThat(metric(TOO_LARGE)).isEqualTo(tooLarge + 1);
    }

    @Test
    void refusesABatchOfWhichNothingIsAnEvent() throws Exception {
        Answer answer = post("[{}, 1, ]");
        assertThat(answer.status()).isEqualTo(400);
        JsonNode json = TestEvents.json(answer);
        assertThat(json.path("accepted").asInt()).isZero();
        assertThat(json.path("rejected").asInt()).isEqualTo(3);
        assertThat(json.path("results"))
                .extracting(result -> result.path("error").asText())
                .satisfiesExactly(
                        first -> assertThat(first).startsWith("the event lacks the fields"),
                        second -> assertThat(second).isEqualTo("the event is an integer; send one JSON object"),
                        third -> assertThat(third).isEqualTo("the event is empty; send one JSON object"));
    }

    @Test
    void takesAnArrayThatWasCutShortAsFarAsItGoes() throws Exception {
        Answer answer = post("[" + event("cut 1", 10) + "," + event("cut 2", 10).substring(0, 50));
        assertThat(answer.status()).isEqualTo(207);
        assertThat(TestEvents.json(answer).path("results"))
                .extracting(result -> result.path("error").asText())
                .satisfiesExactly(
                        first -> assertThat(first).isEmpty(),
                        second -> assertThat(second).startsWith("the event is not JSON: it ends in the middle"),
                        third -> assertThat(third).startsWith("the array does not end"));
    }

    @Test
    void refusesAnEmptyBatch() throws Exception {
        assertThat(problem(post("[ ]"), 400)).isEqualTo("the batch is empty; send one event or more");
        assertThat(problem(postLines("\n \r\n"), 400)).isEqualTo("the batch is empty; send one event or more");
    }

    @Test
    void takesTheLargestBatchAndNoLarger() throws Exception {
        String lines = IntStream.range(0, MAX_BATCH_EVENTS)
                .mapToObj(i -> event("many " + i, 10))
                .collect(Collectors.joining("\n"));
        assertThat(postLines(lines).status()).isEqualTo(202);
        assertThat(problem(postLines(lines + "\n{}"), 413))
                .startsWith("the batch is too large; at most 2000 events are taken");
    }

    @Test
    void answersABatchAsAWholeWhereAskedTo() throws Exception {
        double batch = metric(BATCH);
        double accepted = metric(ACCEPTED);
        String half = "[" + event("whole 1", 10) + ",{}," + event("whole 2", EventReader.MAX_EVENT_BYTES) + "]";
        assertThat(problem(postWhole("on-error=fail", half), 400))
                .isEqualTo("nothing of the batch was accepted, as on-error=fail asks for: 2 of its 3 events cannot be"
                        + " taken. Index 1, counted from 0: the event lacks the fields userId, content_id, event_name,"
                        + " event_datetime, sid");
        assertThat(problem(postWhole("on-error=fail", "[" + event("whole 1", 10) + ","), 400))
                .contains("the array does not end");
        assertThat(metric(BATCH)).isEqualTo(batch + 2);
        assertThat(metric(ACCEPTED)).isEqualTo(accepted);

        List<String> events = List.of(event("whole 1", 10), event("whole 3", 3000));
        Answer answer = postWhole("x=1&on-error=fail", "[" + String.join(",", events) + "]");
        assertThat(answer.status()).isEqualTo(202);
        assertResultsAreInTheTopic(answer, events);
        assertThat(postWhole("on-error=report", half).status()).isEqualTo(207);
        assertThat(postWhole("on-error=fail", event("whole, alone", 10)).status())
                .isEqualTo(202);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "on-error=",
                "on-error",
                "on-error=abort",
                "on-error=FAIL",
                "on_error=fail",
                "onError=fail",
                "on-error=fail&on-error=report"
            })
    void refusesAParameterThatMayBeMeantOtherwise(String query) throws Exception {
        assertThat(problem(postWhole(query, event("misspelt", 10)), 400)).startsWith("the parameter on-error ");
    }

    private static Answer postWhole(String query, String json) throws IOException {
        return RawClient.post(ingest.port(), PATH + "?" + query, json);
    }

    @Test
    void refusesABodyThatIsTooLarge() throws Exception {
        String head = "POST " + PATH + " HTTP/1.1\r\nContent-Type: application/x-ndjson\r\n";
        Answer declared = RawClient.request(
                ingest.port(), head + "Content-Length: " + (MAX_BODY_BYTES + 1) + "\r\n", new byte[0]);
        assertThat(problem(declared, 413)).startsWith("the body is too large; at most 1048576 bytes are taken");
        byte[] bomb = gzip((event("bomb", 1000) + "\n").repeat(MAX_BODY_BYTES / 1000));
        assertThat(problem(post("application/x-ndjson", "Content-Encoding: gzip\r\n", bomb), 413))
                .startsWith("the body is too large");
    }

    @Test
    void saysWhichEventsToSendAgainWhereKafkaIsFull() throws Exception {
        ingest.kafka.pause();
        List<RawClient> waiting = new ArrayList<>();
        try {
            for (int i = 0; i < 8; i++) {
                RawClient client = new RawClient(ingest.port());
                waiting.add(client);
                client.sendPost(TestEvents.PATH, large("fills " + i).getBytes(StandardCharsets.UTF_8));
            }
            await().until(() -> ingest.ingest.freeBytes() < 100_000);

            assertThat(problem(postLines(large("full 1") + "\n" + large("full 2")), 503))
                    .isEqualTo("too many events are waiting for Kafka; try again");
            // One of the two would fit.
            String whole = "[" + event("small", 10) + "," + large("full 4") + "]";
            assertThat(problem(postWhole("on-error=fail", whole), 503))
                    .isEqualTo("too many events are waiting for Kafka; try again");

            RawClient mixed = new RawClient(ingest.port());
            waiting.add(mixed);
            mixed.sendPost(
                    PATH, ("[" + event("fits", 10) + "," + large("full 3") + "]").getBytes(StandardCharsets.UTF_8));
            await().until(() -> metric(UNAVAILABLE) == 5);
            ingest.kafka.resume();
            Answer answer = mixed.read();
            assertThat(answer.status()).isEqualTo(207);
            assertThat(answer.headers()).containsEntry("retry-after", "1");
            assertThat(TestEvents.json(answer).path("results"))
                    .extracting(result -> result.path("status").asText() + " "
                            + result.path("retry").asBoolean())
                    .containsExactly("accepted false", "rejected true");
            for (RawClient client : waiting.subList(0, 8)) {
                TestEvents.fingerprint(client.read());
            }
        } finally {
            for (RawClient client : waiting) {
                client.close();
            }
        }
    }

    /** An event of which eight fit into what may wait for Kafka. */
    private static String large(String id) {
        return event(id, 250_000);
    }

    @Test
    void countsRequestsByTheStatusOfTheirAnswer() throws Exception {
        double before = metric("dedup_requests_total{status=\"404\"}");
        problem(RawClient.post(ingest.port(), "/v1/streams/nope/events", "{}"), 404);
        problem(RawClient.get(ingest.port(), "/nothing"), 404);
        await().until(() -> metric("dedup_requests_total{status=\"404\"}") == before + 2);
        assertThat(metric("dedup_requests_total{status=\"200\"}")).isPositive();
        assertThat(scrape())
                .contains("kafka_producer_record_send_total{client_id=\"http-ingest\"")
                .contains("kafka_producer_record_send_total{client_id=\"http-ingest-batches\"")
                .contains("jvm_memory_used_bytes")
                .contains("dedup_acknowledgement_seconds_bucket{stream=\"view-events\",le=\"0.05\"}")
                .contains("dedup_connections");
        assertThat(metric("dedup_acknowledgement_seconds_count{stream=\"view-events\"}"))
                .isEqualTo(metric(ACCEPTED));
    }

    /** The value of a metric, 0 where there is none yet. */
    private static double metric(String name) throws IOException {
        return scrape().lines()
                .filter(line -> line.startsWith(name + " "))
                .mapToDouble(line -> Double.parseDouble(line.substring(name.length() + 1)))
                .findAny()
                .orElse(0);
    }

    private static String scrape() throws IOException {
        Answer answer = RawClient.get(ingest.port(), "/metrics");
        assertThat(answer.status()).isEqualTo(200);
        assertThat(answer.headers().get("content-type")).startsWith("text/plain");
        return answer.body();
    }

    private static void assertResultsAreInTheTopic(Answer answer, List<String> events) {
        Map<String, ConsumerRecord<byte[], byte[]>> records = new HashMap<>();
        ingest.kafka.records(STREAM).forEach(record -> records.put(record.partition() + ":" + record.offset(), record));
        JsonNode results = TestEvents.json(answer).path("results");
        List<String> stored = new ArrayList<>();
        for (int i = 0; i < results.size(); i++) {
            JsonNode result = results.get(i);
            assertThat(result.path("index").asInt()).isEqualTo(i);
            assertThat(result.path("topic").asText()).isEqualTo(STREAM);
            ConsumerRecord<byte[], byte[]> record = records.get(result.path("partition")
                            .asText() + ":" + result.path("offset").asText());
            assertThat(result.path("fingerprint").asText())
                    .isEqualTo(HexFormat.of().formatHex(record.key()));
            stored.add(new String(record.value(), StandardCharsets.UTF_8));
        }
        assertThat(stored).isEqualTo(events);
    }

    private static byte[] gzip(String text) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (GZIPOutputStream out = new GZIPOutputStream(bytes)) {
            out.write(text.getBytes(StandardCharsets.UTF_8));
        }
        return bytes.toByteArray();
    }

    private static Answer postLines(String lines) throws IOException {
        return post("application/x-ndjson", "", lines.getBytes(StandardCharsets.UTF_8));
    }

    private static Answer post(String json) throws IOException {
        return post("application/json", "", json.getBytes(StandardCharsets.UTF_8));
    }

    private static Answer post(String contentType, String headers, byte[] body) throws IOException {
        return RawClient.request(
                ingest.port(),
                "POST " + PATH + " HTTP/1.1\r\nContent-Type: " + contentType + "\r\n" + headers + "Content-Length: "
                        + body.length + "\r\n",
                body);
    }
}
