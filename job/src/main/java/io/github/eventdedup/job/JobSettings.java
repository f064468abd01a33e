package io.github.eventdedup.job;

import io.github.eventdedup.event.InvalidStreamDefinitionException;
import io.github.eventdedup.event.StreamDefinition;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * What the job is told from outside: the stream on its command line, the neighbours in its environment. Flink's own
 * settings are not here, but in {@code flink-conf/config.yaml}.
 *
 * @param streamFile the stream definition
 * @param kafkaBootstrapServers where Kafka is
 * @param postgres where Postgres is
 */
record JobSettings(Path streamFile, String kafkaBootstrapServers, PostgresLogin postgres) {

    private static final String KAFKA = "DEDUP_KAFKA_BOOTSTRAP_SERVERS";
    private static final String URL = "DEDUP_POSTGRES_URL";
    private static final String USER = "DEDUP_POSTGRES_USER";
    private static final Set<String> KNOWN =
            Set.of(KAFKA, URL, USER, PostgresLogin.PASSWORD.variable(), PostgresLogin.PASSWORD.fileVariable());

    /**
     * Reads the settings.
     *
     * @throws InvalidSettingsException where they cannot be used, with every error at once
     */
    static JobSettings of(List<String> arguments, Map<String, String> environment) throws InvalidSettingsException {
        List<String> errors = new ArrayList<>();
        if (arguments.size() != 2 || !arguments.get(0).equals("--stream")) {
            errors.add("arguments: give --stream FILE, as in --stream streams/view-events.yaml");
        }
        for (String name : new TreeSet<>(environment.keySet())) {
            if (name.startsWith("DEDUP_") && !KNOWN.contains(name)) {
                errors.add(name + ": unknown setting; known: " + String.join(", ", new TreeSet<>(KNOWN)));
            }
        }
        String url = environment.getOrDefault(URL, "jdbc:postgresql://127.0.0.1:5432/dedup");
        if (!url.startsWith("jdbc:postgresql://")) {
            errors.add(URL + ": must be a JDBC URL such as jdbc:postgresql://127.0.0.1:5432/dedup");
        } else if (url.contains("password=")) {
            errors.add(URL + ": holds a password; put it into " + PostgresLogin.PASSWORD.variable() + " or the file "
                    + PostgresLogin.PASSWORD.fileVariable() + " names");
        }
        if (!environment.containsKey(PostgresLogin.PASSWORD.variable())
                && !environment.containsKey(PostgresLogin.PASSWORD.fileVariable())) {
            errors.add(PostgresLogin.PASSWORD.variable() + ": not set; set it, or "
                    + PostgresLogin.PASSWORD.fileVariable() + " to the path of a file that holds it");
        }
        if (!errors.isEmpty()) {
            throw new InvalidSettingsException(errors);
        }
        return new JobSettings(
                Path.of(arguments.get(1)),
                environment.getOrDefault(KAFKA, "127.0.0.1:9092"),
                new PostgresLogin(url, environment.getOrDefault(USER, "dedup")));
    }

    /**
     * Reads the stream definition.
     *
     * @throws InvalidSettingsException where the file cannot be read
     * @throws InvalidStreamDefinitionException where it is not a stream definition
     */
    StreamDefinition readStream() throws InvalidSettingsException, InvalidStreamDefinitionException {
        try {
            return StreamDefinition.read(streamFile);
        } catch (IOException e) {
            throw new InvalidSettingsException(List.of(
                    "--stream: cannot read " + streamFile + ", give the path of a stream definition (" + e + ")"));
        }
    }
}
