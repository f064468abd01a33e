package io.github.eventdedup.job;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.config.ManifestVersion;
import io.github.eventdedup.event.ReasonCode;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.deadletters.HandledNote;
import io.github.eventdedup.job.deadletters.KeptLetter;
import io.github.eventdedup.job.deadletters.LetterReplay;
import io.github.eventdedup.job.deadletters.LetterTopics;
import io.github.eventdedup.job.deadletters.LetterTopics.LettersException;
import io.github.eventdedup.job.kafka.SideTopics;
import io.github.eventdedup.job.settings.Endpoints;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Path;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;
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
    private static final int MAX_SHOWN_CHARS = 2_000;
    private static final Pattern UNPRINTABLE = Pattern.compile("[\\p{Cc}\\p{Cf}\\p{Cs}]");
    private static final ObjectMapper JSON = new ObjectMapper();

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

        boolean matches(KeptLetter letter) {
            return (reasonCode == null || reasonCode.equals(letter.reasonCode()))
                    && (from == null || !letter.putAside().isBefore(from))
                    && (to == null || letter.putAside().isBefore(to))
                    && (position == null || position.equals(letter.position()))
                    && (fingerprint == null || fingerprint.equalsIgnoreCase(letter.fingerprint()));
        }

        boolean namesOne() {
            return position != null || fingerprint != null;
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

        boolean isEverything() {
            return stream == null && reasonCode == null && from == null && to == null && !namesOne();
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

    /** What has become of a letter: {@link #OPEN}, or what was done with it. */
    private record Entry(KeptLetter letter, String state) {

        static final String OPEN = "open";

        boolean isOpen() {
            return state.equals(OPEN);
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
        Endpoints endpoints = endpoints();
        ArrayNode json = JSON.createArrayNode();
        boolean failed = false;
        for (StreamDefinition stream : streams(selection)) {
            try (LetterTopics topics = new LetterTopics(stream, endpoints)) {
                list(stream, entries(topics, selection, all), selection.json ? json : null);
            } catch (LettersException e) {
                // The letters of the other streams are worth seeing.
                err.println(e.getMessage());
                failed = true;
            }
        }
        if (selection.json) {
            out.println(json);
        }
        return failed ? 1 : 0;
    }

    private void list(StreamDefinition stream, List<Entry> entries, ArrayNode json) {
        Map<String, List<KeptLetter>> groups = new TreeMap<>();
        entries.forEach(entry -> groups.computeIfAbsent(entry.letter().reasonCode(), code -> new ArrayList<>())
                .add(entry.letter()));
        if (json == null) {
            out.println(stream.stream() + ": " + count(entries.size(), "dead letter"));
        }
        groups.forEach((code, letters) -> {
            KeptLetter newest = letters.get(letters.size() - 1);
            if (json == null) {
                out.printf(
                        "  %6d  %-22s %s to %s, such as %s: %s%n",
                        letters.size(),
                        code,
                        letters.get(0).putAside(),
                        newest.putAside(),
                        newest.position(),
                        printable(newest.reason()));
            } else {
                json.addObject()
                        .put("stream", stream.stream())
                        .put("reason-code", code)
                        .put("letters", letters.size())
                        .put("oldest", letters.get(0).putAside().toString())
                        .put("newest", newest.putAside().toString())
                        .put("position", newest.position())
                        .put("reason", newest.reason());
            }
        });
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
        Endpoints endpoints = endpoints();
        ArrayNode json = JSON.createArrayNode();
        for (StreamDefinition stream : streams(selection)) {
            try (LetterTopics topics = new LetterTopics(stream, endpoints)) {
                List<Entry> entries = entries(topics, selection, all);
                List<Entry> newest = entries.subList(Math.max(0, entries.size() - limit), entries.size());
                if (!selection.json) {
                    out.println(stream.stream() + ": newest " + newest.size() + " of "
                            + count(entries.size(), "dead letter"));
                }
                List<ObjectNode> shown = new ArrayList<>();
                withRecords(topics, newest, (entry, record) -> shown.add(0, describe(stream, entry, record)));
                shown.forEach(letter -> {
                    if (selection.json) {
                        json.add(letter);
                    } else {
                        print(letter);
                    }
                });
            }
        }
        if (selection.json) {
            out.println(json);
        }
        return 0;
    }

    private static ObjectNode describe(StreamDefinition stream, Entry entry, ConsumerRecord<byte[], byte[]> record) {
        KeptLetter letter = entry.letter();
        ObjectNode shown = JSON.createObjectNode()
                .put("stream", stream.stream())
                .put("position", letter.position())
                .put("accepted", Instant.ofEpochMilli(letter.timestamp()).toString())
                .put("put-aside", letter.putAside().toString())
                .put("state", entry.state())
                .put("reason-code", letter.reasonCode())
                .put("reason", letter.reason())
                .put("fingerprint", letter.fingerprint())
                .put("attempt", letter.attempt());
        Header omitted = record.headers().lastHeader("value-omitted");
        if (omitted != null) {
            shown.put("value-omitted", new String(omitted.value(), UTF_8));
        }
        Header key = record.headers().lastHeader("original-key");
        if (key != null) {
            put(shown, "key", key.value());
        }
        ObjectNode headers = shown.putObject("headers");
        for (Header header : record.headers()) {
            if (header.key().startsWith(SideTopics.ORIGINAL_HEADER)) {
                put(headers, header.key().substring(SideTopics.ORIGINAL_HEADER.length()), header.value());
            }
        }
        put(shown, "value", record.value());
        return shown;
    }

    /** Bytes that are text as text; others in Base64, under a name that says so. */
    private static void put(ObjectNode node, String name, byte[] bytes) {
        try {
            node.put(
                    name,
                    bytes == null
                            ? null
                            : UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString());
        } catch (CharacterCodingException e) {
            node.put(name + "-base64", bytes);
        }
    }

    private void print(ObjectNode letter) {
        out.println();
        letter.properties().forEach(field -> {
            if (field.getValue().isObject()) {
                field.getValue()
                        .properties()
                        .forEach(header -> out.printf(
                                "  %-13s %s: %s%n",
                                "header",
                                printable(header.getKey()),
                                printable(header.getValue().asText())));
            } else if (!field.getKey().equals("stream")) {
                out.printf(
                        "  %-13s %s%n",
                        field.getKey(),
                        field.getValue().isNull()
                                ? "none"
                                : printable(field.getValue().asText()));
            }
        });
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
        Endpoints endpoints = endpoints();
        ArrayNode json = JSON.createArrayNode();
        int sent = 0;
        int refused = 0;
        for (StreamDefinition stream : streams(selection)) {
            try (LetterTopics topics = new LetterTopics(stream, endpoints)) {
                List<Entry> chosen = entries(topics, selection, selection.namesOne()).stream()
                        .filter(entry -> !entry.state().equals(HandledNote.REPLAYED))
                        .toList();
                if (!selection.json) {
                    out.println(stream.stream() + ": " + count(chosen.size(), "dead letter") + " to send again");
                }
                if (chosen.isEmpty()) {
                    continue;
                }
                LetterReplay replay = new LetterReplay(stream, endpoints, topics, dryRun, (letter, result) -> {
                    if (selection.json) {
                        json.addObject()
                                .put("stream", stream.stream())
                                .put("position", letter.position())
                                .put("attempt", letter.attempt() + 1)
                                .put("result", result.sent() ? (dryRun ? "would be sent" : "sent") : "refused")
                                .put("sent-to", result.place())
                                .put("reason", result.refusal());
                    } else {
                        out.println("  " + letter.position() + "  " + printable(result.toString()));
                    }
                });
                withRecords(topics, chosen, (entry, record) -> replay.add(entry.letter(), record));
                replay.flush();
                sent += replay.sent();
                refused += replay.refused();
            }
        }
        if (selection.json) {
            out.println(json);
        } else {
            out.println((dryRun ? "would be sent again: " : "sent again: ") + sent + ", refused: " + refused);
            if (sent > 0 && !dryRun) {
                out.println("The job stores them. One that is rejected again is listed again, with its new reason.");
            }
        }
        return refused > 0 ? NOT_ALL : 0;
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
        if (selection.isEverything()) {
            throw new LettersException("discard: say which letters, at least by --stream");
        }
        Endpoints endpoints = endpoints();
        ArrayNode json = JSON.createArrayNode();
        for (StreamDefinition stream : streams(selection)) {
            try (LetterTopics topics = new LetterTopics(stream, endpoints)) {
                List<Entry> chosen = entries(topics, selection, false);
                if (!dryRun && !chosen.isEmpty()) {
                    Map<String, String> notes = new LinkedHashMap<>();
                    chosen.forEach(entry -> notes.put(entry.letter().key(), HandledNote.discarded()));
                    topics.createHandledTopic();
                    topics.handled(notes);
                }
                for (Entry entry : chosen) {
                    if (selection.json) {
                        json.addObject()
                                .put("stream", stream.stream())
                                .put("position", entry.letter().position())
                                .put("result", dryRun ? "would be discarded" : HandledNote.DISCARDED);
                    }
                }
                if (!selection.json) {
                    out.println(stream.stream() + ": " + count(chosen.size(), "dead letter")
                            + (dryRun ? " would be discarded" : " discarded"));
                }
            }
        }
        if (selection.json) {
            out.println(json);
        }
        return 0;
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

    /** The letters that are meant, each once, the oldest first. */
    private List<Entry> entries(LetterTopics topics, Selection selection, boolean all) {
        Map<String, KeptLetter> letters = new LinkedHashMap<>();
        Map<String, Integer> attempts = new HashMap<>();
        int[] others = {0};
        topics.letters(record -> {
            KeptLetter letter = KeptLetter.of(record);
            if (letter == null) {
                others[0]++;
            } else {
                // A recovery of the job writes some of them a second time.
                letters.putIfAbsent(letter.key(), letter);
                attempts.merge(letter.original(), letter.attempt(), Math::max);
            }
            return true;
        });
        if (others[0] > 0) {
            err.println(topics.deadLettersTopic() + ": " + count(others[0], "record")
                    + " without the headers of a dead letter left out");
        }
        Map<String, String> handled = topics.handled();
        return letters.values().stream()
                .filter(selection::matches)
                .map(letter -> new Entry(letter, state(letter, handled, attempts)))
                .filter(entry -> all || entry.isOpen())
                .sorted(Comparator.comparing(entry -> entry.letter().putAside()))
                .toList();
    }

    private static String state(KeptLetter letter, Map<String, String> handled, Map<String, Integer> attempts) {
        String note = handled.get(letter.key());
        if (note != null) {
            return HandledNote.action(note);
        }
        // It was sent again, and rejected again, without a note: the command was killed in between.
        return attempts.get(letter.original()) > letter.attempt() ? HandledNote.REPLAYED : Entry.OPEN;
    }

    /** What to do with a letter once its record is there. */
    private interface WithRecord {
        void accept(Entry entry, ConsumerRecord<byte[], byte[]> record);
    }

    /** Reads the topic again, for the values of some letters: those of all would not fit into memory. */
    private static void withRecords(LetterTopics topics, Collection<Entry> entries, WithRecord action) {
        Map<String, Entry> wanted = new HashMap<>();
        entries.forEach(entry -> wanted.put(
                entry.letter().letterPartition() + ":" + entry.letter().letterOffset(), entry));
        if (wanted.isEmpty()) {
            return;
        }
        topics.letters(record -> {
            Entry entry = wanted.remove(record.partition() + ":" + record.offset());
            if (entry != null) {
                action.accept(entry, record);
            }
            return !wanted.isEmpty();
        });
    }

    private static String count(int number, String noun) {
        return number + " " + noun + (number == 1 ? "" : "s");
    }

    /** Text of strangers for a terminal: without what would control it, and not endless. */
    private static String printable(String text) {
        String cut = text.length() <= MAX_SHOWN_CHARS
                ? text
                : text.substring(0, MAX_SHOWN_CHARS) + "… (" + text.length() + " characters; --json has all)";
        return UNPRINTABLE
                .matcher(cut)
                .replaceAll(control ->
                        String.format("\\\\u%04x", (int) control.group().charAt(0)));
    }
}
