package io.github.eventdedup.ingest;

import static io.github.eventdedup.ingest.testing.TestEvents.PATH;
import static io.github.eventdedup.ingest.testing.TestEvents.problem;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.eventdedup.ingest.access.ApiKeysTest;
import io.github.eventdedup.ingest.testing.RawClient;
import io.github.eventdedup.ingest.testing.RawClient.Answer;
import io.github.eventdedup.ingest.testing.TestEvents;
import io.github.eventdedup.ingest.testing.TestIngest;
import io.github.eventdedup.servers.FreePort;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a browser is told about pages of other origins. No Kafka is needed to say it. */
@Timeout(180)
class CorsIT {

    private static final String ORIGIN = "https://app.example.org";
    private static final String PREFLIGHT =
            "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization,content-type\r\n";

    @TempDir
    private Path directory;

    private HttpIngest ingest;

    @AfterEach
    void stop() {
        if (ingest != null) {
            ingest.close();
        }
    }

    private void start(Map<String, String> more) throws Exception {
        Path keys = directory.resolve("keys.yaml");
        Files.writeString(
                keys,
                "keys:\n- { name: page, sha256: " + ApiKeysTest.sha256("the-key") + ", streams: [view-events],"
                        + " requests-per-second: 1 }\n");
        Map<String, String> settings = new HashMap<>(more);
        settings.put("DEDUP_API_KEYS_FILE", keys.toString());
        ingest = HttpIngest.start(
                TestIngest.settings("127.0.0.1:" + FreePort.find(), TestEvents.streams(directory), settings));
    }

    private void startWithOrigins() throws Exception {
        start(Map.of("DEDUP_CORS_ORIGINS", ORIGIN + ", http://localhost:3000"));
    }

    private Answer preflight(String origin) throws IOException {
        return RawClient.request(
                ingest.port(), "OPTIONS " + PATH + " HTTP/1.1\r\nOrigin: " + origin + "\r\n" + PREFLIGHT, new byte[0]);
    }

    private Answer post(String headers) throws IOException {
        byte[] body = "[]".getBytes(StandardCharsets.UTF_8);
        return RawClient.request(
                ingest.port(),
                "POST " + PATH + " HTTP/1.1\r\n" + headers + "Content-Type: application/json\r\nContent-Length: "
                        + body.length + "\r\n",
                body);
    }

    private static void assertReadable(Answer answer) {
        assertThat(answer.headers())
                .containsEntry("access-control-allow-origin", ORIGIN)
                .containsEntry("access-control-expose-headers", "Retry-After")
                .containsEntry("vary", "Origin")
                .doesNotContainKey("access-control-allow-credentials");
    }

    private static void assertNotReadable(Answer answer) {
        assertThat(answer.headers().keySet()).noneMatch(name -> name.startsWith("access-control-"));
    }

    @Test
    void answersAPreflightWithoutAKey() throws Exception {
        startWithOrigins();
        Answer answer = preflight(ORIGIN);
        assertThat(answer.status()).isEqualTo(200);
        assertThat(answer.headers())
                .containsEntry("access-control-allow-origin", ORIGIN)
                .containsEntry("vary", "Origin")
                .doesNotContainKey("access-control-allow-credentials");
        assertThat(answer.headers().get("access-control-allow-methods").split(","))
                .containsExactlyInAnyOrder("GET", "POST");
        assertThat(answer.headers().get("access-control-allow-headers").split(","))
                .containsExactlyInAnyOrder("Content-Type", "Content-Encoding", "Authorization", "X-API-Key");
    }

    @Test
    void letsThePageReadEveryAnswerAlsoRefusals() throws Exception {
        startWithOrigins();
        String origin = "Origin: " + ORIGIN + "\r\n";
        Answer live = RawClient.request(ingest.port(), "GET /health/live HTTP/1.1\r\n" + origin, new byte[0]);
        assertThat(live.status()).isEqualTo(200);
        assertReadable(live);

        Answer unauthorized = post(origin);
        problem(unauthorized, 401);
        assertReadable(unauthorized);

        Answer invalid = post(origin + "X-API-Key: the-key\r\n");
        problem(invalid, 400);
        assertReadable(invalid);

        Answer tooMany = invalid;
        for (int tries = 0; tooMany.status() != 429 && tries < 100; tries++) {
            tooMany = post(origin + "X-API-Key: the-key\r\n");
        }
        problem(tooMany, 429);
        assertReadable(tooMany);

        Answer nothing = RawClient.request(ingest.port(), "GET /nope HTTP/1.1\r\n" + origin, new byte[0]);
        problem(nothing, 404);
        assertReadable(nothing);

        Answer notReady = RawClient.request(ingest.port(), "GET /health/ready HTTP/1.1\r\n" + origin, new byte[0]);
        problem(notReady, 503);
        assertReadable(notReady);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "https://evil.example",
                "https://appxexample.org",
                "http://app.example.org",
                "null",
                "https://app.example.org.evil.example",
                "https://app.example.org:8443"
            })
    void tellsAForeignOriginNothing(String origin) throws Exception {
        startWithOrigins();
        assertNotReadable(preflight(origin));
        Answer answer = post("Origin: " + origin + "\r\n");
        problem(answer, 401);
        assertNotReadable(answer);
        // A cache between must not hand this answer to a page that may read one.
        assertThat(answer.headers()).containsEntry("vary", "Origin");
    }

    @Test
    void saysNothingUnlessTurnedOn() throws Exception {
        start(Map.of());
        Answer preflight = preflight(ORIGIN);
        problem(preflight, 405);
        Answer answer = post("Origin: " + ORIGIN + "\r\n");
        problem(answer, 401);
        for (Answer each : new Answer[] {preflight, answer}) {
            assertNotReadable(each);
            assertThat(each.headers()).doesNotContainKey("vary");
        }
    }
}
