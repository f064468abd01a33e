package io.github.eventdedup.ingest;

import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.InvalidStreamDefinitionException;
import io.github.eventdedup.event.StreamDefinition;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The service as a process. Settings come from environment variables; what keeps it from starting is said on standard
 * error, and the exit code is 1. SIGTERM lets requests in flight finish and ends with 0.
 */
public final class HttpIngest implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(HttpIngest.class);

    private final IngestSettings settings;
    private final EventPublisher publisher;
    private final KafkaWatch watch;
    private final IngestServer server;

    private HttpIngest(IngestSettings settings, EventPublisher publisher, KafkaWatch watch, IngestServer server) {
        this.settings = settings;
        this.publisher = publisher;
        this.watch = watch;
        this.server = server;
    }

    /** Runs the service until it is told to stop. */
    public static void main(String[] arguments) {
        if (arguments.length > 0) {
            fail("http-ingest takes no arguments; its settings are environment variables, DEDUP_…");
        }
        try {
            HttpIngest ingest = start(IngestSettings.from(System.getenv()));
            Runtime.getRuntime().addShutdownHook(new Thread(ingest::stopProcess, "drain"));
        } catch (StartupException e) {
            fail("http-ingest cannot start: " + e.getMessage());
        }
    }

    private static void fail(String message) {
        System.err.println(message);
        System.exit(1);
    }

    private void stopProcess() {
        boolean drained = drain();
        // By itself a JVM that was sent SIGTERM ends with 143, which supervisors take for a crash.
        Runtime.getRuntime().halt(drained ? 0 : 1);
    }

    /**
     * Starts the service. Kafka need not be there yet.
     *
     * @throws StartupException with what is wrong and what to do
     */
    static HttpIngest start(IngestSettings settings) throws StartupException {
        Map<String, EventReader> readers = readers(settings.streamsDir());
        EventPublisher publisher = EventPublisher.connect(settings);
        KafkaWatch watch = new KafkaWatch(settings.kafkaBootstrapServers(), readers.keySet(), publisher);
        try {
            IngestServer server = new IngestServer(settings, readers, publisher, watch);
            LOG.info(
                    "Listening on http://{}:{} for the streams {}; Kafka at {}",
                    settings.host(),
                    server.port(),
                    String.join(", ", readers.keySet()),
                    settings.kafkaBootstrapServers());
            return new HttpIngest(settings, publisher, watch, server);
        } catch (StartupException e) {
            watch.close();
            publisher.close();
            throw e;
        }
    }

    private static Map<String, EventReader> readers(Path streamsDir) throws StartupException {
        Map<String, EventReader> readers = new TreeMap<>();
        try {
            for (Path file : streamFiles(streamsDir)) {
                StreamDefinition stream = StreamDefinition.read(file);
                if (readers.put(stream.stream(), new EventReader(stream)) != null) {
                    throw new StartupException(
                            "two files in " + streamsDir + " define the stream '" + stream.stream() + "'; remove one");
                }
            }
        } catch (InvalidStreamDefinitionException e) {
            throw new StartupException(e.getMessage());
        } catch (IOException e) {
            throw new StartupException("cannot read the stream definitions: " + e);
        }
        if (readers.isEmpty()) {
            throw new StartupException("no stream is defined: there is no *.yaml file in " + streamsDir.toAbsolutePath()
                    + "; DEDUP_STREAMS_DIR names the folder");
        }
        return readers;
    }

    private static List<Path> streamFiles(Path streamsDir) throws IOException {
        if (!Files.isDirectory(streamsDir)) {
            return List.of();
        }
        try (Stream<Path> files = Files.list(streamsDir)) {
            return files.filter(file -> file.toString().endsWith(".yaml"))
                    .sorted()
                    .toList();
        }
    }

    /** The port that is listened on. */
    int port() {
        return server.port();
    }

    /** The bytes that could still be put in flight to Kafka. */
    int freeBytes() {
        return publisher.freeBytes();
    }

    private boolean drain() {
        LOG.info(
                "Stopping: requests in flight have {} s to finish",
                settings.drainTimeout().toSeconds());
        boolean drained = server.drain();
        watch.close();
        // Every answer has been given, so nothing is in flight; what was cut off may still reach Kafka.
        publisher.close(settings.deliveryTimeout());
        LOG.info("Stopped");
        return drained;
    }

    @Override
    public void close() {
        drain();
    }
}
