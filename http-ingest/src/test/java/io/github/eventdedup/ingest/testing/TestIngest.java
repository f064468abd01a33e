package io.github.eventdedup.ingest.testing;

import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.ingest.HttpIngest;
import io.github.eventdedup.ingest.settings.IngestSettings;
import java.io.IOException;
import java.net.ConnectException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.awaitility.Awaitility;
import org.awaitility.core.ConditionFactory;

/** A service in the JVM of the test, with a broker of its own, that takes view events. */
public final class TestIngest implements AutoCloseable {

    private static final Path JAR = Path.of("target", "http-ingest.jar");

    /** What takes a moment takes a while on a busy machine. */
    private static final Duration PATIENCE = Duration.ofMinutes(1);

    public final TestKafka kafka;
    public final HttpIngest ingest;

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
    public static TestIngest start(Path directory, Map<String, String> settings) throws Exception {
        TestKafka kafka = new TestKafka(directory.resolve("kafka"));
        try {
            kafka.start();
            kafka.createTopic(TestEvents.STREAM, Map.of());
            HttpIngest ingest =
                    HttpIngest.start(settings(kafka.bootstrapServers(), TestEvents.streams(directory), settings));
            awaitReady(ingest.port());
            return new TestIngest(kafka, ingest);
        } catch (Throwable failure) {
            kafka.close();
            throw failure;
        }
    }

    /**
     * For a service in the JVM of the test.
     *
     * @param kafka the broker's address
     * @param more beside those that every test needs, or in their place
     */
    public static IngestSettings settings(String kafka, Path streams, Map<String, String> more)
            throws ConfigurationException {
        Map<String, String> settings = environment(kafka, 0, streams);
        settings.put("DEDUP_DRAIN_TIMEOUT", "1s");
        settings.putAll(more);
        return IngestSettings.from(settings);
    }

    private static Map<String, String> environment(String kafka, int port, Path streams) {
        return new HashMap<>(Map.of(
                "DEDUP_HTTP_PORT",
                Integer.toString(port),
                "DEDUP_KAFKA_BOOTSTRAP_SERVERS",
                kafka,
                "DEDUP_STREAMS_DIR",
                streams.toString(),
                // A broker on a busy machine may take longer than the few seconds of real clients.
                "DEDUP_DELIVERY_TIMEOUT",
                "60s"));
    }

    /** The jar as a process of its own, which is to be started. */
    public static ProcessBuilder process(
            TestKafka kafka, int port, Path streams, Path temporary, Map<String, String> settings, String... jvmFlags)
            throws IOException {
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        String tmpdir = "-Djava.io.tmpdir=" + Files.createDirectories(temporary);
        ProcessBuilder builder = new ProcessBuilder(Stream.of(
                        List.of(java, "-XX:TieredStopAtLevel=1"),
                        List.of(jvmFlags),
                        List.of(tmpdir, "-jar", JAR.toString()))
                .flatMap(List::stream)
                .toList());
        builder.environment().keySet().removeIf(key -> key.startsWith("DEDUP_"));
        builder.environment().remove("JAVA_TOOL_OPTIONS"); // The JVM would tell of it where the ingest's errors go.
        builder.environment().putAll(environment(kafka.bootstrapServers(), port, streams));
        builder.environment().putAll(settings);
        return builder;
    }

    /** What every test waits with. */
    public static ConditionFactory await() {
        return Awaitility.await().atMost(PATIENCE);
    }

    /** Refused connections count as not ready yet: a process takes a while until it listens. */
    public static void awaitReady(int port) {
        await().ignoreException(ConnectException.class)
                .until(() -> RawClient.get(port, "/health/ready").status() == 200);
    }

    public int port() {
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
