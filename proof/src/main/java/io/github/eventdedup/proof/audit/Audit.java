package io.github.eventdedup.proof.audit;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.event.ClickHouseTable;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.proof.audit.records.StreamReport;
import io.github.eventdedup.proof.system.Endpoints;
import io.github.eventdedup.proof.system.Progress;
import io.github.eventdedup.proof.system.ProofException;
import io.github.eventdedup.proof.system.TimeConverter;
import io.github.eventdedup.proof.system.TopicReader;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * The command {@code ./dedup audit}: reads the whole raw topic, decides for itself what must be stored, and compares that
 * with what is. It takes from the project what an event is ({@link io.github.eventdedup.event}), and nothing of the job.
 */
@Command(
        name = "audit",
        mixinStandardHelpOptions = true,
        sortOptions = false,
        description = {
            "Check that every event is stored exactly once.",
            "",
            "Reads the whole raw topic of each stream, decides for itself which events must be stored, and compares row by row with the"
                    + " table: missing, extra, different rows, and escapes. Every record of the topic must be a row, a duplicate that"
                    + " is in the duplicates topic, or a dead letter. With a ledger, every acknowledged event must be in the topic.",
            "",
            "Events that arrive during the audit are left out. ClickHouse's rows do not say where they came from: while events keep"
                    + " arriving at such a stream, rows of theirs are reported as extra, and the report says so.",
            "",
            "Exits with 0 only where all is exact; with 1 where something is broken, with the first offenders of each kind, or where"
                    + " the audit is not possible.",
            ""
        })
public final class Audit implements Callable<Integer> {

    /** The stream that a load sends to. */
    static final String LEDGER_STREAM = "view-events";

    private static final Duration LOOK_AGAIN = Duration.ofSeconds(2);

    /** Retention deletes a segment every few minutes at most. */
    private static final int MAX_REMOVALS = 10;

    @Option(
            names = "--stream",
            paramLabel = "NAME",
            description =
                    "A stream to audit; may be given again. Default: all. Where ClickHouse was left out, name the others.")
    private List<String> streams = new ArrayList<>();

    @Option(
            names = "--ledger",
            paramLabel = "FILE",
            description =
                    "What a client was told, as ./dedup load writes it; may be given again. The load must have ended.")
    private List<Path> ledgers = new ArrayList<>();

    @Option(names = "--json", paramLabel = "FILE", description = "Write what was found here too, for programs.")
    private Path json;

    @Option(
            names = "--wait",
            paramLabel = "TIME",
            defaultValue = "2m",
            converter = TimeConverter.class,
            description =
                    "How long the job may take to catch up with the topic, such as 30s or 2m. Default: ${DEFAULT-VALUE}.")
    private Duration wait;

    @Option(
            names = "--temp",
            paramLabel = "DIR",
            description =
                    "Where temporary files go, up to 300 bytes for each record of the topic. Default: where the system has them.")
    private Path temporary;

    private final Map<String, String> environment;
    private final PrintStream out;
    private final PrintStream err;

    Audit() {
        this(System.getenv(), System.out, System.err);
    }

    Audit(Map<String, String> environment, PrintStream out, PrintStream err) {
        this.environment = environment;
        this.out = out;
        this.err = err;
    }

    @Override
    public Integer call() throws ConfigurationException {
        Endpoints endpoints = Endpoints.of(environment);
        List<StreamDefinition> chosen = chosen(endpoints.streams());
        Path directory = temporaryDirectory();
        Thread atExit = new Thread(() -> delete(directory));
        Runtime.getRuntime().addShutdownHook(atExit);
        List<StreamReport> reports = new ArrayList<>();
        Progress progress = new Progress(err);
        try (TopicReader topics = new TopicReader(endpoints.kafkaBootstrapServers(), progress)) {
            for (StreamDefinition stream : chosen) {
                StreamReport report = audit(endpoints, stream, topics, directory, progress);
                print(report);
                reports.add(report);
            }
        } finally {
            delete(directory);
            Runtime.getRuntime().removeShutdownHook(atExit);
        }
        boolean exact = reports.stream().allMatch(StreamReport::isExact);
        if (json != null) {
            write(reports, exact);
        }
        out.println(exact ? "exact" + reservations(reports) : "broken: " + summary(reports));
        return exact ? 0 : 1;
    }

    private Path temporaryDirectory() {
        try {
            return temporary == null
                    ? Files.createTempDirectory("audit")
                    : Files.createTempDirectory(Files.createDirectories(temporary), "audit");
        } catch (IOException e) {
            throw new ProofException("--temp: cannot make files there (" + e + ")", e);
        }
    }

    private List<StreamDefinition> chosen(Map<String, StreamDefinition> all) {
        List<StreamDefinition> chosen = new ArrayList<>();
        for (String name : streams.isEmpty()
                ? List.copyOf(all.keySet())
                : streams.stream().distinct().toList()) {
            StreamDefinition stream = all.get(name);
            if (stream == null) {
                throw new ProofException(
                        "--stream: there is no stream '" + name + "'; there are " + String.join(", ", all.keySet()));
            }
            chosen.add(stream);
        }
        if (chosen.isEmpty()) {
            throw new ProofException("DEDUP_STREAMS_DIR: there is no stream to audit");
        }
        if (!ledgers.isEmpty() && chosen.stream().noneMatch(it -> it.stream().equals(LEDGER_STREAM))) {
            throw new ProofException("--ledger: is about the stream " + LEDGER_STREAM + ", which is not audited");
        }
        return chosen;
    }

    /**
     * Looks again where ClickHouse may only be late: its rows are inserted, and what it refuses becomes a dead letter, after
     * the checkpoint that the audit has waited for.
     */
    private StreamReport audit(
            Endpoints endpoints, StreamDefinition stream, TopicReader topics, Path directory, Progress progress) {
        List<Path> itsLedgers = stream.stream().equals(LEDGER_STREAM) ? ledgers : List.of();
        Instant deadline = Instant.now().plus(wait);
        int removals = 0;
        while (true) {
            Path files = directory.resolve(stream.stream());
            StreamReport report;
            try {
                report = new StreamAudit(endpoints, stream, topics, files, progress).run(itsLedgers, deadline);
            } catch (TopicReader.RemovedWhileReadException e) {
                if (++removals == MAX_REMOVALS) {
                    throw e;
                }
                progress.say(() -> stream.stream() + ": records were removed while they were read, starting again");
                continue;
            } finally {
                delete(files);
            }
            boolean again = stream.table() instanceof ClickHouseTable
                    && report.mayPass()
                    && Instant.now().plus(LOOK_AGAIN).isBefore(deadline);
            if (!again) {
                return report;
            }
            progress.say(() -> stream.stream() + ": not exact yet (" + report.getBroken()
                    + "); ClickHouse has rows after the checkpoint, looking again");
            TopicReader.pause(LOOK_AGAIN);
        }
    }

    private void print(StreamReport report) {
        out.println(report.stream);
        line("records in the topic", report.raw, "");
        line("= rows", report.stored, String.format(Locale.ROOT, "of %,d that must be there", report.unique));
        line("+ duplicates", report.duplicates, "");
        line(
                "+ dead letters",
                report.deadLetters,
                report.replayed == 0 ? "" : String.format(Locale.ROOT, "%,d records are replays", report.replayed));
        if (report.afterWindow > 0) {
            line("+ sent again after the window", report.afterWindow, "their row is that of the first");
        }
        if (report.getDeadLettersOpen() > 0) {
            line(
                    "DEAD LETTERS OPEN",
                    report.getDeadLettersOpen(),
                    "replay or discard them: "
                            + report.getDeadLettersOpenByReasonCode().entrySet().stream()
                                    .map(it -> it.getValue() + " " + it.getKey())
                                    .collect(Collectors.joining(", ")));
        }
        line("missing", report.getMissing(), "");
        line("extra", report.getExtra(), "");
        line("different", report.getDifferent(), "");
        line("escapes", report.getEscapes(), "");
        if (report.acknowledged != null) {
            line(
                    "acknowledged",
                    report.acknowledged,
                    report.getAcknowledgedMissing() + " of them missing; " + report.acknowledgedStored + " stored, "
                            + report.acknowledgedDuplicates + " duplicates, " + report.acknowledgedDeadLetters
                            + " dead letters; the ledger also has " + report.unknown + " unknown and " + report.invalid
                            + " invalid");
        }
        if (report.sent != null) {
            line("flagged as sent", report.sent, "");
        }
        if (report.unchecked > 0) {
            line("unchecked", report.unchecked, "for the topics no longer hold what they are about");
        }
        if (report.withoutRecord > 0) {
            line("without a record", report.withoutRecord, "offsets of transactions: markers, and what was aborted");
        }
        if (report.unaccounted != null && report.unaccounted > 0) {
            line(
                    "not accounted for",
                    report.unaccounted,
                    "offsets before the start of the topic that no row, duplicate or dead letter names: "
                            + String.join(", ", report.unaccountedOffsets)
                            + (report.retentionLost == null ? "; the job cannot be asked whether it read them" : ""));
        }
        if (report.later > 0) {
            line("left out", report.later, "came while the audit ran");
        }
        for (StreamReport.Offender it : report.getOffenders()) {
            out.printf(
                    "  %-24s %s %s %s%n",
                    it.kind(),
                    it.offset() == null ? "-" : it.partition() + ":" + it.offset(),
                    it.fingerprint() == null ? "-" : it.fingerprint(),
                    it.detail());
        }
    }

    private void line(String what, long count, String more) {
        out.println(String.format(Locale.ROOT, "  %-30s %,14d  %s", what, count, more)
                .stripTrailing());
    }

    /** What must not be overlooked where nothing is broken. */
    private static String reservations(List<StreamReport> reports) {
        long open = reports.stream().mapToLong(StreamReport::getDeadLettersOpen).sum();
        long unaccounted = reports.stream()
                .mapToLong(it -> it.unaccounted == null ? 0 : it.unaccounted)
                .sum();
        List<String> parts = new ArrayList<>();
        if (open > 0) {
            parts.add(open + " dead letters are open, their events are not stored: replay or discard them"
                    + " (./dedup dead-letters)");
        }
        if (unaccounted > 0) {
            parts.add(unaccounted + " offsets that the topic no longer has are not accounted for");
        }
        return parts.isEmpty() ? "" : ", but " + String.join("; ", parts);
    }

    private static String summary(List<StreamReport> reports) {
        List<String> parts = new ArrayList<>();
        for (StreamReport report : reports) {
            report.getBroken().forEach((kind, count) -> parts.add(count + " " + kind + " in " + report.stream));
        }
        return String.join(", ", parts);
    }

    private void write(List<StreamReport> reports, boolean exact) {
        Map<String, Object> all = new LinkedHashMap<>();
        all.put("verdict", exact ? "exact" : "broken");
        all.put("streams", reports);
        try {
            if (json.toAbsolutePath().getParent() != null) {
                Files.createDirectories(json.toAbsolutePath().getParent());
            }
            new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT).writeValue(json.toFile(), all);
        } catch (IOException e) {
            throw new ProofException("cannot write " + json + " (" + e + ")", e);
        }
    }

    private static void delete(Path directory) {
        if (!Files.exists(directory)) {
            return;
        }
        try (var files = Files.walk(directory)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                try {
                    Files.deleteIfExists(file);
                } catch (IOException e) {
                    // A writer at work has made it anew: on with the next.
                }
            }
        } catch (IOException | UncheckedIOException e) {
            // At exit, with a writer still at work: what is left lies where temporary files are.
        }
    }
}
