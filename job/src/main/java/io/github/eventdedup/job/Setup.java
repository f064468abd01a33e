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
        } catch (InvalidSettingsException e) {
            System.err.println(e.getMessage());
            System.exit(1);
        }
    }

    static void run(List<String> arguments, Map<String, String> environment) throws InvalidSettingsException {
        List<String> errors = new ArrayList<>();
        List<StreamDefinition> streams = new ArrayList<>();
        List<Path> schema = List.of();
        if (arguments.size() == 4
                && arguments.get(0).equals("--streams")
                && arguments.get(2).equals("--sql")) {
            for (Path file : files("--streams", Path.of(arguments.get(1)), ".yaml", errors)) {
                read(file, streams, errors);
            }
            schema = files("--sql", Path.of(arguments.get(3)), ".sql", errors);
        } else {
            errors.add("arguments: give --streams DIR --sql DIR, as in --streams streams --sql sql/postgres");
        }
        Neighbours neighbours = Neighbours.of(environment, errors);
        refuseWith(errors);
        Topics.create(neighbours, streams, errors);
        applySchema(schema, neighbours.postgres(), errors);
        refuseWith(errors);
    }

    private static void refuseWith(List<String> errors) throws InvalidSettingsException {
        if (!errors.isEmpty()) {
            throw new InvalidSettingsException(errors);
        }
    }

    private static void read(Path file, List<StreamDefinition> streams, List<String> errors) {
        try {
            streams.add(StreamDefinition.read(file));
        } catch (InvalidStreamDefinitionException e) {
            errors.add(e.getMessage());
        } catch (IOException e) {
            errors.add("--streams: cannot read " + file + " (" + e + ")");
        }
    }

    /** Every file says "if not exists": all are applied each time, so that a new one comes into an old database. */
    private static void applySchema(List<Path> files, PostgresLogin postgres, List<String> errors) {
        try (Connection connection = postgres.connect();
                Statement statement = connection.createStatement()) {
            for (Path file : files) {
                try {
                    statement.execute(Files.readString(file));
                } catch (SQLException | IOException e) {
                    errors.add("--sql: cannot apply " + file + " (" + e.getMessage() + ")");
                }
            }
        } catch (SQLException | IllegalStateException | UncheckedIOException e) {
            errors.add(postgres.cannotBeUsed(e));
        }
    }

    private static List<Path> files(String option, Path directory, String suffix, List<String> errors) {
        try (var all = Files.list(directory)) {
            List<Path> files = all.filter(file -> file.toString().endsWith(suffix))
                    .sorted()
                    .toList();
            if (files.isEmpty()) {
                errors.add(option + ": no file in the directory " + directory + " ends with " + suffix);
            }
            return files;
        } catch (IOException e) {
            errors.add(option + ": cannot read the directory " + directory + " (" + e + ")");
            return List.of();
        }
    }
}
