package io.github.eventdedup.ingest;

import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.InvalidStreamDefinitionException;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.ingest.IngestSettings.Limits;
import java.io.IOException;
import java.lang.reflect.Proxy;
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
    private final EventsHandler events;
    private final KafkaWatch watch;
    private final IngestServer server;

    private HttpIngest(
            IngestSettings settings,
            EventPublisher publisher,
            EventsHandler events,
            KafkaWatch watch,
            IngestServer server) {
        this.settings = settings;
        this.publisher = publisher;
        this.events = events;
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
            ingest.stopOn("TERM");
            ingest.stopOn("INT");
        } catch (StartupException e) {
            fail("http-ingest cannot start: " + e.getMessage());
        }
    }

    private static void fail(String message) {
        System.err.println(message);
        System.exit(1);
    }

    /**
     * Drains and ends the process when it gets the signal.
     *
     * <p>Not a shutdown hook: after SIGTERM a JVM ends with 143, which supervisors take for a crash, and a hook could
     * change that only by halting, which leaves behind what libraries have unpacked in the temporary folder. JEP 260
     * keeps {@code sun.misc.Signal} open for want of another way; called by name, because the compiler's warning about
     * it cannot be suppressed.
     */
    private void stopOn(String name) {
        try {
            Class<?> signal = Class.forName("sun.misc.Signal");
            Class<?> handler = Class.forName("sun.misc.SignalHandler");
            Object stop = Proxy.newProxyInstance(
                    HttpIngest.class.getClassLoader(), new Class<?>[] {handler}, (proxy, method, arguments) -> {
                        Thread drain = new Thread(() -> System.exit(drain() ? 0 : 1), "drain");
                        // Else the process would end by itself as soon as the web server's threads have.
                        drain.setDaemon(false);
                        drain.start();
                        return null;
                    });
            signal.getMethod("handle", signal, handler)
                    .invoke(null, signal.getConstructor(String.class).newInstance(name), stop);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("this Java cannot handle the signal " + name, e);
        }
    }

    /**
     * Starts the service. Kafka need not be there yet.
     *
     * @throws StartupException with what is wrong and what to do
     */
    static HttpIngest start(IngestSettings settings) throws StartupException {
        Map<String, EventReader> readers = readers(settings);
        EventPublisher publisher = EventPublisher.connect(settings);
        KafkaWatch watch = new KafkaWatch(settings.kafkaBootstrapServers(), readers.keySet(), publisher);
        try {
            Map<String, EventsRequest.Stream> streams = new TreeMap<>();
            readers.forEach((name, reader) -> streams.put(name, new EventsRequest.Stream(name, reader, publisher)));
            Answers answers = new Answers();
            EventsHandler events = new EventsHandler(streams, settings.limits(), answers);
            IngestServer server = new IngestServer(settings, events, answers, watch);
            LOG.info(
                    "Listening on http://{}:{} for the streams {}; Kafka at {}",
                    settings.host(),
                    server.port(),
                    String.join(", ", readers.keySet()),
                    settings.kafkaBootstrapServers());
            return new HttpIngest(settings, publisher, events, watch, server);
        } catch (StartupException e) {
            watch.close();
            publisher.close();
            throw e;
        }
    }

    private static Map<String, EventReader> readers(IngestSettings settings) throws StartupException {
        Path streamsDir = settings.streamsDir();
        Limits limits = settings.limits();
        Map<String, EventReader> readers = new TreeMap<>();
        try {
            for (Path file : streamFiles(streamsDir)) {
                StreamDefinition stream = StreamDefinition.read(file);
                if (readers.put(stream.stream(), new EventReader(stream, limits.eventBytes(), limits.nesting()))
                        != null) {
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

    /** The bytes that could still arrive. */
    int freeArrivingBytes() {
        return events.freeBytes();
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
