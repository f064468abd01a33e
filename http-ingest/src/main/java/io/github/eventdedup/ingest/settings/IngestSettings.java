package io.github.eventdedup.ingest.settings;

import io.github.eventdedup.config.BootstrapServers;
import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.config.Environment;
import io.github.eventdedup.config.PostgresUrl;
import io.github.eventdedup.config.Secret;
import io.github.eventdedup.event.EventReader;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Everything that can be set, read from environment variables in {@link #from}.
 *
 * @param host the address to listen on
 * @param port the port to listen on; 0 takes any free one
 * @param tls the certificate to speak HTTPS with, or null for HTTP
 * @param apiKeysFile who may use the service, or null where nobody is asked
 * @param corsOrigins the origins whose pages may post from a browser, {@code https://host}; empty for none
 * @param accessLog whether to log a line for each request
 * @param kafkaBootstrapServers brokers to start from, {@code host:port,…}
 * @param streamsDir the folder with one YAML file per stream
 * @param limits how much is taken
 * @param deliveryTimeout how long Kafka may take to acknowledge an event, before it is refused with 503
 * @param drainTimeout how long a stopping service lets requests in flight finish
 * @param keepAliveTimeout how long a connection may rest between two requests
 * @param postgres where receipts are read, or null where there are none
 */
public record IngestSettings(
        String host,
        int port,
        Tls tls,
        Path apiKeysFile,
        List<String> corsOrigins,
        boolean accessLog,
        String kafkaBootstrapServers,
        Path streamsDir,
        Limits limits,
        Duration deliveryTimeout,
        Duration drainTimeout,
        Duration keepAliveTimeout,
        Postgres postgres) {

    /**
     * PEM files. Both are read again when they change.
     *
     * @param certificate the certificate, followed by the intermediate ones
     * @param privateKey its key, PKCS #8 without a passphrase
     */
    public record Tls(Path certificate, Path privateKey) {}

    /**
     * How much is taken; what is beyond is refused.
     *
     * @param eventBytes an event, as JSON
     * @param bodyBytes the body of a request, compressed or not and also after it was expanded
     * @param batchEvents the events of a request
     * @param nesting the levels of objects and arrays in an event
     * @param inFlightBytes what may wait for Kafka's acknowledgement
     */
    public record Limits(int eventBytes, int bodyBytes, int batchEvents, int nesting, int inFlightBytes) {}

    /**
     * The database that unique events are stored in.
     *
     * @param url the JDBC URL, without user and password
     * @param user the role to log in as
     * @param password its password
     */
    public record Postgres(String url, String user, Secret password) {

        /** Refuses a URL that cannot be used. */
        public Postgres {
            PostgresUrl.check(url);
        }
    }

    private static final String HOST = "DEDUP_HTTP_HOST";
    private static final String PORT = "DEDUP_HTTP_PORT";
    private static final String TLS_CERTIFICATE_FILE = "DEDUP_TLS_CERTIFICATE_FILE";
    private static final String TLS_PRIVATE_KEY_FILE = "DEDUP_TLS_PRIVATE_KEY_FILE";
    private static final String API_KEYS_FILE = "DEDUP_API_KEYS_FILE";
    private static final String ALLOW_UNAUTHENTICATED = "DEDUP_ALLOW_UNAUTHENTICATED";
    private static final String CORS_ORIGINS = "DEDUP_CORS_ORIGINS";
    private static final String ACCESS_LOG = "DEDUP_ACCESS_LOG";
    private static final String MAX_EVENT_BYTES = "DEDUP_MAX_EVENT_BYTES";
    private static final String MAX_BODY_BYTES = "DEDUP_MAX_BODY_BYTES";
    public static final String MAX_BATCH_EVENTS = "DEDUP_MAX_BATCH_EVENTS";
    private static final String MAX_NESTING = "DEDUP_MAX_NESTING";
    public static final String MAX_IN_FLIGHT_BYTES = "DEDUP_MAX_IN_FLIGHT_BYTES";
    private static final String DELIVERY_TIMEOUT = "DEDUP_DELIVERY_TIMEOUT";
    private static final String DRAIN_TIMEOUT = "DEDUP_DRAIN_TIMEOUT";
    private static final String KEEP_ALIVE_TIMEOUT = "DEDUP_KEEP_ALIVE_TIMEOUT";

    /** The environment variables that are read. */
    public static final List<String> SETTINGS = Stream.of(
                    List.of(
                            HOST,
                            PORT,
                            TLS_CERTIFICATE_FILE,
                            TLS_PRIVATE_KEY_FILE,
                            API_KEYS_FILE,
                            ALLOW_UNAUTHENTICATED,
                            CORS_ORIGINS,
                            ACCESS_LOG,
                            Environment.KAFKA_BOOTSTRAP_SERVERS,
                            Environment.STREAMS_DIR,
                            MAX_EVENT_BYTES,
                            MAX_BODY_BYTES,
                            MAX_BATCH_EVENTS,
                            MAX_NESTING,
                            MAX_IN_FLIGHT_BYTES,
                            DELIVERY_TIMEOUT,
                            DRAIN_TIMEOUT,
                            KEEP_ALIVE_TIMEOUT),
                    Environment.POSTGRES)
            .flatMap(List::stream)
            .toList();

    /** A bound below this would refuse for ever an event that is not too large. */
    private static final int LEAST_IN_FLIGHT_BYTES = 2 * EventReader.MAX_EVENT_BYTES;

    /** Twice this is the producer's buffer, and Java counts that heap in ints here and there. */
    private static final int MOST_IN_FLIGHT_BYTES = 512 * 1024 * 1024;

    private static final int MOST_BODY_BYTES = 256 * 1024 * 1024;

    /** The results of a batch are kept until it is answered. */
    private static final int MOST_BATCH_EVENTS = 100_000;

    /** Refuses brokers that cannot be used. */
    public IngestSettings {
        BootstrapServers.check(kafkaBootstrapServers);
    }

    /**
     * Reads the settings; those that are absent have their defaults.
     *
     * @throws ConfigurationException with every error at once, one a line
     */
    public static IngestSettings from(Map<String, String> variables) throws ConfigurationException {
        Environment environment = new Environment(variables, SETTINGS);
        Reading reading = new Reading(environment);
        IngestSettings settings = new IngestSettings(
                reading.host(),
                environment.integer(PORT, 8001, 0, 65535),
                reading.tls(),
                environment.optionalPath(API_KEYS_FILE),
                reading.origins(),
                environment.flag(ACCESS_LOG),
                environment.bootstrapServers(),
                environment.path(Environment.STREAMS_DIR, "streams"),
                new Limits(
                        environment.integer(
                                MAX_EVENT_BYTES, EventReader.MAX_EVENT_BYTES, 1, EventReader.MAX_EVENT_BYTES),
                        environment.integer(MAX_BODY_BYTES, 8 * 1024 * 1024, 1, MOST_BODY_BYTES),
                        environment.integer(MAX_BATCH_EVENTS, 10_000, 1, MOST_BATCH_EVENTS),
                        environment.integer(MAX_NESTING, 32, 1, EventReader.MAX_NESTING),
                        environment.integer(
                                MAX_IN_FLIGHT_BYTES, 32 * 1024 * 1024, LEAST_IN_FLIGHT_BYTES, MOST_IN_FLIGHT_BYTES)),
                environment.duration(DELIVERY_TIMEOUT, "5s", Duration.ofSeconds(1), Duration.ofMinutes(2)),
                environment.duration(DRAIN_TIMEOUT, "30s", Duration.ofMillis(100), Duration.ofMinutes(10)),
                // Longer than the 60 s after which common load balancers close a connection themselves.
                environment.duration(KEEP_ALIVE_TIMEOUT, "75s", Duration.ofSeconds(1), Duration.ofHours(1)),
                reading.postgres());
        if (environment.has(MAX_EVENT_BYTES)
                && settings.limits().eventBytes() > settings.limits().bodyBytes()) {
            environment.error(
                    MAX_EVENT_BYTES,
                    "is " + settings.limits().eventBytes() + ", more than the "
                            + settings.limits().bodyBytes() + " of " + MAX_BODY_BYTES
                            + ": such an event could never arrive; raise " + MAX_BODY_BYTES + ", or lower this");
        }
        environment.refuseErrors();
        return settings;
    }

    /** The settings that depend on others. */
    private record Reading(Environment environment) {

        /**
         * Whoever reaches the port can write to the streams, so only this machine can unless there are keys, or the
         * operator says otherwise in as many words.
         */
        String host() {
            String host = environment.text(HOST, "127.0.0.1");
            boolean allowed = environment.flag(ALLOW_UNAUTHENTICATED);
            if (allowed && environment.has(API_KEYS_FILE)) {
                environment.error(ALLOW_UNAUTHENTICATED, "and " + API_KEYS_FILE + " are both set; leave one out");
            }
            try {
                if (!InetAddress.getByName(host).isLoopbackAddress() && !allowed && !environment.has(API_KEYS_FILE)) {
                    environment.error(
                            HOST,
                            "is " + host + ", which other machines can reach, and nothing asks them for a key; set "
                                    + API_KEYS_FILE + ", or " + ALLOW_UNAUTHENTICATED + "=true to let anybody post");
                }
            } catch (UnknownHostException e) {
                environment.error(HOST, "is " + host + ", which is no address of this machine and no known name");
            }
            return host;
        }

        Tls tls() {
            Path certificate = environment.optionalPath(TLS_CERTIFICATE_FILE);
            Path privateKey = environment.optionalPath(TLS_PRIVATE_KEY_FILE);
            if ((certificate == null) != (privateKey == null)) {
                environment.error(
                        certificate == null ? TLS_CERTIFICATE_FILE : TLS_PRIVATE_KEY_FILE,
                        "is not set; a certificate and its key go together");
            }
            return certificate == null || privateKey == null ? null : new Tls(certificate, privateKey);
        }

        List<String> origins() {
            if (!environment.has(CORS_ORIGINS)) {
                return List.of();
            }
            List<String> origins = Stream.of(
                            environment.text(CORS_ORIGINS, "none").split(",", -1))
                    .map(String::strip)
                    .toList();
            for (String origin : origins) {
                // As browsers send it: without a path, and in lower case.
                if (!origin.matches("https?://[a-z0-9.-]+(:\\d{1,5})?|https?://\\[[0-9a-f:]+](:\\d{1,5})?")) {
                    environment.error(CORS_ORIGINS, "has '" + origin + "'; write https://host,https://host:port,…");
                }
            }
            return origins;
        }

        /** Receipts are given where there is a database to read them from. */
        Postgres postgres() {
            if (!environment.has(Environment.POSTGRES_URL)) {
                for (String key : Environment.POSTGRES) {
                    if (environment.has(key)) {
                        environment.error(key, "is of no use without " + Environment.POSTGRES_URL);
                    }
                }
                return null;
            }
            return new Postgres(
                    environment.postgresUrl(),
                    environment.text(Environment.POSTGRES_USER, "dedup"),
                    environment.secret(Environment.POSTGRES_PASSWORD));
        }
    }
}
