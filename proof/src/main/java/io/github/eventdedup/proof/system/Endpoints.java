package io.github.eventdedup.proof.system;

import io.github.eventdedup.event.EnvironmentVariables;
import io.github.eventdedup.event.InvalidStreamDefinitionException;
import io.github.eventdedup.event.StreamDefinition;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * The system that is looked at, as the environment names it; by default the one that {@code ./dedup up} starts. Immutable.
 *
 * @param http the ingest
 * @param flink the cluster's REST interface
 * @param kafkaBootstrapServers the brokers
 * @param postgres where tables are
 * @param clickHouse where other tables are
 * @param streamsDirectory the stream definitions
 * @param files of the machine where it runs
 */
public record Endpoints(
        URI http,
        URI flink,
        String kafkaBootstrapServers,
        Postgres postgres,
        ClickHouse clickHouse,
        Path streamsDirectory,
        LocalFiles files) {

    /**
     * A database in Postgres.
     *
     * @param url for JDBC, without user and password
     */
    public record Postgres(String url, String user, String password) {

        /** A connection of the caller's own. */
        public Connection connect() throws SQLException {
            Properties properties = new Properties();
            properties.setProperty("user", user);
            properties.setProperty("password", password);
            properties.setProperty("ApplicationName", "proof");
            return DriverManager.getConnection(url, properties);
        }

        /** Without the password: settings are logged. */
        @Override
        public String toString() {
            return url;
        }
    }

    /**
     * ClickHouse.
     *
     * @param url of its HTTP interface
     * @param database where the tables are
     */
    public record ClickHouse(String url, String database, String user, String password) {

        /** Without the password: settings are logged. */
        @Override
        public String toString() {
            return url;
        }
    }

    /**
     * Files of the machine where the system runs.
     *
     * @param processes the pids of the system's processes by name, or null where they are not on this machine
     * @param reports the directory for ledgers and reports where no option names another
     */
    public record LocalFiles(Path processes, Path reports) {}

    private static final Map<String, String> DEFAULTS = new TreeMap<>(Map.ofEntries(
            Map.entry("DEDUP_HTTP_URL", "http://127.0.0.1:8001"),
            Map.entry("DEDUP_FLINK_URL", "http://127.0.0.1:8081"),
            Map.entry("DEDUP_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092"),
            Map.entry("DEDUP_POSTGRES_URL", "jdbc:postgresql://127.0.0.1:5432/dedup"),
            Map.entry("DEDUP_POSTGRES_USER", "dedup"),
            Map.entry("DEDUP_POSTGRES_PASSWORD", ""),
            Map.entry("DEDUP_CLICKHOUSE_URL", "http://127.0.0.1:8123"),
            Map.entry("DEDUP_CLICKHOUSE_DATABASE", "dedup"),
            Map.entry("DEDUP_CLICKHOUSE_USER", "dedup"),
            Map.entry("DEDUP_CLICKHOUSE_PASSWORD", ""),
            Map.entry("DEDUP_STREAMS_DIR", "streams"),
            Map.entry("DEDUP_PROCESSES_FILE", ""),
            Map.entry("DEDUP_REPORTS_DIR", ".")));

    /**
     * Reads them from the environment.
     *
     * @throws ProofException with every setting that cannot be used, one a line
     */
    public static Endpoints of(Map<String, String> variables) {
        Map<String, String> environment = EnvironmentVariables.settings(variables);
        List<String> errors = new ArrayList<>();
        for (String name : new TreeSet<>(environment.keySet())) {
            if (name.startsWith("DEDUP_") && !DEFAULTS.containsKey(name)) {
                errors.add(name + ": unknown setting; known: " + String.join(", ", DEFAULTS.keySet()));
            }
        }
        Map<String, String> values = new TreeMap<>(DEFAULTS);
        values.replaceAll((name, byDefault) -> environment.getOrDefault(name, byDefault));
        String postgres = values.get("DEDUP_POSTGRES_URL");
        if (!postgres.startsWith("jdbc:postgresql://") || EnvironmentVariables.holdsPassword(postgres)) {
            errors.add("DEDUP_POSTGRES_URL: must be a JDBC URL such as " + DEFAULTS.get("DEDUP_POSTGRES_URL")
                    + ", without a password");
        }
        Endpoints endpoints = new Endpoints(
                url(values, "DEDUP_HTTP_URL", errors),
                url(values, "DEDUP_FLINK_URL", errors),
                values.get("DEDUP_KAFKA_BOOTSTRAP_SERVERS"),
                new Postgres(postgres, values.get("DEDUP_POSTGRES_USER"), values.get("DEDUP_POSTGRES_PASSWORD")),
                new ClickHouse(
                        values.get("DEDUP_CLICKHOUSE_URL"),
                        values.get("DEDUP_CLICKHOUSE_DATABASE"),
                        values.get("DEDUP_CLICKHOUSE_USER"),
                        values.get("DEDUP_CLICKHOUSE_PASSWORD")),
                Path.of(values.get("DEDUP_STREAMS_DIR")),
                new LocalFiles(
                        values.get("DEDUP_PROCESSES_FILE").isEmpty()
                                ? null
                                : Path.of(values.get("DEDUP_PROCESSES_FILE")),
                        Path.of(values.get("DEDUP_REPORTS_DIR"))));
        if (!errors.isEmpty()) {
            throw new ProofException(String.join(System.lineSeparator(), errors));
        }
        return endpoints;
    }

    private static URI url(Map<String, String> values, String name, List<String> errors) {
        try {
            URI url = URI.create(values.get(name));
            if (url.getHost() != null
                    && url.getUserInfo() == null
                    && List.of("http", "https").contains(url.getScheme())) {
                return url;
            }
        } catch (IllegalArgumentException e) {
            // Said below.
        }
        errors.add(name + ": must be a URL such as " + DEFAULTS.get(name));
        return null;
    }

    /** The definitions by stream. */
    public Map<String, StreamDefinition> streams() {
        Map<String, StreamDefinition> streams = new TreeMap<>();
        try (var files = Files.list(streamsDirectory)) {
            for (Path file :
                    files.filter(file -> file.toString().endsWith(".yaml")).toList()) {
                StreamDefinition stream = StreamDefinition.read(file);
                streams.put(stream.stream(), stream);
            }
        } catch (IOException e) {
            throw new ProofException("DEDUP_STREAMS_DIR: cannot read " + streamsDirectory + " (" + e + ")", e);
        } catch (InvalidStreamDefinitionException e) {
            throw new ProofException(e.getMessage(), e);
        }
        return streams;
    }

    /** Without secrets: settings are logged. */
    @Override
    public String toString() {
        return "ingest " + http + ", Flink " + flink + ", Kafka " + kafkaBootstrapServers + ", Postgres " + postgres
                + ", ClickHouse " + clickHouse;
    }
}
