package io.github.eventdedup.job;

import io.github.eventdedup.event.InvalidStreamDefinitionException;
import io.github.eventdedup.event.StreamDefinition;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Creates what has to be there before the first event: the topics of every stream and the tables. What is there already is
 * left as it is, so it may run before every start.
 *
 * <p>Run with {@code --streams DIR --sql DIR}: the stream definitions, and the schema files, which are applied in the order
 * of their names. Kafka and Postgres come from the environment, as for {@link DeduplicationJob}.
 */
public final class Setup {

    private Setup() {}

    /** Exits with 0 when everything is there, with 1 and a line for each reason otherwise. */
    public static void main(String[] arguments) {
        try {
            run(List.of(arguments), System.getenv());
        } catch (InvalidSettingsException | InvalidStreamDefinitionException e) {
            System.err.println(e.getMessage());
            System.exit(1);
        }
    }

    private static void run(List<String> arguments, Map<String, String> environment)
            throws InvalidSettingsException, InvalidStreamDefinitionException {
        List<String> errors = new ArrayList<>();
        if (arguments.size() != 4
                || !arguments.get(0).equals("--streams")
                || !arguments.get(2).equals("--sql")) {
            errors.add("arguments: give --streams DIR --sql DIR, as in --streams streams --sql sql/postgres");
        }
        Neighbours neighbours = Neighbours.of(environment, errors);
        if (!errors.isEmpty()) {
            throw new InvalidSettingsException(errors);
        }
        List<StreamDefinition> streams = new ArrayList<>();
        for (Path file : files("--streams", Path.of(arguments.get(1)), ".yaml")) {
            try {
                streams.add(StreamDefinition.read(file));
            } catch (IOException e) {
                errors.add("--streams: cannot read " + file + " (" + e + ")");
            }
        }
        for (StreamDefinition stream : streams) {
            Topics.create(neighbours.kafkaBootstrapServers(), stream, errors);
        }
        applySchema(files("--sql", Path.of(arguments.get(3)), ".sql"), neighbours.postgres(), errors);
        if (!errors.isEmpty()) {
            throw new InvalidSettingsException(errors);
        }
    }

    /** Every file says "if not exists": all are applied each time, so that a new one comes into an old database. */
    private static void applySchema(List<Path> files, PostgresLogin postgres, List<String> errors) {
        Path current = null;
        try (Connection connection = postgres.connect();
                Statement statement = connection.createStatement()) {
            for (Path file : files) {
                current = file;
                statement.execute(Files.readString(file));
            }
        } catch (SQLException | IOException | IllegalStateException | UncheckedIOException e) {
            errors.add((current == null ? "cannot use Postgres at " + postgres.url() : "cannot apply " + current) + ": "
                    + e.getMessage());
        }
    }

    private static List<Path> files(String option, Path directory, String suffix) throws InvalidSettingsException {
        try (var files = Files.list(directory)) {
            return files.filter(file -> file.toString().endsWith(suffix))
                    .sorted()
                    .toList();
        } catch (IOException e) {
            throw new InvalidSettingsException(
                    List.of(option + ": cannot read the directory " + directory + " (" + e + ")"));
        }
    }
}
