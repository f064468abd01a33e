package io.github.eventdedup.ingest;

import static io.github.eventdedup.ingest.testing.FuzzedRequests.concat;
import static io.github.eventdedup.ingest.testing.FuzzedRequests.gzip;
import static io.github.eventdedup.ingest.testing.TestEvents.PATH;
import static io.github.eventdedup.ingest.testing.TestEvents.VECTOR;
import static io.github.eventdedup.ingest.testing.TestEvents.VECTOR_FINGERPRINT;
import static io.github.eventdedup.ingest.testing.TestEvents.event;
import static io.github.eventdedup.ingest.testing.TestEvents.fingerprint;
import static io.github.eventdedup.ingest.testing.TestEvents.problem;
import static io.github.eventdedup.ingest.testing.TestIngest.await;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.eventdedup.ingest.testing.RawClient;
import io.github.eventdedup.ingest.testing.RawClient.Answer;
import io.github.eventdedup.ingest.testing.TestIngest;
import java.io.EOFException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is odd about a request, one oddity a test. */
class HostileRequestsIT {

    private static final byte[] EVENT = VECTOR.getBytes(StandardCharsets.UTF_8);
    private static final String POST = "POST " + PATH + " HTTP/1.1\r\n";
    private static final String V1 = "POST /v1/streams/view-events/events HTTP/1.1\r\n";
    private static final String JSON = "Content-Type: application/json\r\n";
    private static final String GZIP = JSON + "Content-Encoding: gzip\r\n";
    private static final String CHUNKED = "Transfer-Encoding: chunked\r\n";

    @TempDir
    private static Path directory;

    private static TestIngest ingest;

    @BeforeAll
    static void start() throws Exception {
        ingest = TestIngest.start(directory, Map.of());
    }

    @AfterAll
    static void stop() {
        if (ingest != null) {
            ingest.close();
        }
    }

    private static Answer send(String head, byte[] body) throws IOException {
        return RawClient.request(ingest.port(), head + "Content-Length: " + body.length + "\r\n", body);
    }

    @Test
    void whatFollowsABodyWhoseLengthIsTooShortIsNoRequest() throws Exception {
        try (RawClient client = new RawClient(ingest.port())) {
            client.send(
                    POST + "Content-Length: " + (EVENT.length - 1) + "\r\n",
                    concat(EVENT, "\r\n\r\n".getBytes(StandardCharsets.ISO_8859_1)));
            problem(client.read(), 400);
            problem(client.read(), 400);
            assertThatThrownBy(client::read).isInstanceOf(EOFException.class);
        }
    }

    @Test
    void lengthAndChunksAtOnceAreRefused() throws Exception {
        problem(send(POST + CHUNKED, EVENT), 400);
        problem(send(POST + "Content-Length: 1\r\n", EVENT), 400);
    }

    @Test
    void trailersAreTaken() throws Exception {
        String chunks = Integer.toHexString(EVENT.length) + "\r\n";
        byte[] body = concat(
                concat(chunks.getBytes(StandardCharsets.ISO_8859_1), EVENT),
                "\r\n0\r\nX-Trailer: 1\r\n\r\n".getBytes(StandardCharsets.ISO_8859_1));
        try (RawClient client = new RawClient(ingest.port())) {
            for (int i = 0; i < 2; i++) {
                client.send(POST + CHUNKED, body);
                assertThat(fingerprint(client.read())).isEqualTo(VECTOR_FINGERPRINT);
            }
        }
    }

    @Test
    void pipelinedRequestsAreAnsweredInOrder() throws Exception {
        try (RawClient client = new RawClient(ingest.port())) {
            for (int i = 0; i < 50; i++) {
                client.sendPost(PATH, i % 2 == 0 ? EVENT : new byte[0]);
            }
            for (int i = 0; i < 50; i++) {
                Answer answer = client.read();
                if (i % 2 == 0) {
                    assertThat(fingerprint(answer)).isEqualTo(VECTOR_FINGERPRINT);
                } else {
                    problem(answer, 400);
                }
            }
        }
    }

    /** What the web server refuses itself takes another way than what the service answers. */
    @Test
    void aRequestThatTheWebServerRefusesDoesNoHarmToTheNext() throws Exception {
        for (int i = 0; i < 300; i++) {
            try (RawClient client = new RawClient(ingest.port())) {
                for (int j = 0; j < 10; j++) {
                    client.sendPost(PATH, EVENT);
                    client.sendPost("/v1/streams/[/events", EVENT);
                }
                for (int j = 0; j < 10; j++) {
                    assertThat(fingerprint(client.read())).isEqualTo(VECTOR_FINGERPRINT);
                    problem(client.read(), 400);
                }
            }
        }
    }

    @Test
    void whoAsksForLeaveToSendIsGivenItOrTheReasonWhyNot() throws Exception {
        try (RawClient client = new RawClient(ingest.port())) {
            client.send(POST + "Expect: 100-continue\r\nContent-Length: " + EVENT.length + "\r\n", new byte[0]);
            assertThat(client.read().status()).isEqualTo(100);
            client.send(EVENT);
            assertThat(fingerprint(client.read())).isEqualTo(VECTOR_FINGERPRINT);
        }
        problem(
                RawClient.request(
                        ingest.port(), POST + "Expect: 100-continue\r\nContent-Length: 300000\r\n", new byte[0]),
                413);
    }

    @Test
    void http10IsSpoken() throws Exception {
        assertThat(fingerprint(send("POST " + PATH + " HTTP/1.0\r\n", EVENT))).isEqualTo(VECTOR_FINGERPRINT);
    }

    @Test
    void repeatedFieldsOfTheFingerprintAndDeepNestingAreRefused() throws Exception {
        assertThat(problem(RawClient.post(ingest.port(), PATH, VECTOR.replaceFirst("\\{", "{\"sid\":\"x\",")), 400))
                .contains("repeats the field 'sid'");
        String deepest = "{\"deep\":" + "[".repeat(31) + "]".repeat(31) + ",";
        fingerprint(RawClient.post(ingest.port(), PATH, VECTOR.replaceFirst("\\{", deepest)));
        assertThat(problem(
                        RawClient.post(ingest.port(), PATH, VECTOR.replaceFirst("\\{", deepest.replace("[]", "[[]]"))),
                        400))
                .contains("deeper than 32");
    }

    @Test
    void gzipIsTakenOfAnEventAndABatch() throws Exception {
        assertThat(fingerprint(send(POST + GZIP, gzip(EVENT)))).isEqualTo(VECTOR_FINGERPRINT);
        String lines = event("a", 1) + "\n" + event("b", 1) + "\n";
        String head = V1 + "Content-Type: application/x-ndjson\r\nContent-Encoding: gzip\r\n";
        assertThat(send(head, gzip(lines.getBytes(StandardCharsets.UTF_8))).status())
                .isEqualTo(202);
    }

    @Test
    void whatIsNoGzipIsRefused() throws Exception {
        assertThat(problem(send(POST + GZIP, EVENT), 400)).contains("not gzip");
        problem(send(POST + GZIP, new byte[0]), 400);
        assertThat(problem(send(POST + GZIP, Arrays.copyOf(gzip(EVENT), 50)), 400))
                .contains("cut short");
        problem(send(POST + GZIP + "Content-Encoding: br\r\n", gzip(EVENT)), 415);
        problem(send(POST + JSON + "Content-Encoding: identity\r\nContent-Encoding: br\r\n", EVENT), 415);
    }

    @Test
    void aBombIsRefusedBeforeItGoesOff() throws Exception {
        byte[] once = gzip(new byte[100 * 1024 * 1024]);
        assertThat(problem(send(V1 + GZIP, gzip(" ".repeat(10 << 20).getBytes(StandardCharsets.ISO_8859_1))), 413))
                .contains("body is too large");
        problem(send(V1 + GZIP, once), 413);
        problem(send(POST + GZIP, once), 413);
    }

    /** Compressed data without an end that expand to nothing. */
    @Test
    void compressedBytesCountEvenIfThereIsNothingInThem() throws Exception {
        byte[] empty = gzip(new byte[0]);
        byte[] many = new byte[empty.length * 50_000];
        for (int at = 0; at < many.length; at += empty.length) {
            System.arraycopy(empty, 0, many, at, empty.length);
        }
        byte[] chunk = concat(
                concat((Integer.toHexString(many.length) + "\r\n").getBytes(StandardCharsets.ISO_8859_1), many),
                new byte[] {'\r', '\n'});
        try (RawClient client = new RawClient(ingest.port())) {
            client.send(V1 + GZIP + CHUNKED, new byte[0]);
            for (int sent = 0; sent <= 8 << 20; sent += many.length) {
                client.send(chunk);
            }
            problem(client.read(), 413);
        }
    }

    /** To close the connection while the client still sends would reset it, and the reason would be lost. */
    @Test
    void aClientThatReadsOnlyOnceAllIsSentLearnsWhyItWasRefused() throws Exception {
        for (int i = 0; i < 20; i++) {
            assertThat(problem(send(POST, new byte[4 << 20]), 413)).contains("at most 262144 bytes");
            problem(send(POST + "Content-Type: text/plain\r\n", new byte[4 << 20]), 415);
        }
    }

    @Test
    void clientsThatGoAwayLeaveNothingBehind() throws Exception {
        int free = ingest.ingest.freeBytes();
        int freeArriving = ingest.ingest.freeArrivingBytes();
        for (int i = 0; i < 200; i++) {
            try (RawClient client = new RawClient(ingest.port())) {
                client.send(
                        V1 + JSON + "Content-Length: 1000000\r\n",
                        event("gone", 100_000).getBytes(StandardCharsets.UTF_8));
            }
            try (RawClient client = new RawClient(ingest.port())) {
                client.sendPost(PATH, EVENT);
            }
        }
        await().untilAsserted(() -> {
            assertThat(ingest.ingest.freeBytes()).isEqualTo(free);
            assertThat(ingest.ingest.freeArrivingBytes()).isEqualTo(freeArriving);
        });
    }
}
