package io.github.eventdedup.proof.system;

import io.github.eventdedup.config.BootstrapServers;
import io.github.eventdedup.config.ClickHouseUrl;
import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.config.Environment;
import io.github.eventdedup.config.PostgresUrl;
import io.github.eventdedup.config.Secret;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.event.StreamDirectory;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.stream.Stream;

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

        /** Refuses a URL that cannot be used. */
        public Postgres {
            PostgresUrl.check(url);
        }

        /** A connection of the caller's own. */
        public Connection connect() throws SQLException {
            Properties properties = PostgresUrl.properties(user, password, "proof");
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

        /** Refuses a URL that cannot be used. */
        public ClickHouse {
            ClickHouseUrl.check(url);
        }

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

    private static final String HTTP_URL = "DEDUP_HTTP_URL";
    private static final String FLINK_URL = "DEDUP_FLINK_URL";
    private static final String PROCESSES_FILE = "DEDUP_PROCESSES_FILE";
    private static final String REPORTS_DIR = "DEDUP_REPORTS_DIR";

    private static final List<String> SETTINGS = Stream.of(
                    List.of(
                            HTTP_URL,
                            FLINK_URL,
                            Environment.KAFKA_BOOTSTRAP_SERVERS,
                            Environment.STREAMS_DIR,
                            PROCESSES_FILE,
                            REPORTS_DIR),
                    Environment.POSTGRES,
                    Environment.CLICKHOUSE)
            .flatMap(List::stream)
            .toList();

    /** Refuses brokers that cannot be used. */
    public Endpoints {
        BootstrapServers.check(kafkaBootstrapServers);
    }

    /**
     * Reads them from the environment.
     *
     * @throws ConfigurationException with every setting that cannot be used
     */
    public static Endpoints of(Map<String, String> variables) throws ConfigurationException {
        Environment environment = new Environment(variables, SETTINGS);
        Endpoints endpoints = new Endpoints(
                url(environment, HTTP_URL, "http://127.0.0.1:8001"),
                url(environment, FLINK_URL, "http://127.0.0.1:8081"),
                environment.bootstrapServers(),
                new Postgres(
                        environment.postgresUrl(),
                        environment.text(Environment.POSTGRES_USER, "dedup"),
                        password(environment, Environment.POSTGRES_PASSWORD)),
                new ClickHouse(
                        environment.clickHouseUrl(),
                        environment.text(Environment.CLICKHOUSE_DATABASE, "dedup"),
                        environment.text(Environment.CLICKHOUSE_USER, "dedup"),
                        password(environment, Environment.CLICKHOUSE_PASSWORD)),
                environment.path(Environment.STREAMS_DIR, "streams"),
                new LocalFiles(environment.optionalPath(PROCESSES_FILE), environment.path(REPORTS_DIR, ".")));
        environment.refuseErrors();
        return endpoints;
    }

    private static URI url(Environment environment, String name, String byDefault) {
        try {
            URI url = URI.create(environment.text(name, byDefault));
            if (url.getHost() != null
                    && url.getUserInfo() == null
                    && List.of("http", "https").contains(url.getScheme())) {
                return url;
            }
        } catch (IllegalArgumentException e) {
            // Reported below.
        }
        environment.error(name, "must be a URL such as " + byDefault);
        return null;
    }

    /** Read once: a load or an audit ends before passwords change. Empty where none is set. */
    private static String password(Environment environment, String name) {
        Secret secret = environment.optionalSecret(name);
        try {
            return secret == null ? "" : secret.read();
        } catch (IOException e) {
            environment.error(Secret.fileVariable(name), "cannot be read (" + e + ")");
            return "";
        }
    }

    /** The definitions by stream. */
    public Map<String, StreamDefinition> streams() throws ConfigurationException {
        Map<String, StreamDefinition> streams = new TreeMap<>();
        try {
            StreamDirectory read = StreamDirectory.read(streamsDirectory);
            read.warnings().forEach(System.err::println);
            read.streams().values().forEach(stream -> streams.put(stream.stream(), stream));
        } catch (IOException e) {
            throw new ConfigurationException(
                    Environment.STREAMS_DIR + " cannot be read: " + streamsDirectory + " (" + e + ")");
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
