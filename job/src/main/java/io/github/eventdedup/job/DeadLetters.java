package io.github.eventdedup.job;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.config.ManifestVersion;
import io.github.eventdedup.event.ReasonCode;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.deadletters.LetterCommands;
import io.github.eventdedup.job.deadletters.LetterFilter;
import io.github.eventdedup.job.deadletters.LetterOutput;
import io.github.eventdedup.job.deadletters.LetterTopics.LettersException;
import io.github.eventdedup.job.settings.Endpoints;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/**
 * The command {@code dead-letters}: lists what could not be read or stored, shows it, sends it again, or marks it as handled.
 *
 * <p>Run with {@code --streams DIR COMMAND}. Kafka, and ClickHouse for the streams that end there, come from the environment,
 * as for {@link Setup}.
 */
@Command(
        name = "dead-letters",
        mixinStandardHelpOptions = true,
        versionProvider = ManifestVersion.class,
        description = {
            "Lists, shows, replays and discards dead letters: records that could not be read or stored.",
            "",
            "Mend what the reason names first: the table, or the stream definition and its job. Then replay."
        },
        footer = {"", "Exit codes: 0 done, 1 failed, 2 wrong arguments, 3 some of the letters cannot be replayed."},
        synopsisSubcommandLabel = "COMMAND")
public final class DeadLetters implements Runnable {

    private static final int NOT_ALL = 3;

    private final Map<String, String> environment;
    private final PrintStream out;
    private final PrintStream err;

    @Spec
    private CommandLine.Model.CommandSpec spec;

    @Option(
            names = "--streams",
            paramLabel = "DIR",
            scope = ScopeType.INHERIT,
            description = "the directory with the stream definitions")
    private Path directory;

    private DeadLetters(Map<String, String> environment, PrintStream out, PrintStream err) {
        this.environment = environment;
        this.out = out;
        this.err = err;
    }

    /** Exits with the codes that {@code --help} lists. */
    public static void main(String[] arguments) {
        System.exit(run(List.of(arguments), System.getenv(), System.out, System.err));
    }

    public static int run(List<String> arguments, Map<String, String> environment, PrintStream out, PrintStream err) {
        CommandLine line = new CommandLine(new DeadLetters(environment, out, err))
                .setOut(new PrintWriter(out, true, UTF_8))
                .setErr(new PrintWriter(err, true, UTF_8));
        line.setExecutionExceptionHandler((e, command, parsed) -> {
            if (e instanceof LettersException || e instanceof ConfigurationException) {
                err.println(e.getMessage());
            } else {
                e.printStackTrace(err);
            }
            return 1;
        });
        return line.execute(arguments.toArray(String[]::new));
    }

    private static final Pattern POSITION = Pattern.compile("\\d{1,9}:\\d{1,18}");
    private static final Pattern FINGERPRINT = Pattern.compile("[0-9a-fA-F]{64}");

    /** Which letters are meant. */
    private static final class Selection {

        @Option(names = "--stream", paramLabel = "S", description = "of this stream (default: all)")
        private String stream;

        @Option(names = "--reason-code", paramLabel = "C", description = "with this reason code")
        private String reasonCode;

        @Option(
                names = "--from",
                paramLabel = "T",
                converter = TimeConverter.class,
                description = "put aside at this time or later, as in 2026-11-28T06:00:00Z")
        private Instant from;

        @Option(
                names = "--to",
                paramLabel = "T",
                converter = TimeConverter.class,
                description = "put aside before this time")
        private Instant to;

        @Option(
                names = "--position",
                paramLabel = "PARTITION:OFFSET",
                description = "the one whose original is there in the stream's topic; needs --stream")
        private String position;

        @Option(names = "--fingerprint", paramLabel = "HEX", description = "with this fingerprint")
        private String fingerprint;

        @Option(names = "--json", description = "for programs, on one line")
        private boolean json;

        LetterFilter filter() {
            return new LetterFilter(reasonCode, from, to, position, fingerprint);
        }

        /** The values that no letter can have, in the words of a wrong argument. */
        void check(CommandLine command) {
            if (stream == null && position != null) {
                throw new ParameterException(command, "--position: say of which stream with --stream");
            }
            if (position != null && !POSITION.matcher(position).matches()) {
                throw new ParameterException(
                        command, "--position " + position + ": give PARTITION:OFFSET, as in 3:1042");
            }
            if (fingerprint != null && !FINGERPRINT.matcher(fingerprint).matches()) {
                throw new ParameterException(
                        command, "--fingerprint " + fingerprint + ": give all of its 64 hexadecimal digits");
            }
            List<String> codes =
                    Arrays.stream(ReasonCode.values()).map(ReasonCode::code).toList();
            if (reasonCode != null && !codes.contains(reasonCode)) {
                throw new ParameterException(
                        command, "--reason-code " + reasonCode + ": there are " + String.join(", ", codes));
            }
            if (from != null && to != null && !from.isBefore(to)) {
                throw new ParameterException(command, "--from " + from + " is not before --to " + to);
            }
        }
    }

    private static final class TimeConverter implements ITypeConverter<Instant> {

        @Override
        public Instant convert(String text) {
            try {
                return Instant.parse(text);
            } catch (DateTimeParseException e) {
                throw new TypeConversionException("'" + text + "' is no time such as 2026-11-28T06:00:00Z");
            }
        }
    }

    @Override
    public void run() {
        spec.commandLine().usage(out);
    }

    @Command(
            mixinStandardHelpOptions = true,
            description = "Count the open letters by stream and reason code, each with an example.")
    int list(
            @Mixin Selection selection,
            @Option(names = "--all", description = "count those too that were replayed or discarded") boolean all)
            throws ConfigurationException {
        return commands(selection).list(all) ? 0 : 1;
    }

    @Command(mixinStandardHelpOptions = true, description = "Print open letters, the newest first.")
    int show(
            @Mixin Selection selection,
            @Option(names = "--all", description = "print those too that were replayed or discarded") boolean all,
            @Option(
                            names = "--limit",
                            paramLabel = "N",
                            defaultValue = "20",
                            description = "of each stream at most so many (default: ${DEFAULT-VALUE})")
                    int limit)
            throws ConfigurationException {
        if (limit < 1) {
            throw new ParameterException(spec.commandLine(), "--limit " + limit + ": give a number from 1");
        }
        commands(selection).show(all, limit);
        return 0;
    }

    @Command(
            mixinStandardHelpOptions = true,
            description = {
                "Send open letters again, to be stored exactly once in the table that rejected them.",
                "",
                "Letters that are still no event under today's stream definition stay where they are; the result names",
                "them. A letter that is rejected again is listed again. To give the command twice, or to stop it half-way, does",
                "no harm. A letter that was discarded is sent where --position or --fingerprint names it."
            })
    int replay(
            @Mixin Selection selection,
            @Option(names = "--dry-run", description = "say what would be sent, and send nothing") boolean dryRun)
            throws ConfigurationException {
        return commands(selection).replay(dryRun) > 0 ? NOT_ALL : 0;
    }

    @Command(
            mixinStandardHelpOptions = true,
            description = {
                "Mark open letters as handled. They stay in their topic, and list --all still counts them.",
                "Needs at least one option that says which."
            })
    int discard(
            @Mixin Selection selection,
            @Option(names = "--dry-run", description = "say what would be discarded, and discard nothing")
                    boolean dryRun)
            throws ConfigurationException {
        if (selection.stream == null && selection.filter().isEverything()) {
            throw new LettersException("discard: say which letters, at least by --stream");
        }
        commands(selection).discard(dryRun);
        return 0;
    }

    private LetterCommands commands(Selection selection) throws ConfigurationException {
        Endpoints endpoints = endpoints();
        return new LetterCommands(
                endpoints, streams(selection), selection.filter(), new LetterOutput(out, selection.json), err);
    }

    private Endpoints endpoints() throws ConfigurationException {
        List<String> errors = new ArrayList<>();
        Endpoints endpoints = Endpoints.of(environment, errors);
        if (!errors.isEmpty()) {
            throw new ConfigurationException(errors);
        }
        return endpoints;
    }

    private List<StreamDefinition> streams(Selection selection) throws ConfigurationException {
        selection.check(spec.commandLine());
        List<String> errors = new ArrayList<>();
        List<StreamDefinition> streams = new ArrayList<>();
        if (directory == null) {
            errors.add("--streams: give the directory with the stream definitions, as in --streams streams");
        } else {
            streams.addAll(Setup.streams(directory, errors));
        }
        if (!errors.isEmpty()) {
            throw new ConfigurationException(errors);
        }
        if (selection.stream == null) {
            return streams;
        }
        return List.of(streams.stream()
                .filter(stream -> stream.stream().equals(selection.stream))
                .findFirst()
                .orElseThrow(() -> new ParameterException(
                        spec.commandLine(),
                        "--stream " + selection.stream + ": no file in " + directory
                                + " defines it; there are "
                                + String.join(
                                        ", ",
                                        streams.stream()
                                                .map(StreamDefinition::stream)
                                                .toList()))));
    }
}
