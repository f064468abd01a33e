package io.github.eventdedup.ingest.settings;

import io.github.eventdedup.event.EnvironmentVariables;
import io.github.eventdedup.event.EventReader;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
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
    public record Postgres(String url, String user, Secret password) {}

    private static final String HOST = "DEDUP_HTTP_HOST";
    private static final String PORT = "DEDUP_HTTP_PORT";
    private static final String TLS_CERTIFICATE_FILE = "DEDUP_TLS_CERTIFICATE_FILE";
    private static final String TLS_PRIVATE_KEY_FILE = "DEDUP_TLS_PRIVATE_KEY_FILE";
    private static final String API_KEYS_FILE = "DEDUP_API_KEYS_FILE";
    private static final String ALLOW_UNAUTHENTICATED = "DEDUP_ALLOW_UNAUTHENTICATED";
    private static final String CORS_ORIGINS = "DEDUP_CORS_ORIGINS";
    private static final String ACCESS_LOG = "DEDUP_ACCESS_LOG";
    private static final String KAFKA_BOOTSTRAP_SERVERS = "DEDUP_KAFKA_BOOTSTRAP_SERVERS";
    private static final String STREAMS_DIR = "DEDUP_STREAMS_DIR";
    private static final String MAX_EVENT_BYTES = "DEDUP_MAX_EVENT_BYTES";
    private static final String MAX_BODY_BYTES = "DEDUP_MAX_BODY_BYTES";
    public static final String MAX_BATCH_EVENTS = "DEDUP_MAX_BATCH_EVENTS";
    private static final String MAX_NESTING = "DEDUP_MAX_NESTING";
    public static final String MAX_IN_FLIGHT_BYTES = "DEDUP_MAX_IN_FLIGHT_BYTES";
    private static final String DELIVERY_TIMEOUT = "DEDUP_DELIVERY_TIMEOUT";
    private static final String DRAIN_TIMEOUT = "DEDUP_DRAIN_TIMEOUT";
    private static final String KEEP_ALIVE_TIMEOUT = "DEDUP_KEEP_ALIVE_TIMEOUT";
    private static final String POSTGRES_URL = "DEDUP_POSTGRES_URL";
    private static final String POSTGRES_USER = "DEDUP_POSTGRES_USER";
    private static final String POSTGRES_PASSWORD = "DEDUP_POSTGRES_PASSWORD";
    private static final String POSTGRES_PASSWORD_FILE = "DEDUP_POSTGRES_PASSWORD_FILE";

    private static final Set<String> KEYS = new TreeSet<>(Set.of(
            HOST,
            PORT,
            TLS_CERTIFICATE_FILE,
            TLS_PRIVATE_KEY_FILE,
            API_KEYS_FILE,
            ALLOW_UNAUTHENTICATED,
            CORS_ORIGINS,
            ACCESS_LOG,
            KAFKA_BOOTSTRAP_SERVERS,
            STREAMS_DIR,
            MAX_EVENT_BYTES,
            MAX_BODY_BYTES,
            MAX_BATCH_EVENTS,
            MAX_NESTING,
            MAX_IN_FLIGHT_BYTES,
            DELIVERY_TIMEOUT,
            DRAIN_TIMEOUT,
            KEEP_ALIVE_TIMEOUT,
            POSTGRES_URL,
            POSTGRES_USER,
            POSTGRES_PASSWORD,
            POSTGRES_PASSWORD_FILE));

    private static final Pattern DURATION = Pattern.compile("(\\d{1,9})(ms|s|m)");

    /** A bound below this would refuse for ever an event that is not too large. */
    private static final int LEAST_IN_FLIGHT_BYTES = 2 * EventReader.MAX_EVENT_BYTES;

    /** Twice this is the producer's buffer, and Java counts that heap in ints here and there. */
    private static final int MOST_IN_FLIGHT_BYTES = 512 * 1024 * 1024;

    private static final int MOST_BODY_BYTES = 256 * 1024 * 1024;

    /** The results of a batch are kept until it is answered. */
    private static final int MOST_BATCH_EVENTS = 100_000;

    /**
     * Reads the settings; those that are absent have their defaults.
     *
     * @throws StartupException with every error at once, one a line
     */
    public static IngestSettings from(Map<String, String> variables) throws StartupException {
        Map<String, String> environment = EnvironmentVariables.settings(variables);
        Reading reading = new Reading(environment);
        for (String key : new TreeSet<>(environment.keySet())) {
            if (key.startsWith("DEDUP_") && !KEYS.contains(key)) {
                reading.error(key, "is not known; known are " + String.join(", ", KEYS));
            }
        }
        IngestSettings settings = new IngestSettings(
                reading.host(),
                reading.integer(PORT, 8001, 0, 65535),
                reading.tls(),
                reading.optionalPath(API_KEYS_FILE),
                reading.origins(),
                reading.bool(ACCESS_LOG),
                reading.bootstrapServers(),
                reading.path(STREAMS_DIR, "streams"),
                new Limits(
                        reading.integer(MAX_EVENT_BYTES, EventReader.MAX_EVENT_BYTES, 1, EventReader.MAX_EVENT_BYTES),
                        reading.integer(MAX_BODY_BYTES, 8 * 1024 * 1024, 1, MOST_BODY_BYTES),
                        reading.integer(MAX_BATCH_EVENTS, 10_000, 1, MOST_BATCH_EVENTS),
                        reading.integer(MAX_NESTING, 32, 1, EventReader.MAX_NESTING),
                        reading.integer(
                                MAX_IN_FLIGHT_BYTES, 32 * 1024 * 1024, LEAST_IN_FLIGHT_BYTES, MOST_IN_FLIGHT_BYTES)),
                reading.duration(DELIVERY_TIMEOUT, "5s", Duration.ofSeconds(1), Duration.ofMinutes(2)),
                reading.duration(DRAIN_TIMEOUT, "30s", Duration.ofMillis(100), Duration.ofMinutes(10)),
                // Longer than the 60 s after which common load balancers close a connection themselves.
                reading.duration(KEEP_ALIVE_TIMEOUT, "75s", Duration.ofSeconds(1), Duration.ofHours(1)),
                reading.postgres());
        if (environment.containsKey(MAX_EVENT_BYTES)
                && settings.limits().eventBytes() > settings.limits().bodyBytes()) {
            reading.error(
                    MAX_EVENT_BYTES,
                    "is " + settings.limits().eventBytes() + ", more than the "
                            + settings.limits().bodyBytes() + " of " + MAX_BODY_BYTES
                            + ": such an event could never arrive; raise " + MAX_BODY_BYTES + ", or lower this");
        }
        if (!reading.errors.isEmpty()) {
            throw new StartupException("invalid settings:\n  " + String.join("\n  ", reading.errors));
        }
        return settings;
    }

    /** The environment, and what was found wrong in it so far. A value with an error reads as its default. */
    private record Reading(Map<String, String> environment, List<String> errors) {

        Reading(Map<String, String> environment) {
            this(environment, new ArrayList<>());
        }

        void error(String key, String message) {
            errors.add(key + " " + message);
        }

        String text(String key, String byDefault) {
            String value = environment.getOrDefault(key, byDefault).strip();
            if (value.isEmpty()) {
                error(key, "is empty; leave it out for its default, " + byDefault);
                return byDefault;
            }
            return value;
        }

        /**
         * Whoever reaches the port can write to the streams, so only this machine can unless there are keys, or the
         * operator says otherwise in as many words.
         */
        String host() {
            String host = text(HOST, "127.0.0.1");
            boolean allowed = bool(ALLOW_UNAUTHENTICATED);
            if (allowed && environment.containsKey(API_KEYS_FILE)) {
                error(ALLOW_UNAUTHENTICATED, "and " + API_KEYS_FILE + " are both set; leave one out");
            }
            try {
                if (!InetAddress.getByName(host).isLoopbackAddress()
                        && !allowed
                        && !environment.containsKey(API_KEYS_FILE)) {
                    error(
                            HOST,
                            "is " + host + ", which other machines can reach, and nothing asks them for a key; set "
                                    + API_KEYS_FILE + ", or " + ALLOW_UNAUTHENTICATED + "=true to let anybody post");
                }
            } catch (UnknownHostException e) {
                error(HOST, "is " + host + ", which is no address of this machine and no known name");
            }
            return host;
        }

        Tls tls() {
            Path certificate = optionalPath(TLS_CERTIFICATE_FILE);
            Path privateKey = optionalPath(TLS_PRIVATE_KEY_FILE);
            if ((certificate == null) != (privateKey == null)) {
                error(
                        certificate == null ? TLS_CERTIFICATE_FILE : TLS_PRIVATE_KEY_FILE,
                        "is not set; a certificate and its key go together");
            }
            return certificate == null || privateKey == null ? null : new Tls(certificate, privateKey);
        }

        List<String> origins() {
            if (!environment.containsKey(CORS_ORIGINS)) {
                return List.of();
            }
            List<String> origins = Stream.of(text(CORS_ORIGINS, "none").split(",", -1))
                    .map(String::strip)
                    .toList();
            for (String origin : origins) {
                // As browsers send it: without a path, and in lower case.
                if (!origin.matches("https?://[a-z0-9.-]+(:\\d{1,5})?|https?://\\[[0-9a-f:]+](:\\d{1,5})?")) {
                    error(CORS_ORIGINS, "has '" + origin + "'; write https://host,https://host:port,…");
                }
            }
            return origins;
        }

        /** Receipts are given where there is a database to read them from. */
        Postgres postgres() {
            String value = environment.get(POSTGRES_PASSWORD);
            String file = environment.get(POSTGRES_PASSWORD_FILE);
            if (!environment.containsKey(POSTGRES_URL)) {
                for (String key : List.of(POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_PASSWORD_FILE)) {
                    if (environment.containsKey(key)) {
                        error(key, "is of no use without " + POSTGRES_URL);
                    }
                }
                return null;
            }
            String url = text(POSTGRES_URL, "none");
            if (!url.startsWith("jdbc:postgresql://")) {
                error(POSTGRES_URL, "must be a JDBC URL such as jdbc:postgresql://127.0.0.1:5432/dedup");
            } else if (EnvironmentVariables.holdsPassword(url)) {
                error(
                        POSTGRES_URL,
                        "holds a password; put it into " + POSTGRES_PASSWORD + " or the file that "
                                + POSTGRES_PASSWORD_FILE + " names");
            }
            if ((value == null) == (file == null)) {
                error(
                        POSTGRES_PASSWORD,
                        value == null
                                ? "is not set; set it, or " + POSTGRES_PASSWORD_FILE
                                        + " to the path of a file that holds it"
                                : "and " + POSTGRES_PASSWORD_FILE + " are both set; leave one out");
            }
            Path path = file == null ? null : path(POSTGRES_PASSWORD_FILE, "none");
            return new Postgres(url, text(POSTGRES_USER, "dedup"), new Secret(value, path));
        }

        String bootstrapServers() {
            String servers = text(KAFKA_BOOTSTRAP_SERVERS, "127.0.0.1:9092");
            for (String server : servers.split(",", -1)) {
                if (!server.strip().matches("[^\\s:/]+:\\d{1,5}|\\[[0-9a-fA-F:]+]:\\d{1,5}")) {
                    error(KAFKA_BOOTSTRAP_SERVERS, "has '" + server + "'; write host:port,host:port,…");
                }
            }
            return servers;
        }

        boolean bool(String key) {
            String value = text(key, "false");
            if (!value.equals("true") && !value.equals("false")) {
                error(key, "is '" + value + "'; write true or false");
            }
            return value.equals("true");
        }

        int integer(String key, int byDefault, int least, int most) {
            String value = text(key, Integer.toString(byDefault));
            try {
                int number = Integer.parseInt(value);
                if (number >= least && number <= most) {
                    return number;
                }
            } catch (NumberFormatException e) {
                // Said below, as for a number out of bounds.
            }
            error(key, "is '" + value + "'; write a number from " + least + " to " + most);
            return byDefault;
        }

        Path optionalPath(String key) {
            return environment.containsKey(key) ? path(key, "none") : null;
        }

        Path path(String key, String byDefault) {
            String value = text(key, byDefault);
            try {
                return Path.of(value);
            } catch (InvalidPathException e) {
                error(key, "is '" + value + "', which is no path");
                return Path.of(byDefault);
            }
        }

        Duration duration(String key, String byDefault, Duration least, Duration most) {
            String value = text(key, byDefault);
            Matcher matcher = DURATION.matcher(value);
            if (matcher.matches()) {
                long number = Long.parseLong(matcher.group(1));
                Duration duration = switch (matcher.group(2)) {
                    case "ms" -> Duration.ofMillis(number);
                    case "s" -> Duration.ofSeconds(number);
                    default -> Duration.ofMinutes(number);
                };
                if (duration.compareTo(least) >= 0 && duration.compareTo(most) <= 0) {
                    return duration;
                }
            }
            error(
                    key,
                    "is '" + value + "'; write a time such as 500ms, 5s or 1m, from " + least.toMillis() + "ms to "
                            + most.toSeconds() + "s");
            return least;
        }
    }
}
