package io.github.eventdedup.ingest;

import static io.github.eventdedup.ingest.testing.TestEvents.PATH;
import static io.github.eventdedup.ingest.testing.TestEvents.STREAM;
import static io.github.eventdedup.ingest.testing.TestEvents.VECTOR;
import static io.github.eventdedup.ingest.testing.TestEvents.VECTOR_FINGERPRINT;
import static io.github.eventdedup.ingest.testing.TestEvents.event;
import static io.github.eventdedup.ingest.testing.TestEvents.fingerprint;
import static io.github.eventdedup.ingest.testing.TestEvents.problem;
import static io.github.eventdedup.ingest.testing.TestIngest.await;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.eventdedup.ingest.testing.FuzzedRequests;
import io.github.eventdedup.ingest.testing.RawClient;
import io.github.eventdedup.ingest.testing.RawClient.Answer;
import io.github.eventdedup.ingest.testing.TestEvents;
import io.github.eventdedup.ingest.testing.TestIngest;
import io.github.eventdedup.ingest.testing.TestKafka;
import io.github.eventdedup.servers.FreePort;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Clients that hold connections, and how little that costs a service with 512 MB. */
@Timeout(180)
class SlowClientsIT {

    private static final String BATCH =
            "POST /v1/streams/view-events/events HTTP/1.1\r\nContent-Type: application/x-ndjson\r\n";

    @TempDir
    private static Path directory;

    private static TestKafka kafka;
    private static Process process;
    private static int port;
    private static ScheduledExecutorService trickle;

    @BeforeAll
    static void start() throws Exception {
        kafka = new TestKafka(directory.resolve("kafka"));
        kafka.start();
        kafka.createTopic(STREAM, Map.of());
        port = FreePort.find();
        trickle = Executors.newScheduledThreadPool(1);
        ProcessBuilder builder = TestIngest.process(
                kafka,
                port,
                TestEvents.streams(directory),
                directory.resolve("tmp"),
                Map.of("DEDUP_DELIVERY_TIMEOUT", "2m"),
                "-Xmx512m",
                "-XX:+ExitOnOutOfMemoryError");
        process = builder.redirectErrorStream(true)
                .redirectOutput(directory.resolve("out").toFile())
                .start();
        TestIngest.awaitReady(port);
    }

    @AfterAll
    static void stop() throws Exception {
        if (trickle != null) {
            trickle.shutdownNow();
        }
        try {
            if (process != null) {
                boolean alive = process.isAlive();
                process.destroyForcibly().waitFor();
                String out = Files.readString(directory.resolve("out"));
                assertThat(alive).as(out).isTrue();
                assertThat(out).doesNotContain("ERROR", "\tat ");
            }
        } finally {
            if (kafka != null) {
                kafka.close();
            }
        }
    }

    private static void accept() throws IOException {
        assertThat(fingerprint(RawClient.post(port, PATH, VECTOR))).isEqualTo(VECTOR_FINGERPRINT);
    }

    /** A byte every half second, which the idle timeout would let pass for ever. */
    private static void trickle(RawClient client, String bytes) {
        byte[] all = bytes.getBytes(StandardCharsets.ISO_8859_1);
        int[] at = {0};
        var unused = trickle.scheduleWithFixedDelay(
                () -> {
                    try {
                        client.send(new byte[] {all[at[0]++ % all.length]});
                    } catch (IOException e) {
                        throw new IllegalStateException("cut off, so this ends", e);
                    }
                },
                0,
                500,
                TimeUnit.MILLISECONDS);
    }

    @Test
    void whoTricklesIsCutOffAndWhoWaitsForKafkaIsNot() throws Exception {
        try (RawClient resting = new RawClient(port);
                RawClient waiting = new RawClient(port);
                RawClient head = new RawClient(port);
                RawClient lines = new RawClient(port);
                RawClient body = new RawClient(port);
                RawClient chunks = new RawClient(port);
                RawClient second = new RawClient(port)) {
            assertThat(fingerprint(second.post(PATH, VECTOR.getBytes(StandardCharsets.UTF_8))))
                    .isEqualTo(VECTOR_FINGERPRINT);
            assertThat(fingerprint(resting.post(PATH, VECTOR.getBytes(StandardCharsets.UTF_8))))
                    .isEqualTo(VECTOR_FINGERPRINT);
            kafka.pause();
            waiting.sendPost(PATH, VECTOR.getBytes(StandardCharsets.UTF_8));
            trickle(head, "GET / HTTP/1.1\r\nX: " + "x".repeat(1000));
            trickle(lines, "\r\n");
            trickle(second, "GET / HTTP/1.1\r\nX: " + "x".repeat(1000));
            body.send("POST " + PATH + " HTTP/1.1\r\nContent-Length: 200000\r\n", new byte[0]);
            trickle(body, "{".repeat(1000));
            chunks.send(BATCH + "Transfer-Encoding: chunked\r\n", new byte[0]);
            trickle(chunks, "1\r\nx\r\n");
            assertThat(RawClient.get(port, "/health/live").status()).isEqualTo(200);

            assertThat(problem(body.read(), 408)).contains("in time");
            assertThat(problem(chunks.read(), 408)).contains("in time");
            for (RawClient client : List.of(head, lines, second)) {
                assertThatThrownBy(client::read)
                        .isInstanceOf(IOException.class)
                        .isNotInstanceOf(SocketTimeoutException.class);
            }
            kafka.resume();
            assertThat(fingerprint(waiting.read())).isEqualTo(VECTOR_FINGERPRINT);
            // A connection that rests after its request is not a slow one.
            Answer answer = resting.post(PATH, VECTOR.getBytes(StandardCharsets.UTF_8));
            assertThat(fingerprint(answer)).isEqualTo(VECTOR_FINGERPRINT);
            assertThat(answer.headers()).containsEntry("keep-alive", "timeout=74");
        } finally {
            kafka.resume();
        }
    }

    @Test
    void connectionsThatRestTakeNoThreads() throws Exception {
        int connections = 10_000;
        assertThat(openFilesLimit())
                .as("open files that are allowed to each process (ulimit -n)")
                .isGreaterThan(connections + 1000);
        accept();
        long threads = threads();
        List<SocketChannel> resting = new ArrayList<>();
        try {
            for (int i = 0; i < connections; i++) {
                SocketChannel channel = connect();
                resting.add(channel);
                if (i % 10 == 0) {
                    write(
                            channel,
                            "GET /health/live HTTP/1.1\r\nHost: test\r\n\r\n".getBytes(StandardCharsets.ISO_8859_1));
                }
            }
            accept();
            assertThat(threads()).isLessThanOrEqualTo(threads + 8);
        } finally {
            close(resting);
        }
    }

    @Test
    void bodiesThatStopInTheMiddleHoldUpNobodyAndCostNoMemory() throws Exception {
        List<SocketChannel> stopped = new ArrayList<>();
        try {
            byte[] start = FuzzedRequests.concat(
                    (BATCH + "Host: test\r\nContent-Length: " + 8 * 1024 * 1024 + "\r\n\r\n")
                            .getBytes(StandardCharsets.ISO_8859_1),
                    event("stopped", 200_000).substring(0, 200_000).getBytes(StandardCharsets.ISO_8859_1));
            for (int i = 0; i < 500; i++) {
                SocketChannel channel = connect();
                stopped.add(channel);
                write(channel, start);
                if (i % 50 == 0) {
                    accept();
                }
            }
            accept();
            // They are cut off long before the idle timeout of the web server, so that larger events get through too.
            String large = event("large", 200_000);
            await().until(() -> RawClient.post(port, PATH, large).status() == 202);
        } finally {
            close(stopped);
        }
    }

    @Test
    void answersThatNobodyReadsCostNoMemory() throws Exception {
        List<SocketChannel> deaf = new ArrayList<>();
        try {
            byte[] request = ("POST " + PATH + " HTTP/1.1\r\nHost: test\r\nContent-Length: "
                            + VECTOR.getBytes(StandardCharsets.UTF_8).length + "\r\n\r\n" + VECTOR)
                    .getBytes(StandardCharsets.UTF_8);
            for (int i = 0; i < 5; i++) {
                SocketChannel channel = connect();
                channel.configureBlocking(false);
                deaf.add(channel);
            }
            // Until nobody takes any more: the service does not read on where its answers are not read.
            for (SocketChannel channel : deaf) {
                ByteBuffer requests = ByteBuffer.allocate(200 * request.length);
                int refusals = 0;
                for (int i = 0; i < 20_000 && refusals < 100; i++) {
                    if (!requests.hasRemaining() || i == 0) {
                        requests.clear();
                        for (int j = 0; j < 200; j++) {
                            requests.put(request);
                        }
                        requests.flip();
                    }
                    if (channel.write(requests) == 0) {
                        refusals++;
                        accept();
                    } else {
                        refusals = 0;
                    }
                }
                assertThat(refusals).isEqualTo(100);
            }
            accept();
        } finally {
            close(deaf);
        }
    }

    private static SocketChannel connect() throws IOException {
        return SocketChannel.open(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
    }

    private static void write(SocketChannel channel, byte[] bytes) throws IOException {
        ByteBuffer buffer = ByteBuffer.wrap(bytes);
        try {
            while (buffer.hasRemaining()) {
                channel.write(buffer);
            }
        } catch (IOException e) {
            // Refused before all was sent, which is an answer as well.
        }
    }

    private static void close(List<SocketChannel> channels) throws IOException {
        for (SocketChannel channel : channels) {
            channel.close();
        }
    }

    private static long openFilesLimit() throws Exception {
        return number(Files.readAllLines(Path.of("/proc/" + process.pid() + "/limits")), "Max open files");
    }

    private static long threads() throws Exception {
        Callable<List<String>> status = () -> Files.readAllLines(Path.of("/proc/" + process.pid() + "/status"));
        return number(status.call(), "Threads:");
    }

    private static long number(List<String> lines, String name) {
        String line =
                lines.stream().filter(each -> each.startsWith(name)).findFirst().orElseThrow();
        return Long.parseLong(line.substring(name.length()).strip().split("\\s+", 2)[0]);
    }
}
