package io.github.eventdedup.ingest.testing;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.eventdedup.ingest.testing.RawClient.Answer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.Set;
import java.util.stream.Collectors;

/** Events to send, and answers to expect. */
public final class TestEvents {

    public static final String STREAM = "view-events";
    public static final String PATH = "/api-fast/view-event";

    /** The project's own definition. */
    private static final Path DEFINITION = Path.of("..", "streams", "view-events.yaml");

    public static final String VECTOR = """
            {"userId":"u1","content_id":1810111,"event_name":"watch","event_datetime":"2025-05-01T00:00:00.004Z",\
            "sid":"3423943363",  "ю":[{}]}""";

    public static final String VECTOR_FINGERPRINT = "2f4f2aef652115f38caac5290dcbcb51e54cc60152ad7fb5648e1294387aed04";

    private static final ObjectMapper MAPPER = new ObjectMapper();

    private TestEvents() {}

    /** A directory of definitions that holds this stream's. */
    public static Path streams(Path parent) throws IOException {
        Path streams = Files.createDirectory(parent.resolve("streams"));
        Files.copy(DEFINITION, streams.resolve(DEFINITION.getFileName()));
        return streams;
    }

    /** An event like no other that is padded to about this many bytes. */
    public static String event(String id, int bytes) {
        return """
                {"userId":"%s","content_id":1,"event_name":"watch","event_datetime":"2025-05-01T00:00:00Z","sid":"s",\
                "padding":"%s"}""".formatted(id, "x".repeat(bytes));
    }

    /** The fingerprint of an answer that must be a 202. */
    public static String fingerprint(Answer answer) {
        assertThat(answer.status()).as(answer.body()).isEqualTo(202);
        assertThat(answer.headers()).containsEntry("content-type", "application/json");
        JsonNode json = json(answer);
        assertThat(json.path("status").asText()).isEqualTo("accepted");
        return json.path("fingerprint").asText();
    }

    /** The detail of an answer that must be a problem with this status. */
    public static String problem(Answer answer, int status) {
        assertThat(answer.status()).as(answer.body()).isEqualTo(status);
        assertThat(answer.headers())
                .containsEntry("content-type", "application/problem+json")
                .doesNotContainKeys("server", "set-cookie");
        JsonNode json = json(answer);
        assertThat(json.path("type").asText()).isEqualTo("about:blank");
        assertThat(json.path("title").asText()).isNotBlank();
        assertThat(json.path("status").asInt()).isEqualTo(status);
        if (status == 503) {
            assertThat(answer.headers()).containsEntry("retry-after", "1");
        }
        return json.path("detail").asText();
    }

    public static JsonNode json(Answer answer) {
        try {
            return MAPPER.readTree(answer.body());
        } catch (JsonProcessingException e) {
            throw new AssertionError("not JSON: " + answer, e);
        }
    }

    /** The fingerprints that the topic has, in hexadecimal. */
    public static Set<String> fingerprints(TestKafka kafka) {
        return kafka.records(STREAM).stream()
                .map(record -> HexFormat.of().formatHex(record.key()))
                .collect(Collectors.toSet());
    }
}
