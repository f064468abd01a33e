package io.github.eventdedup.ingest;

import io.github.eventdedup.event.Column;
import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.InvalidStreamDefinitionException;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.event.StreamDirectory;
import io.github.eventdedup.ingest.access.ApiKeys;
import io.github.eventdedup.ingest.access.FileWatch;
import io.github.eventdedup.ingest.events.EventPublisher;
import io.github.eventdedup.ingest.events.EventsRequest;
import io.github.eventdedup.ingest.events.IngestHandler;
import io.github.eventdedup.ingest.events.KafkaReadiness;
import io.github.eventdedup.ingest.http.IngestServer;
import io.github.eventdedup.ingest.http.TlsCertificate;
import io.github.eventdedup.ingest.lookup.DeadLetters;
import io.github.eventdedup.ingest.lookup.Receipts;
import io.github.eventdedup.ingest.metrics.IngestMetrics;
import io.github.eventdedup.ingest.response.ResponseWriter;
import io.github.eventdedup.ingest.settings.IngestSettings;
import io.github.eventdedup.ingest.settings.IngestSettings.Limits;
import io.github.eventdedup.ingest.settings.StartupException;
import java.io.IOException;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.eclipse.jetty.util.ssl.SslContextFactory;
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
    private final IngestHandler events;
    private final IngestServer server;
    /** Lets go of everything that was begun, what was begun last first. */
    private final Deque<Runnable> closers = new ArrayDeque<>();

    private HttpIngest(IngestSettings settings) throws StartupException {
        this.settings = settings;
        Map<String, StreamDefinition> streams = streams(settings.streamsDir());
        try {
            FileWatch files = new FileWatch();
            closers.push(files::close);
            ApiKeys apiKeys = settings.apiKeysFile() == null
                    ? null
                    : ApiKeys.load(settings.apiKeysFile(), streams.keySet(), files);
            SslContextFactory.Server tls = settings.tls() == null ? null : TlsCertificate.load(settings.tls(), files);
            warnAboutLimits(settings.limits());
            warnAboutDots(streams);
            publisher = EventPublisher.connect(settings);
            closers.push(publisher::close);
            DeadLetters deadLetters = DeadLetters.read(streams, settings.kafkaBootstrapServers());
            closers.push(deadLetters::close);
            Receipts receipts = Receipts.connect(streams, settings.postgres(), deadLetters);
            closers.push(receipts::close);
            IngestMetrics metrics = new IngestMetrics(publisher.producers());
            closers.push(metrics::close);
            KafkaReadiness watch = new KafkaReadiness(settings.kafkaBootstrapServers(), streams.keySet(), publisher);
            closers.push(watch::close);

            ResponseWriter answers = new ResponseWriter();
            events = new IngestHandler(posted(streams, metrics), settings.limits(), answers, apiKeys);
            int bound = settings.limits().inFlightBytes();
            metrics.inFlight("kafka", bound, publisher::freeBytes);
            metrics.inFlight("arriving", bound, events::freeBytes);
            server = new IngestServer(settings, events, answers, watch, metrics, receipts, apiKeys, tls);
            LOG.info(
                    "Listening on {}://{}:{} for the streams {}; Kafka at {}",
                    tls == null ? "http" : "https",
                    settings.host(),
                    server.port(),
                    String.join(", ", streams.keySet()),
                    settings.kafkaBootstrapServers());
        } catch (StartupException e) {
            closers.forEach(Runnable::run);
            throw e;
        }
    }

    private Map<String, EventsRequest.Stream> posted(Map<String, StreamDefinition> streams, IngestMetrics metrics) {
        Limits limits = settings.limits();
        Map<String, EventsRequest.Stream> posted = new TreeMap<>();
        streams.forEach((name, stream) -> {
            EventReader reader = new EventReader(stream, limits.eventBytes(), limits.nesting());
            posted.put(name, new EventsRequest.Stream(name, reader, publisher, metrics.ofStream(name)));
        });
        return posted;
    }

    private static void warnAboutLimits(Limits limits) {
        long bytes = (long) limits.batchEvents() * EventsRequest.RESULT_BYTES;
        if (bytes > limits.inFlightBytes()) {
            LOG.warn(
                    "{} = {} is too small for batches of {} = {} events, which need at least {}: larger ones are answered"
                            + " with 413",
                    IngestSettings.MAX_IN_FLIGHT_BYTES,
                    limits.inFlightBytes(),
                    IngestSettings.MAX_BATCH_EVENTS,
                    limits.batchEvents(),
                    bytes);
        }
    }

    private static void warnAboutDots(Map<String, StreamDefinition> streams) {
        for (StreamDefinition stream : streams.values()) {
            List<String> dotted = Stream.concat(
                            stream.fingerprint().stream(),
                            stream.table().columns().stream().map(Column::field))
                    .filter(field -> field.indexOf('.') >= 0)
                    .distinct()
                    .toList();
            if (!dotted.isEmpty()) {
                LOG.warn(
                        "The stream {} names the fields {}: each is read as the literal name of a field of the event"
                                + " itself; fields of nested objects cannot be used",
                        stream.stream(),
                        String.join(", ", dotted));
            }
        }
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
     * Starts the service. Neither Kafka nor Postgres need be there yet.
     *
     * @throws StartupException with what is wrong and what to do
     */
    public static HttpIngest start(IngestSettings settings) throws StartupException {
        return new HttpIngest(settings);
    }

    private static Map<String, StreamDefinition> streams(Path streamsDir) throws StartupException {
        Map<String, StreamDefinition> streams = new TreeMap<>();
        try {
            if (Files.isDirectory(streamsDir)) {
                StreamDirectory read = StreamDirectory.read(streamsDir);
                read.warnings().forEach(LOG::warn);
                read.streams().values().forEach(stream -> streams.put(stream.stream(), stream));
            }
        } catch (InvalidStreamDefinitionException e) {
            throw new StartupException(e.getMessage());
        } catch (IOException e) {
            throw new StartupException("cannot read the stream definitions: " + e);
        }
        if (streams.isEmpty()) {
            throw new StartupException("no stream is defined: there is no *.yaml file in " + streamsDir.toAbsolutePath()
                    + "; DEDUP_STREAMS_DIR names the folder");
        }
        return streams;
    }

    /** The port that is listened on. */
    public int port() {
        return server.port();
    }

    /** What is served, each as method and path. */
    Set<String> routes() {
        return server.routes();
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
        // Every answer has been given, so nothing is in flight; what was cut off may still reach Kafka.
        closers.forEach(Runnable::run);
        LOG.info("Stopped");
        return drained;
    }

    @Override
    public void close() {
        drain();
    }
}
