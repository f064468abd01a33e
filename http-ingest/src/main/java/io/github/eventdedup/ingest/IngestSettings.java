package io.github.eventdedup.ingest;

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

/**
 * Everything that can be set, read from environment variables in {@link #from}.
 *
 * @param host the address to listen on
 * @param port the port to listen on; 0 takes any free one
 * @param kafkaBootstrapServers brokers to start from, {@code host:port,…}
 * @param streamsDir the folder with one YAML file per stream
 * @param maxInFlightBytes how much may wait for Kafka's acknowledgement, before new events are refused with 503
 * @param deliveryTimeout how long Kafka may take to acknowledge an event, before it is refused with 503
 * @param drainTimeout how long a stopping service lets requests in flight finish
 */
record IngestSettings(
        String host,
        int port,
        String kafkaBootstrapServers,
        Path streamsDir,
        int maxInFlightBytes,
        Duration deliveryTimeout,
        Duration drainTimeout) {

    private static final String HOST = "DEDUP_HTTP_HOST";
    private static final String PORT = "DEDUP_HTTP_PORT";
    private static final String KAFKA_BOOTSTRAP_SERVERS = "DEDUP_KAFKA_BOOTSTRAP_SERVERS";
    private static final String STREAMS_DIR = "DEDUP_STREAMS_DIR";
    private static final String MAX_IN_FLIGHT_BYTES = "DEDUP_MAX_IN_FLIGHT_BYTES";
    private static final String DELIVERY_TIMEOUT = "DEDUP_DELIVERY_TIMEOUT";
    private static final String DRAIN_TIMEOUT = "DEDUP_DRAIN_TIMEOUT";
    private static final String ALLOW_UNAUTHENTICATED = "DEDUP_ALLOW_UNAUTHENTICATED";

    private static final Set<String> KEYS = new TreeSet<>(Set.of(
            HOST,
            PORT,
            KAFKA_BOOTSTRAP_SERVERS,
            STREAMS_DIR,
            MAX_IN_FLIGHT_BYTES,
            DELIVERY_TIMEOUT,
            DRAIN_TIMEOUT,
            ALLOW_UNAUTHENTICATED));

    private static final Pattern DURATION = Pattern.compile("(\\d{1,9})(ms|s|m)");

    /** A bound below this would refuse for ever an event that is not too large. */
    private static final int LEAST_IN_FLIGHT_BYTES = 2 * EventReader.MAX_EVENT_BYTES;

    /** Twice this is the producer's buffer, and Java counts that heap in ints here and there. */
    private static final int MOST_IN_FLIGHT_BYTES = 512 * 1024 * 1024;

    /**
     * Reads the settings; those that are absent have their defaults.
     *
     * @throws StartupException with every error at once, one a line
     */
    static IngestSettings from(Map<String, String> environment) throws StartupException {
        Reading reading = new Reading(environment);
        for (String key : new TreeSet<>(environment.keySet())) {
            if (key.startsWith("DEDUP_") && !KEYS.contains(key)) {
                reading.error(key, "is not known; known are " + String.join(", ", KEYS));
            }
        }
        IngestSettings settings = new IngestSettings(
                reading.host(),
                reading.integer(PORT, 8001, 0, 65535),
                reading.bootstrapServers(),
                reading.path(STREAMS_DIR, "streams"),
                reading.integer(MAX_IN_FLIGHT_BYTES, 32 * 1024 * 1024, LEAST_IN_FLIGHT_BYTES, MOST_IN_FLIGHT_BYTES),
                reading.duration(DELIVERY_TIMEOUT, "5s", Duration.ofSeconds(1), Duration.ofMinutes(2)),
                reading.duration(DRAIN_TIMEOUT, "30s", Duration.ofMillis(100), Duration.ofMinutes(10)));
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
         * Whoever reaches the port can write to the streams, so only this machine can unless the operator says
         * otherwise in as many words.
         */
        String host() {
            String host = text(HOST, "127.0.0.1");
            boolean allowed = bool(ALLOW_UNAUTHENTICATED);
            try {
                if (!InetAddress.getByName(host).isLoopbackAddress() && !allowed) {
                    error(
                            HOST,
                            "is " + host + ", which other machines can reach, and nothing asks them for a key; "
                                    + "use 127.0.0.1, or set " + ALLOW_UNAUTHENTICATED + "=true to allow it");
                }
            } catch (UnknownHostException e) {
                error(HOST, "is " + host + ", which is no address of this machine and no known name");
            }
            return host;
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
