package io.github.eventdedup.relay.settings;

import io.github.eventdedup.config.Arguments;
import io.github.eventdedup.config.BootstrapServers;
import io.github.eventdedup.config.ClickHouseUrl;
import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.config.Environment;
import io.github.eventdedup.config.PostgresUrl;
import io.github.eventdedup.config.Secret;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

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
    public record ClickHouse(String url, String database, String user, Secret password) {

        /** Refuses a URL that cannot be used. */
        public ClickHouse {
            ClickHouseUrl.check(url);
        }
    }

    /** The environment variables that are read. */
    public static final List<String> SETTINGS = Stream.of(
                    List.of(Environment.KAFKA_BOOTSTRAP_SERVERS), Environment.POSTGRES, Environment.CLICKHOUSE)
            .flatMap(List::stream)
            .toList();

    /** Refuses brokers and URLs that cannot be used. */
    public RelaySettings {
        BootstrapServers.check(kafkaBootstrapServers);
        PostgresUrl.check(postgresUrl);
    }

    /**
     * Reads the settings; those that are absent have their defaults.
     *
     * @throws ConfigurationException with every error at once, one a line
     */
    public static RelaySettings from(List<String> arguments, Map<String, String> variables)
            throws ConfigurationException {
        Environment environment = new Environment(variables, SETTINGS);
        RelayArguments given = new RelayArguments();
        Arguments.parse(given, arguments)
                .ifPresent(problem -> environment.error(
                        "arguments:",
                        "give --stream FILE, as in --stream streams/user-logins.yaml, and at most --once (" + problem
                                + ")"));
        RelaySettings settings = new RelaySettings(
                given.stream,
                given.once,
                environment.bootstrapServers(),
                environment.postgresUrl(),
                environment.text(Environment.POSTGRES_USER, "dedup"),
                readable(Environment.POSTGRES_PASSWORD, environment),
                clickHouse(environment));
        environment.refuseErrors();
        return settings;
    }

    /** The URL as messages show it: its parameters may hold the password of a certificate's key. */
    public String postgresAddress() {
        return postgresUrl.replaceFirst("\\?.*", "");
    }

    private static ClickHouse clickHouse(Environment environment) {
        return environment.has(Environment.CLICKHOUSE_URL)
                ? new ClickHouse(
                        environment.clickHouseUrl(),
                        environment.text(Environment.CLICKHOUSE_DATABASE, "dedup"),
                        environment.text(Environment.CLICKHOUSE_USER, "dedup"),
                        readable(Environment.CLICKHOUSE_PASSWORD, environment))
                : null;
    }

    /** The relay does nothing without its databases: a file that cannot be read is reported at once. */
    private static Secret readable(String password, Environment environment) {
        Secret secret = environment.secret(password);
        if (secret != null && secret.file() != null && !Files.isReadable(secret.file())) {
            environment.error(Secret.fileVariable(password), "is '" + secret.file() + "', which cannot be read");
        }
        return secret;
    }
}
