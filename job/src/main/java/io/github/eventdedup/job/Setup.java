package io.github.eventdedup.job;

import com.clickhouse.client.api.Client;
import io.github.eventdedup.config.Arguments;
import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.config.ManifestVersion;
import io.github.eventdedup.event.InvalidStreamDefinitionException;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.event.StreamDirectory;
import io.github.eventdedup.job.clickhouse.table.ClickHouseErrors;
import io.github.eventdedup.job.kafka.TopicCreation;
import io.github.eventdedup.job.settings.ClickHouseLogin;
import io.github.eventdedup.job.settings.Endpoints;
import io.github.eventdedup.job.settings.PostgresLogin;
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
import java.util.Optional;
import org.postgresql.core.NativeQuery;
import org.postgresql.core.Parser;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * Creates what has to be there before the first event: the topics of every stream and the tables. What is there already is
 * left as it is, so it may run before every start.
 *
 * <p>Run with {@code --streams DIR [--postgres DIR] [--clickhouse DIR]}: the stream definitions, and the schema files of each
 * database, which are applied in the order of their names. Kafka and the databases come from the environment, as for {@link
 * DeduplicationJob}.
 */
public final class Setup {

    private static final String STREAMS = "--streams";
    private static final String POSTGRES = "--postgres";
    private static final String CLICKHOUSE = "--clickhouse";

    /** What ClickHouse says of a text with several. */
    private static final String MULTIPLE_STATEMENTS = "Multi-statements are not allowed";

    private static final int MAX_EXCERPT_CHARS = 80;

    @Command(
            name = "setup",
            mixinStandardHelpOptions = true,
            versionProvider = ManifestVersion.class,
            description = "Creates the topics of every stream and the tables that are not there yet.")
    private static final class Options {

        @Option(
                names = STREAMS,
                paramLabel = "DIR",
                required = true,
                description = "the directory with the stream definitions")
        private Path streams;

        @Option(names = POSTGRES, paramLabel = "DIR", description = "the schema files for Postgres")
        private Path postgres;

        @Option(names = CLICKHOUSE, paramLabel = "DIR", description = "the schema files for ClickHouse")
        private Path clickHouse;
    }

    private Setup() {}

    /** Exits with 0 when everything is there, with 1 and a line for each reason otherwise. */
    public static void main(String[] arguments) {
        Optional<String> help = Arguments.help(new Options(), List.of(arguments), Endpoints.SETTINGS);
        if (help.isPresent()) {
            System.out.print(help.get());
            return;
        }
        try {
            run(List.of(arguments), System.getenv());
        } catch (ConfigurationException e) {
            System.err.println(e.getMessage());
            System.exit(1);
        }
    }

    static void run(List<String> arguments, Map<String, String> environment) throws ConfigurationException {
        List<String> errors = new ArrayList<>();
        Options options = new Options();
        Arguments.parse(options, arguments)
                .ifPresent(
                        problem -> errors.add("arguments: give --streams DIR [--postgres DIR] [--clickhouse DIR], as in"
                                + " --streams streams --postgres sql/postgres (" + problem + ")"));
        List<StreamDefinition> streams = options.streams == null ? List.of() : streams(options.streams, errors);
        List<Path> postgres = schema(POSTGRES, options.postgres, errors);
        List<Path> clickHouse = schema(CLICKHOUSE, options.clickHouse, errors);
        Endpoints endpoints = Endpoints.of(environment, errors);
        refuseWith(errors);
        TopicCreation.create(endpoints, streams, errors);
        if (!postgres.isEmpty()) {
            applySchema(postgres, endpoints.postgres(), errors);
        }
        if (!clickHouse.isEmpty()) {
            applySchema(clickHouse, endpoints.clickHouse(), errors);
        }
        refuseWith(errors);
    }

    private static List<Path> schema(String option, Path directory, List<String> errors) {
        return directory == null ? List.of() : files(option, directory, ".sql", errors);
    }

    private static void refuseWith(List<String> errors) throws ConfigurationException {
        if (!errors.isEmpty()) {
            throw new ConfigurationException(errors);
        }
    }

    /** Reads the stream definitions of a directory; what cannot be read is added to the errors. */
    static List<StreamDefinition> streams(Path directory, List<String> errors) {
        try {
            StreamDirectory read = StreamDirectory.read(directory);
            read.warnings().forEach(System.err::println);
            if (read.streams().isEmpty()) {
                errors.add(STREAMS + ": no file in the directory " + directory + " ends with .yaml");
            }
            return List.copyOf(read.streams().values());
        } catch (InvalidStreamDefinitionException e) {
            errors.add(e.getMessage());
        } catch (IOException e) {
            errors.add(STREAMS + ": cannot read the directory " + directory + " (" + e + ")");
        }
        return List.of();
    }

    /** Every file says "if not exists": all are applied each time, so that a new one comes into an old database. */
    private static void applySchema(List<Path> files, PostgresLogin postgres, List<String> errors) {
        try (Connection connection = postgres.connect();
                Statement statement = connection.createStatement()) {
            connection.setAutoCommit(false);
            for (Path file : files) {
                try {
                    apply(Files.readString(file), statement);
                    connection.commit();
                } catch (SQLException | IOException e) {
                    errors.add(POSTGRES + ": cannot apply " + file + " (" + e.getMessage() + ")");
                    connection.rollback();
                }
            }
        } catch (SQLException | IllegalStateException | UncheckedIOException e) {
            errors.add(postgres.cannotBeUsed(e));
        }
    }

    /** One statement after another, so that an error can name the one that it is of. */
    private static void apply(String sql, Statement statement) throws SQLException {
        for (NativeQuery query : Parser.parseJdbcSql(sql, true, false, true, false, false)) {
            try {
                statement.execute(query.nativeSql);
            } catch (SQLException e) {
                throw new SQLException(
                        e.getMessage() + ", in the statement '" + excerpt(query.nativeSql) + "'", e.getSQLState(), e);
            }
        }
    }

    /** The beginning of a statement, on one line and without comments before it. */
    private static String excerpt(String sql) {
        String line = sql.replaceAll("(?m)^\\s*--.*$", "").strip().replaceAll("\\s+", " ");
        return line.length() <= MAX_EXCERPT_CHARS ? line : line.substring(0, MAX_EXCERPT_CHARS) + "…";
    }

    /** One statement a file: ClickHouse takes no more at once. */
    public static void applySchema(List<Path> files, ClickHouseLogin clickHouse, List<String> errors) {
        try (Client client = clickHouse.connect()) {
            // What fails from here on is the fault of a file, unless ClickHouse went away meanwhile.
            client.queryAll("SELECT 1");
            for (Path file : files) {
                try {
                    client.queryAll(Files.readString(file));
                } catch (RuntimeException | IOException e) {
                    String reason = ClickHouseErrors.reason(e);
                    errors.add(CLICKHOUSE + ": cannot apply " + file + " (" + reason + ")"
                            + (reason.contains(MULTIPLE_STATEMENTS)
                                    ? ": it has more than one statement, and ClickHouse accepts one at a time; make a file"
                                            + " of each"
                                    : ""));
                }
            }
        } catch (RuntimeException e) {
            errors.add(ClickHouseErrors.cannotBeUsed(clickHouse, e));
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
