package io.github.eventdedup.ingest;

import io.github.eventdedup.config.Arguments;
import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.config.ManifestVersion;
import io.github.eventdedup.config.Termination;
import io.github.eventdedup.event.Column;
import io.github.eventdedup.event.EventReader;
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
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.eclipse.jetty.util.ssl.SslContextFactory;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.Command;

/**
 * The service as a process. Settings come from environment variables; what keeps it from starting is said on standard
 * error, and the exit code is 1. SIGTERM lets requests in flight finish and ends with 0.
 */
public final class HttpIngest implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(HttpIngest.class);

    @Command(
            name = "http-ingest",
            mixinStandardHelpOptions = true,
            versionProvider = ManifestVersion.class,
            description = "Accepts events over HTTP, and answers once Kafka has them on disk.")
    private static final class Options {}

    private final IngestSettings settings;
    private final EventPublisher publisher;
    private final IngestHandler events;
    private final IngestServer server;
    /** Lets go of everything that was begun, what was begun last first. */
    private final Deque<Runnable> closers = new ArrayDeque<>();

    private HttpIngest(IngestSettings settings) throws ConfigurationException {
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
        } catch (ConfigurationException e) {
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
        Optional<String> help = Arguments.help(new Options(), List.of(arguments), IngestSettings.SETTINGS);
        if (help.isPresent()) {
            System.out.print(help.get());
            return;
        }
        Arguments.parse(new Options(), List.of(arguments))
                .ifPresent(problem ->
                        fail("http-ingest takes no arguments; its settings are environment variables, DEDUP_… ("
                                + problem + ")"));
        try {
            HttpIngest ingest = start(IngestSettings.from(System.getenv()));
            Termination.onSignal(() -> {
                Thread drain = new Thread(() -> System.exit(ingest.drain() ? 0 : 1), "drain");
                // Else the process would end by itself as soon as the web server's threads have.
                drain.setDaemon(false);
                drain.start();
            });
        } catch (ConfigurationException e) {
            fail("http-ingest cannot start: " + e.getMessage());
        }
    }

    private static void fail(String message) {
        System.err.println(message);
        System.exit(1);
    }

    /**
     * Starts the service. Neither Kafka nor Postgres need be there yet.
     *
     * @throws ConfigurationException with what is wrong and what to do
     */
    public static HttpIngest start(IngestSettings settings) throws ConfigurationException {
        return new HttpIngest(settings);
    }

    private static Map<String, StreamDefinition> streams(Path streamsDir) throws ConfigurationException {
        Map<String, StreamDefinition> streams = new TreeMap<>();
        try {
            if (Files.isDirectory(streamsDir)) {
                StreamDirectory read = StreamDirectory.read(streamsDir);
                read.warnings().forEach(LOG::warn);
                read.streams().values().forEach(stream -> streams.put(stream.stream(), stream));
            }
        } catch (IOException e) {
            throw new ConfigurationException("cannot read the stream definitions: " + e);
        }
        if (streams.isEmpty()) {
            throw new ConfigurationException("no stream is defined: there is no *.yaml file in "
                    + streamsDir.toAbsolutePath() + "; DEDUP_STREAMS_DIR names the folder");
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
