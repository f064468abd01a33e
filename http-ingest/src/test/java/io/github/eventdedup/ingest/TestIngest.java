package io.github.eventdedup.ingest;

import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.net.ConnectException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** A service in the JVM of the test, with a broker of its own, that takes view events. */
final class TestIngest implements AutoCloseable {

    private static final Path JAR = Path.of("target", "http-ingest.jar");
    private static final Duration MAY_START_FOR = Duration.ofSeconds(30);

    final TestKafka kafka;
    final HttpIngest ingest;

    private TestIngest(TestKafka kafka, HttpIngest ingest) {
        this.kafka = kafka;
        this.ingest = ingest;
    }

    /**
     * Returns when events are taken.
     *
     * @param directory an empty one
     * @param settings beside those that every test needs
     */
    static TestIngest start(Path directory, Map<String, String> settings) throws Exception {
        TestKafka kafka = new TestKafka(directory.resolve("kafka"));
        try {
            kafka.start();
            kafka.createTopic(TestEvents.STREAM, Map.of());
            Map<String, String> all = new HashMap<>(settings(kafka, 0, TestEvents.streams(directory)));
            all.put("DEDUP_DRAIN_TIMEOUT", "1s");
            all.putAll(settings);
            HttpIngest ingest = HttpIngest.start(IngestSettings.from(all));
            awaitReady(ingest.port());
            return new TestIngest(kafka, ingest);
        } catch (Throwable failure) {
            kafka.close();
            throw failure;
        }
    }

    private static Map<String, String> settings(TestKafka kafka, int port, Path streams) {
        return Map.of(
                "DEDUP_HTTP_PORT", Integer.toString(port),
                "DEDUP_KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrapServers(),
                "DEDUP_STREAMS_DIR", streams.toString());
    }

    /** The jar as a process of its own, which is to be started. */
    static ProcessBuilder process(
            TestKafka kafka, int port, Path streams, Path temporary, Map<String, String> settings, String... jvmFlags)
            throws IOException {
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        String tmpdir = "-Djava.io.tmpdir=" + Files.createDirectories(temporary);
        ProcessBuilder builder =
                new ProcessBuilder(Stream.of(List.of(java), List.of(jvmFlags), List.of(tmpdir, "-jar", JAR.toString()))
                        .flatMap(List::stream)
                        .toList());
        builder.environment().keySet().removeIf(key -> key.startsWith("DEDUP_"));
        builder.environment().putAll(settings(kafka, port, streams));
        builder.environment().putAll(settings);
        return builder;
    }

    /** Refused connections count as not ready yet: a process takes a while until it listens. */
    static void awaitReady(int port) {
        await().atMost(MAY_START_FOR)
                .ignoreException(ConnectException.class)
                .until(() -> RawClient.get(port, "/health/ready").status() == 200);
    }

    int port() {
        return ingest.port();
    }

    @Override
    public void close() {
        try {
            ingest.close();
        } finally {
            kafka.close();
        }
    }
}
