package io.github.eventdedup.proof.prove;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.eventdedup.proof.prove.faults.Fault;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalLong;
import java.util.stream.Collectors;

/**
 * A run as people and programs read it.
 *
 * @param load what the load has left
 * @param audit what the last audit has left
 * @param logins counts of the rows that were inserted for the other stream
 */
record ProofReport(
        Verdict verdict,
        Run run,
        Faults faults,
        RunDirectory.Result load,
        RunDirectory.Result audit,
        Map<String, Long> logins,
        Machine machine) {

    private static final ObjectMapper JSON = new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);

    /**
     * Which run it was.
     *
     * @param command what repeats it
     * @param begin when it began, in milliseconds since the epoch
     */
    record Run(String command, long seed, long begin, double seconds) {}

    /**
     * What became of the plan.
     *
     * @param skipped faults of the plan there was no time left for
     */
    record Faults(List<InjectedFault> injected, int skipped) {}

    /** Writes report.md, report.json and plot.svg. */
    void write(Path directory, List<Sample> views, List<Sample> loginSamples) throws IOException {
        String title = (verdict.isProved() ? "PROVED" : "BROKEN") + ", seed " + run.seed() + ", "
                + faults.injected().size()
                + " faults, " + Instant.ofEpochMilli(run.begin());
        Files.writeString(
                directory.resolve("plot.svg"),
                Plot.svg(title, views, loginSamples, faults.injected()),
                StandardCharsets.UTF_8);
        Files.writeString(directory.resolve("report.json"), json() + System.lineSeparator(), StandardCharsets.UTF_8);
        Files.writeString(directory.resolve("report.md"), markdown(), StandardCharsets.UTF_8);
    }

    String json() throws IOException {
        ObjectNode report = JSON.createObjectNode();
        report.put("verdict", verdict.isProved() ? "proved" : "broken");
        report.set("problems", JSON.valueToTree(verdict.problems()));
        report.set("streams", JSON.valueToTree(verdict.streams()));
        report.put("command", run.command());
        report.put("seed", run.seed());
        report.put("begin", Instant.ofEpochMilli(run.begin()).toString());
        report.put("seconds", run.seconds());
        ArrayNode timeline = report.putArray("faults");
        for (InjectedFault happened : faults.injected()) {
            Fault fault = happened.fault();
            ObjectNode entry = timeline.addObject();
            entry.put("number", timeline.size());
            entry.put("kind", fault.kind().word());
            entry.put("atSeconds", (happened.begin() - run.begin()) / 1000.0);
            entry.put("plannedSecond", fault.second());
            entry.put("early", fault.early());
            entry.set("killed", JSON.valueToTree(fault.killed()));
            entry.set("paused", JSON.valueToTree(fault.paused()));
            if (fault.kind() == Fault.Kind.RESCALE) {
                entry.put("stream", fault.stream());
                entry.put("parallelism", fault.parallelism());
            }
            if (fault.kind() == Fault.Kind.REJECT) {
                entry.put("stream", fault.stream());
            }
            if (fault.kind() == Fault.Kind.CLOCK) {
                entry.put("stepSeconds", fault.stepSeconds());
            }
            entry.put("tookSeconds", (happened.end() - happened.begin()) / 1000.0);
            if (happened.recoveryMillis().isPresent()) {
                entry.put("recoverySeconds", happened.recoveryMillis().getAsLong() / 1000.0);
            } else {
                entry.putNull("recoverySeconds");
            }
            if (!happened.failure().isEmpty()) {
                entry.put("failure", happened.failure());
            }
        }
        report.put("faultsSkipped", faults.skipped());
        report.set("load", load.json());
        report.set("logins", JSON.valueToTree(logins));
        report.set("audit", audit.json());
        report.set("machine", JSON.valueToTree(machine.versions()));
        report.set("bytes", JSON.valueToTree(machine.bytes()));
        return JSON.writeValueAsString(report);
    }

    String markdown() {
        StringBuilder text = new StringBuilder();
        text.append("# ").append(verdict.isProved() ? "PROVED" : "BROKEN").append("\n\n");
        text.append(
                verdict.isProved()
                        ? "Every event that was acknowledged is stored exactly once, and nothing else is.\n"
                        : "This is not as it has to be:\n\n");
        verdict.problems()
                .forEach(problem -> text.append("- ").append(cell(problem)).append('\n'));
        text.append("\n| stream | lost | duplicates | escapes |\n| --- | ---: | ---: | ---: |\n");
        verdict.streams()
                .forEach(stream -> text.append(format(
                        "| %s | %d | %d | %d |\n",
                        stream.stream(), stream.lost(), stream.duplicates(), stream.escapes())));
        text.append(
                "\nDuplicates are rows that are too many, escapes those copies that only the table's key kept out. How many"
                        + " were dropped as they must be is counted below.\n");
        text.append(format(
                "\n%d faults in %.1f minutes, seed %d, %s. Again with the same faults:\n\n    %s\n",
                faults.injected().size(),
                run.seconds() / 60,
                run.seed(),
                Instant.ofEpochMilli(run.begin()),
                run.command()));
        text.append("\n![Throughput and lag of the run, its faults marked](plot.svg)\n\n## Faults\n\n");
        faults(text);
        text.append("\n## What the load measured\n\n");
        verbatim(text, load.text());
        text.append("\nMeanwhile, in user_logins: ")
                .append(logins.entrySet().stream()
                        .map(count -> format("%,d %s", count.getValue(), count.getKey()))
                        .collect(Collectors.joining(", ")))
                .append(".\n\n## What the audit found\n\n");
        verbatim(text, audit.text());
        text.append("\n## Machine and versions\n\n| | |\n| --- | --- |\n");
        machine.versions().forEach((name, value) -> row(text, name, value));
        text.append("\n## On disk at the end\n\n| | MB |\n| --- | ---: |\n");
        machine.bytes().forEach((name, size) -> row(text, name, format("%.1f", size / 1e6)));
        text.append(
                "\nWritten with it: `report.json`, the samples of each second (`samples.csv`, `logins.csv`), what became of"
                        + " every event (`ledger`), `load.json`, `audit.json`, and what the commands said.\n");
        return text.toString();
    }

    private void faults(StringBuilder text) {
        if (faults.injected().isEmpty()) {
            text.append("None.\n");
            return;
        }
        text.append("| | at | what | took | recovered after |\n| ---: | ---: | --- | ---: | ---: |\n");
        for (int i = 0; i < faults.injected().size(); i++) {
            InjectedFault happened = faults.injected().get(i);
            OptionalLong recovery = happened.recoveryMillis();
            text.append(format(
                    "| %d | %s | %s%s | %.1f s | %s |\n",
                    i + 1,
                    minutes(happened.begin() - run.begin()),
                    happened.fault().what(),
                    happened.failure().isEmpty() ? "" : ": could not be done",
                    (happened.end() - happened.begin()) / 1000.0,
                    recovery.isPresent() ? format("%.1f s", recovery.getAsLong() / 1000.0) : "not while the load ran"));
        }
        text.append(
                "\nRecovered: rows of both streams come again and wait for less than 5 s. Counted from kill -9, from"
                        + " SIGCONT, and where a command was given from the command. A fault that comes before the system has"
                        + " recovered from the one before is part of the plan; the recovery of the first then takes as long as"
                        + " that of the second.\n");
        if (faults.skipped() > 0) {
            text.append(format("There was no time left for %d more of the plan.\n", faults.skipped()));
        }
    }

    private static void verbatim(StringBuilder text, String said) {
        (said.isBlank() ? "Nothing." : said)
                .lines()
                .forEach(line -> text.append("    ").append(line).append('\n'));
    }

    private static void row(StringBuilder text, String name, String value) {
        text.append("| ").append(cell(name)).append(" | ").append(cell(value)).append(" |\n");
    }

    /** What must not end a cell of a table. */
    private static String cell(String text) {
        return text.replace("|", "\\|").replaceAll("\\R", " ");
    }

    private static String minutes(long millis) {
        return format("%d:%02d", millis / 60_000, millis / 1000 % 60);
    }

    private static String format(String format, Object... values) {
        return String.format(Locale.ROOT, format, values);
    }
}
