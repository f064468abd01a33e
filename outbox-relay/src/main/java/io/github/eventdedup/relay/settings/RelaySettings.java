package io.github.eventdedup.relay.settings;

import io.github.eventdedup.event.EnvironmentVariables;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * Everything that can be set, read from the command line and from environment variables in {@link #from}.
 *
 * @param streamFile the stream definition
 * @param once whether to send what there is and end
 * @param kafkaBootstrapServers brokers to start from, {@code host:port,…}
 * @param postgresUrl the JDBC URL, without user and password
 * @param postgresUser the role to log in as
 * @param postgresPassword its password
 * @param clickHouse ClickHouse, or null where the types of its columns are not to be compared
 */
public record RelaySettings(
        Path streamFile,
        boolean once,
        String kafkaBootstrapServers,
        String postgresUrl,
        String postgresUser,
        Secret postgresPassword,
        ClickHouse clickHouse) {

    /**
     * Where the types of a ClickHouse table can be asked for.
     *
     * @param url of the HTTP interface
     * @param database of tables whose name does not say
     * @param user the user to log in as
     * @param password its password
     */
    public record ClickHouse(String url, String database, String user, Secret password) {}

    private static final String KAFKA_BOOTSTRAP_SERVERS = "DEDUP_KAFKA_BOOTSTRAP_SERVERS";
    private static final String POSTGRES_URL = "DEDUP_POSTGRES_URL";
    private static final String POSTGRES_USER = "DEDUP_POSTGRES_USER";
    private static final String POSTGRES_PASSWORD = "DEDUP_POSTGRES_PASSWORD";
    private static final String POSTGRES_PASSWORD_FILE = "DEDUP_POSTGRES_PASSWORD_FILE";
    private static final String CLICKHOUSE_URL = "DEDUP_CLICKHOUSE_URL";
    private static final String CLICKHOUSE_DATABASE = "DEDUP_CLICKHOUSE_DATABASE";
    private static final String CLICKHOUSE_USER = "DEDUP_CLICKHOUSE_USER";
    private static final String CLICKHOUSE_PASSWORD = "DEDUP_CLICKHOUSE_PASSWORD";
    private static final String CLICKHOUSE_PASSWORD_FILE = "DEDUP_CLICKHOUSE_PASSWORD_FILE";

    private static final Set<String> KEYS = new TreeSet<>(Set.of(
            KAFKA_BOOTSTRAP_SERVERS,
            POSTGRES_URL,
            POSTGRES_USER,
            POSTGRES_PASSWORD,
            POSTGRES_PASSWORD_FILE,
            CLICKHOUSE_URL,
            CLICKHOUSE_DATABASE,
            CLICKHOUSE_USER,
            CLICKHOUSE_PASSWORD,
            CLICKHOUSE_PASSWORD_FILE));

    /**
     * Reads the settings; those that are absent have their defaults.
     *
     * @throws StartupException with every error at once, one a line
     */
    public static RelaySettings from(List<String> arguments, Map<String, String> variables) throws StartupException {
        Map<String, String> environment = EnvironmentVariables.settings(variables);
        Reading reading = new Reading(environment);
        for (String key : new TreeSet<>(environment.keySet())) {
            if (key.startsWith("DEDUP_") && !KEYS.contains(key)) {
                reading.error(key, "is not known; known are " + String.join(", ", KEYS));
            }
        }
        List<String> others = new ArrayList<>(arguments);
        boolean once = others.remove("--once");
        RelaySettings settings = new RelaySettings(
                reading.streamFile(others),
                once,
                reading.bootstrapServers(),
                reading.postgresUrl(),
                reading.text(POSTGRES_USER, "dedup"),
                reading.password(POSTGRES_PASSWORD, POSTGRES_PASSWORD_FILE),
                reading.clickHouse());
        if (!reading.errors.isEmpty()) {
            throw StartupException.of("invalid settings", reading.errors);
        }
        return settings;
    }

    /** The URL as messages show it: its parameters may hold the password of a certificate's key. */
    public String postgresAddress() {
        return postgresUrl.replaceFirst("\\?.*", "");
    }

    /** What was given, and what was found wrong in it so far. A value with an error reads as its default. */
    private record Reading(Map<String, String> environment, List<String> errors) {

        Reading(Map<String, String> environment) {
            this(environment, new ArrayList<>());
        }

        void error(String key, String message) {
            errors.add(key + " " + message);
        }

        Path streamFile(List<String> arguments) {
            if (arguments.size() == 2 && arguments.get(0).equals("--stream")) {
                try {
                    return Path.of(arguments.get(1));
                } catch (InvalidPathException e) {
                    error("--stream", "'" + arguments.get(1) + "' is no path");
                    return null;
                }
            }
            error("arguments:", "give --stream FILE, as in --stream streams/user-logins.yaml, and at most --once");
            return null;
        }

        String text(String key, String byDefault) {
            String value = environment.getOrDefault(key, byDefault).strip();
            if (value.isEmpty()) {
                error(key, "is empty; leave it out for its default, " + byDefault);
                return byDefault;
            }
            return value;
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

        String postgresUrl() {
            String url = text(POSTGRES_URL, "jdbc:postgresql://127.0.0.1:5432/dedup");
            if (!url.startsWith("jdbc:postgresql://")) {
                error(POSTGRES_URL, "must be a JDBC URL such as jdbc:postgresql://127.0.0.1:5432/dedup");
            } else if (EnvironmentVariables.holdsPassword(url)) {
                error(
                        POSTGRES_URL,
                        "holds a password; put it into " + POSTGRES_PASSWORD + " or the file that "
                                + POSTGRES_PASSWORD_FILE + " names");
            }
            return url;
        }

        ClickHouse clickHouse() {
            if (!environment.containsKey(CLICKHOUSE_URL)) {
                return null;
            }
            String url = text(CLICKHOUSE_URL, "http://127.0.0.1:8123");
            if (!url.matches("https?://[^/@?#\\s]+/?")) {
                error(
                        CLICKHOUSE_URL,
                        "must be a URL such as http://127.0.0.1:8123, without user, database or settings");
            }
            return new ClickHouse(
                    url,
                    text(CLICKHOUSE_DATABASE, "dedup"),
                    text(CLICKHOUSE_USER, "dedup"),
                    password(CLICKHOUSE_PASSWORD, CLICKHOUSE_PASSWORD_FILE));
        }

        Secret password(String variable, String fileVariable) {
            String value = environment.get(variable);
            String file = environment.get(fileVariable);
            if ((value == null) == (file == null)) {
                error(
                        variable,
                        value == null
                                ? "is not set; set it, or " + fileVariable + " to the path of a file that holds it"
                                : "and " + fileVariable + " are both set; leave one out");
                return null;
            }
            if (value != null) {
                return new Secret(value, null);
            }
            try {
                Path path = Path.of(file);
                if (!Files.isReadable(path)) {
                    error(fileVariable, "is '" + file + "', which cannot be read");
                }
                return new Secret(null, path);
            } catch (InvalidPathException e) {
                error(fileVariable, "is '" + file + "', which is no path");
                return null;
            }
        }
    }
}
