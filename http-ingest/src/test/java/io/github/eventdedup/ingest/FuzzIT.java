package io.github.eventdedup.ingest;

import static io.github.eventdedup.ingest.testing.TestIngest.await;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.ingest.settings.IngestSettings;
import io.github.eventdedup.ingest.testing.FuzzedRequests;
import io.github.eventdedup.ingest.testing.LogLines;
import io.github.eventdedup.ingest.testing.TestEvents;
import io.github.eventdedup.ingest.testing.TestIngest;
import io.github.eventdedup.ingest.testing.TestKafka;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.ByteArrayInputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.lang.management.ManagementFactory;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Queue;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.logging.log4j.Level;
import org.apache.logging.log4j.core.LogEvent;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Requests that are broken in every way, at a real service with a real broker: each has a documented answer or its
 * connection closed, and what was accepted is where the answer says. {@code -Ddedup.fuzz.cases} says how many connections
 * there are, {@code -Ddedup.test.seed} which, {@code -Ddedup.fuzz.first} where to begin.
 */
class FuzzIT {

    /** Every status that there is. */
    private static final Set<Integer> DOCUMENTED =
            Set.of(200, 202, 207, 400, 404, 405, 413, 414, 415, 417, 426, 431, 501, 505);

    private static final int THREADS = 8;
    private static final long HEAP_MAY_GROW_BYTES = 16 * 1024 * 1024;

    private static final ObjectMapper MAPPER = new ObjectMapper();

    private final long seed = Long.getLong("dedup.test.seed", new Random().nextInt(1_000_000));
    private final long first = Long.getLong("dedup.fuzz.first", 0);
    private final long cases = Long.getLong("dedup.fuzz.cases", 4000);

    private final AtomicLong next = new AtomicLong(first);
    private final Queue<String> findings = new ConcurrentLinkedQueue<>();
    private final Map<String, AtomicLong> counts = new ConcurrentHashMap<>();
    private DataOutputStream accepted;
    private int port;

    @TempDir
    private Path directory;

    /** What must not be logged: clients could fill the disk with it. */
    private static boolean isFault(LogEvent event) {
        if (isRaceOfWebServer(event)) {
            System.out.println("FuzzIT: a race of the web server: " + event.getThrown());
            return false;
        }
        return event.getLevel().isMoreSpecificThan(Level.WARN) || event.getThrown() != null;
    }

    /**
     * The web server's own races at the end of broken requests, some in a million of them. Their answers have been
     * given, and a buffer that is given back twice harms nobody, since buffers are not pooled.
     */
    private static boolean isRaceOfWebServer(LogEvent event) {
        String thrown = String.valueOf(event.getThrown());
        return event.getLoggerName().startsWith("org.eclipse.jetty.")
                && (thrown.contains("already released") || thrown.contains("because \"stream\" is null"));
    }

    /** @param body null where there is none, as to a HEAD */
    private record Answer(int status, Map<String, String> headers, String body) {}

    @Test
    void everyRequestIsAnsweredOrCutOffAndWhatIsAcceptedIsInTheTopic() throws Exception {
        System.out.println(
                "FuzzIT -Ddedup.test.seed=" + seed + " -Ddedup.fuzz.first=" + first + " -Ddedup.fuzz.cases=" + cases);
        Path acceptedFile = directory.resolve("accepted");
        try (LogLines log = new LogLines();
                TestKafka kafka = new TestKafka(directory.resolve("kafka"))) {
            kafka.start();
            kafka.createTopic(TestEvents.STREAM, Map.of());
            Path streams = TestEvents.streams(directory);
            try (HttpIngest ingest = HttpIngest.start(IngestSettings.from(Map.of(
                            "DEDUP_HTTP_PORT", "0",
                            "DEDUP_KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrapServers(),
                            "DEDUP_STREAMS_DIR", streams.toString(),
                            "DEDUP_DELIVERY_TIMEOUT", "1m",
                            "DEDUP_DRAIN_TIMEOUT", "1s")));
                    DataOutputStream out =
                            new DataOutputStream(new BufferedOutputStream(Files.newOutputStream(acceptedFile)))) {
                port = ingest.port();
                accepted = out;
                TestIngest.awaitReady(port);
                int free = ingest.freeBytes();
                int freeArriving = ingest.freeArrivingBytes();

                runUntil(first + cases / 4);
                long heapBefore = heapAfterGc();
                runUntil(first + cases);
                System.out.println("FuzzIT " + new TreeMap<>(counts));
                assertThat(findings).isEmpty();

                // Requests whose client has gone may still be under way.
                await().until(() -> ingest.freeBytes() == free && ingest.freeArrivingBytes() == freeArriving);
                assertThat(heapAfterGc()).isLessThan(heapBefore + HEAP_MAY_GROW_BYTES);
            }
            assertAcceptedIsInTheTopic(acceptedFile, kafka, streams);
            assertThat(log.of(FuzzIT::isFault)).isEmpty();
        }
    }

    /** The heap in use after full collections; the least of a few, for the web server's threads allocate meanwhile. */
    private static long heapAfterGc() {
        long least = Long.MAX_VALUE;
        for (int i = 0; i < 3; i++) {
            System.gc();
            least = Math.min(
                    least,
                    ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed());
        }
        return least;
    }

    private void runUntil(long end) throws InterruptedException {
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < THREADS; i++) {
            Thread thread = new Thread(() -> run(end), "fuzz-" + i);
            thread.setDaemon(true);
            thread.start();
            threads.add(thread);
        }
        for (Thread thread : threads) {
            thread.join();
        }
        next.set(end);
    }

    private void run(long end) {
        for (long number = next.getAndIncrement();
                number < end && findings.size() < 20;
                number = next.getAndIncrement()) {
            FuzzedRequests requests = new FuzzedRequests(seed, number);
            try {
                check(number, requests);
            } catch (IOException | RuntimeException | AssertionError e) {
                findings.add("case " + number + ": " + e + "\n" + excerpt(requests.wire));
            }
        }
    }

    private static String excerpt(byte[] wire) {
        return new String(wire, 0, Math.min(wire.length, 1500), StandardCharsets.ISO_8859_1);
    }

    private void check(long number, FuzzedRequests requests) throws IOException {
        byte[] received = exchange(number, requests);
        boolean headSent = new String(requests.wire, StandardCharsets.ISO_8859_1).contains("HEAD ");
        List<Answer> answers = parse(received, headSent);
        count(answers.isEmpty() ? "closed" : "answered");
        for (Answer answer : answers) {
            count("" + answer.status());
            assertThat(answer.status()).isIn(DOCUMENTED);
            assertThat(answer.headers()).doesNotContainKeys("server", "x-powered-by", "set-cookie");
            if (answer.body() == null) {
                continue;
            }
            JsonNode json = MAPPER.readTree(answer.body());
            if (answer.status() < 300) {
                assertThat(answer.headers()).containsEntry("content-type", "application/json");
                remember(number, json);
            } else if (json.has("results")) {
                assertThat(answer.status()).isEqualTo(400);
            } else {
                assertThat(answer.headers()).containsEntry("content-type", "application/problem+json");
                assertThat(json.path("type").asText()).isEqualTo("about:blank");
                assertThat(json.path("title").asText()).isNotBlank();
                assertThat(json.path("status").asInt()).isEqualTo(answer.status());
                assertThat(json.path("detail").asText()).isNotBlank();
            }
            assertThat(answer.body()).doesNotContain("\tat ", "Exception", "eclipse", "java.", "null\"");
        }
        if (requests.valid) {
            assertThat(answers).hasSize(requests.requests).allMatch(answer -> answer.status() == 202);
        }
    }

    private byte[] exchange(long number, FuzzedRequests requests) throws IOException {
        Random pieces = new Random(number);
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
            socket.setTcpNoDelay(true);
            // A hang shows as a timeout.
            socket.setSoTimeout(25_000);
            try {
                int at = 0;
                while (at < requests.wire.length) {
                    int length = pieces.nextInt(4) == 0 ? 1 + pieces.nextInt(500) : requests.wire.length;
                    length = Math.min(length, requests.wire.length - at);
                    socket.getOutputStream().write(requests.wire, at, length);
                    at += length;
                }
                socket.shutdownOutput();
            } catch (IOException e) {
                assertThat(requests.valid).as("valid requests were cut off").isFalse();
                count("cut off while sending");
            }
            byte[] received = new byte[0];
            try {
                InputStream in = socket.getInputStream();
                byte[] buffer = new byte[64 * 1024];
                for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
                    received = FuzzedRequests.concat(received, Arrays.copyOf(buffer, n));
                }
            } catch (java.net.SocketTimeoutException e) {
                throw new AssertionError("hangs after " + new String(received, StandardCharsets.ISO_8859_1), e);
            } catch (IOException e) {
                assertThat(requests.valid).as("valid requests were cut off").isFalse();
                count("reset");
            }
            // Else the client's side of the connection would keep its port for a minute.
            socket.setSoLinger(true, 0);
            return received;
        }
    }

    /** The answers in what was received; one that is cut short only where the connection was reset. */
    private static List<Answer> parse(byte[] received, boolean headSent) throws IOException {
        List<Answer> answers = new ArrayList<>();
        ByteArrayInputStream in = new ByteArrayInputStream(received);
        while (in.available() > 0) {
            String statusLine = line(in);
            assertThat(statusLine)
                    .as(() -> "in " + new String(received, StandardCharsets.ISO_8859_1))
                    .matches("HTTP/1\\.1 \\d{3}( .*)?");
            int status = Integer.parseInt(statusLine.substring(9, 12));
            Map<String, String> headers = new HashMap<>();
            for (String line = line(in); !line.isEmpty(); line = line(in)) {
                int colon = line.indexOf(':');
                headers.put(
                        line.substring(0, colon).toLowerCase(Locale.ROOT),
                        line.substring(colon + 1).strip());
            }
            if (status == 100) {
                continue;
            }
            int length = Integer.parseInt(headers.getOrDefault("content-length", "-1"));
            assertThat(length).as("%s %s", statusLine, headers).isPositive();
            in.mark(0);
            String body = new String(in.readNBytes(length), StandardCharsets.UTF_8);
            if (headSent && (!body.startsWith("{") || !body.endsWith("}"))) {
                in.reset();
                body = null;
            }
            answers.add(new Answer(status, headers, body));
        }
        return answers;
    }

    private static String line(InputStream in) throws IOException {
        StringBuilder line = new StringBuilder();
        for (int c = in.read(); c != '\n'; c = in.read()) {
            if (c < 0) {
                throw new EOFException("an answer ends in its head: " + line);
            }
            line.append((char) c);
        }
        return line.toString().stripTrailing();
    }

    private void count(String what) {
        counts.computeIfAbsent(what, key -> new AtomicLong()).incrementAndGet();
    }

    private void remember(long number, JsonNode json) throws IOException {
        for (JsonNode result : json.has("results") ? json.path("results") : List.of(json)) {
            if (result.path("status").asText().equals("accepted")) {
                synchronized (findings) {
                    accepted.writeLong(number);
                    accepted.writeInt(result.path("partition").asInt(-1));
                    accepted.writeLong(result.path("offset").asLong(-1));
                    accepted.write(
                            HexFormat.of().parseHex(result.path("fingerprint").asText()));
                }
            }
        }
    }

    private void assertAcceptedIsInTheTopic(Path file, TestKafka kafka, Path streams) throws Exception {
        EventReader reader = new EventReader(StreamDefinition.read(streams.resolve("view-events.yaml")));
        Map<String, ConsumerRecord<byte[], byte[]>> records = new HashMap<>();
        for (ConsumerRecord<byte[], byte[]> record : kafka.records(TestEvents.STREAM)) {
            records.put(record.partition() + ":" + record.offset(), record);
        }
        long count = 0;
        try (DataInputStream in = new DataInputStream(new BufferedInputStream(Files.newInputStream(file)))) {
            while (true) {
                long number;
                try {
                    number = in.readLong();
                } catch (EOFException e) {
                    break;
                }
                String position = in.readInt() + ":" + in.readLong();
                byte[] fingerprint = in.readNBytes(32);
                // Removed, because no two answers may name the same place.
                ConsumerRecord<byte[], byte[]> record = records.remove(position);
                assertThat(record).as("case %d at %s", number, position).isNotNull();
                assertThat(record.key()).isEqualTo(fingerprint);
                assertThat(reader.read(record.value()).fingerprint().bytes()).isEqualTo(fingerprint);
                List<byte[]> bodies = new FuzzedRequests(seed, number).plainBodies;
                if (bodies != null) {
                    String event = new String(record.value(), StandardCharsets.ISO_8859_1);
                    assertThat(bodies)
                            .as("case %d has sent %s", number, event)
                            .anyMatch(body -> new String(body, StandardCharsets.ISO_8859_1).contains(event));
                }
                count++;
            }
        }
        System.out.println("FuzzIT found " + count + " accepted events in the topic, and " + records.size()
                + " whose client did not get the answer");
        assertThat(count).isGreaterThan(cases / 10);
    }
}
