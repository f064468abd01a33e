package io.github.eventdedup.ingest;

import static io.github.eventdedup.ingest.testing.TestEvents.PATH;
import static io.github.eventdedup.ingest.testing.TestEvents.STREAM;
import static io.github.eventdedup.ingest.testing.TestEvents.VECTOR;
import static io.github.eventdedup.ingest.testing.TestEvents.VECTOR_FINGERPRINT;
import static io.github.eventdedup.ingest.testing.TestEvents.fingerprint;
import static io.github.eventdedup.ingest.testing.TestEvents.fingerprints;
import static io.github.eventdedup.ingest.testing.TestEvents.problem;
import static io.github.eventdedup.ingest.testing.TestIngest.await;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import io.github.eventdedup.ingest.benchmark.Load;
import io.github.eventdedup.ingest.testing.RawClient;
import io.github.eventdedup.ingest.testing.RawClient.Answer;
import io.github.eventdedup.ingest.testing.TestEvents;
import io.github.eventdedup.ingest.testing.TestIngest;
import io.github.eventdedup.ingest.testing.TestKafka;
import io.github.eventdedup.servers.FreePort;
import java.io.IOException;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The jar as a process of its own: how it starts, fails to start, and stops. */
@Timeout(180)
class DrainIT {

    @TempDir
    private static Path kafkaDirectory;

    private static TestKafka kafka;

    @TempDir
    private Path directory;

    private int port;
    private Process process;

    @BeforeAll
    static void startKafka() throws Exception {
        kafka = new TestKafka(kafkaDirectory);
        kafka.start();
        kafka.createTopic(STREAM, Map.of());
    }

    @AfterAll
    static void stopKafka() {
        if (kafka != null) {
            kafka.close();
        }
    }

    @BeforeEach
    void choosePort() throws Exception {
        port = FreePort.find();
    }

    @AfterEach
    void stopProcess() throws Exception {
        kafka.resume();
        if (process != null) {
            process.destroyForcibly().waitFor();
        }
    }

    private void start(Map<String, String> settings) throws IOException {
        ProcessBuilder builder = TestIngest.process(kafka, port, TestEvents.streams(directory), temporary(), settings);
        process = builder.redirectOutput(directory.resolve("out").toFile())
                .redirectError(directory.resolve("err").toFile())
                .start();
    }

    private Path temporary() {
        return directory.resolve("tmp");
    }

    private void startAndAwaitReady(Map<String, String> settings) throws IOException {
        start(settings);
        TestIngest.awaitReady(port);
    }

    @Test
    void answersEveryRequestUnderLoadAndEndsWithZero() throws Exception {
        startAndAwaitReady(Map.of());
        Load load = new Load(port, 8);
        try (load) {
            await().until(() -> load.count(202) > 500);
            process.destroy();
            // The clients are not stopped: each goes on until it is told that its connection closes.
            load.join();
        }
        assertThat(load.outcomes()).allSatisfy(outcome -> {
            assertThat(outcome.answer()).as("answer to " + outcome.id()).isNotNull();
            fingerprint(outcome.answer());
        });
        assertExit(0);
        assertThat(temporary()).isEmptyDirectory();
        assertThat(fingerprints(kafka))
                .containsAll(load.outcomes().stream()
                        .map(outcome -> fingerprint(outcome.answer()))
                        .toList());
    }

    @Test
    void hasInTheTopicWhateverItAcceptedBeforeItWasKilled() throws Exception {
        startAndAwaitReady(Map.of());
        Load load = new Load(port, 8);
        try (load) {
            await().until(() -> load.count(202) > 500);
            process.destroyForcibly().waitFor();
            load.join();
        }
        List<String> accepted = load.outcomes().stream()
                .filter(outcome -> outcome.answer() != null)
                .map(outcome -> fingerprint(outcome.answer()))
                .toList();
        assertThat(accepted).hasSizeGreaterThan(500);
        assertThat(fingerprints(kafka)).containsAll(accepted);
    }

    @Test
    void logsALineOfJsonForEachRequestWhereAskedTo() throws Exception {
        startAndAwaitReady(Map.of("DEDUP_ACCESS_LOG", "true"));
        fingerprint(RawClient.post(port, PATH + "?secret", VECTOR));
        RawClient.request(port, "BROKEN\r\n", new byte[0]);
        Path out = directory.resolve("out");
        await().untilAsserted(() -> assertThat(Files.readAllLines(out))
                .anySatisfy(line -> assertThat(line)
                        .startsWith("{\"time\":\"")
                        .contains("\"remote\":\"127.0.0.1\",\"method\":\"POST\",\"path\":\"" + PATH
                                + "\",\"status\":202,")
                        .contains("\"bytesIn\":" + VECTOR.getBytes(StandardCharsets.UTF_8).length + ","))
                .anySatisfy(line -> assertThat(line).startsWith("{").contains("\"status\":400,")));
        assertThat(Files.readString(out)).doesNotContain("secret", "content_id");
    }

    @Test
    void waitsForKafkaToAcknowledgeWhatIsInFlight() throws Exception {
        startAndAwaitReady(Map.of("DEDUP_DELIVERY_TIMEOUT", "60s"));
        try (RawClient waiting = new RawClient(port);
                RawClient asking = new RawClient(port)) {
            asking.send("GET /health/ready HTTP/1.1\r\n", new byte[0]);
            assertThat(asking.read().status()).isEqualTo(200);
            kafka.pause();
            waiting.sendPost(PATH, VECTOR.getBytes(StandardCharsets.UTF_8));

            process.destroy();
            Answer ready = awaitNotReady(asking);
            assertThat(problem(ready, 503)).isEqualTo("the service is stopping");
            await().untilAsserted(() -> assertRefused(port));
            assertThat(process.isAlive()).isTrue();

            kafka.resume();
            Answer answer = waiting.read();
            assertThat(fingerprint(answer)).isEqualTo(VECTOR_FINGERPRINT);
            assertThat(answer.closes()).isTrue();
        }
        assertExit(0);
    }

    @Test
    void cutsOffWhatOutlastsTheDrainTimeoutAndSaysSo() throws Exception {
        startAndAwaitReady(Map.of("DEDUP_DELIVERY_TIMEOUT", "5s", "DEDUP_DRAIN_TIMEOUT", "500ms"));
        try (RawClient waiting = new RawClient(port)) {
            kafka.pause();
            waiting.sendPost(PATH, VECTOR.getBytes(StandardCharsets.UTF_8));
            process.destroy();
            assertExit(1);
        }
        assertThat(Files.readString(directory.resolve("out")))
                .contains("Requests in flight outlasted the drain timeout and were cut off")
                .doesNotContain("\tat ")
                .endsWith("Stopped\n");
    }

    /** Asks on one connection, which the service serves while it drains, until it no longer is ready. */
    private Answer awaitNotReady(RawClient client) throws IOException {
        while (true) {
            client.send("GET /health/ready HTTP/1.1\r\n", new byte[0]);
            Answer answer = client.read();
            if (answer.status() != 200) {
                return answer;
            }
            if (answer.closes()) {
                // The drain began between the answer and its headers.
                return RawClient.get(port, "/health/ready");
            }
        }
    }

    private static void assertRefused(int port) {
        assertThat(catchThrowable(() -> new RawClient(port).close())).isInstanceOf(ConnectException.class);
    }

    @Test
    void saysInOneLineThatThePortIsTaken() throws Exception {
        try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = taken.getLocalPort();
            start(Map.of());
            assertExit(1);
        }
        assertThat(Files.readAllLines(directory.resolve("err")))
                .singleElement()
                .asString()
                .contains("cannot listen on 127.0.0.1 port " + port)
                .contains("DEDUP_HTTP_PORT");
    }

    @Test
    void saysThatThereIsNoStream() throws Exception {
        start(Map.of("DEDUP_STREAMS_DIR", directory.resolve("nowhere").toString()));
        assertExit(1);
        assertThat(Files.readAllLines(directory.resolve("err")))
                .singleElement()
                .asString()
                .contains("no stream is defined")
                .contains("DEDUP_STREAMS_DIR");
    }

    @Test
    void saysWhatIsWrongWithAStream() throws Exception {
        Path streams = Files.createDirectory(directory.resolve("bad"));
        Files.writeString(streams.resolve("bad.yaml"), "stream: bad\n");
        start(Map.of("DEDUP_STREAMS_DIR", streams.toString()));
        assertExit(1);
        assertThat(Files.readString(directory.resolve("err")))
                .contains("bad.yaml is not a valid stream definition")
                .contains("fingerprint")
                .doesNotContain("\tat ");
    }

    @Test
    void saysWhatIsWrongWithTheSettings() throws Exception {
        start(Map.of("DEDUP_HTTP_PORT", "x"));
        assertExit(1);
        assertThat(Files.readString(directory.resolve("err")))
                .contains("DEDUP_HTTP_PORT is 'x'")
                .doesNotContain("\tat ");
    }

    private void assertExit(int code) throws Exception {
        assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        List<String> output = new ArrayList<>(Files.readAllLines(directory.resolve("out")));
        output.addAll(Files.readAllLines(directory.resolve("err")));
        assertThat(process.exitValue()).as(String.join("\n", output)).isEqualTo(code);
    }
}
