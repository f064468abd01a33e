package io.github.eventdedup.proof.prove;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Where a run writes, the processes that write there, and what the user sees meanwhile. */
final class RunDirectory {

    /** Of the load. */
    static final String SAMPLES = "samples.csv";

    /** Of the rows that are inserted for the relay. */
    static final String LOGINS = "logins.csv";

    static final String LEDGER = "ledger";

    private static final DateTimeFormatter STAMP =
            DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'", Locale.ROOT).withZone(ZoneOffset.UTC);
    private static final ObjectMapper JSON = new ObjectMapper();

    private final Path path;
    private final PrintStream out;

    /** The load, then the audit. */
    private volatile Process child;

    RunDirectory(Path reports, long seed, PrintStream out) {
        path = reports.resolve("prove-" + STAMP.format(Instant.now()) + "-seed" + seed)
                .toAbsolutePath();
        this.out = out;
    }

    /**
     * What a process of a run has left.
     *
     * @param status its exit code
     * @param lastLine of its log
     * @param json what it wrote for programs; a missing node where it wrote nothing
     * @param text what it wrote for people
     */
    record Result(int status, String lastLine, JsonNode json, String text) {}

    void create() throws IOException {
        Files.createDirectories(path);
    }

    Path path() {
        return path;
    }

    Path file(String name) {
        return path.resolve(name);
    }

    List<Sample> samples() throws IOException {
        return Sample.read(file(SAMPLES));
    }

    List<Sample> logins() throws IOException {
        return Sample.read(file(LOGINS));
    }

    /**
     * Starts a command of this program as a process of its own. Its result for people goes to a file .txt of its name, for
     * programs to one .json, progress and errors to one .log.
     */
    Process start(String command, String... arguments) throws IOException {
        List<String> line = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:+UseSerialGC",
                "-Xmx1g",
                "-jar",
                Path.of(System.getProperty("java.class.path")).toAbsolutePath().toString(),
                command,
                "--json",
                command + ".json"));
        line.addAll(List.of(arguments));
        child = new ProcessBuilder(line)
                .directory(path.toFile())
                .redirectInput(Path.of("/dev/null").toFile())
                .redirectOutput(file(command + ".txt").toFile())
                .redirectError(file(command + ".log").toFile())
                .start();
        return child;
    }

    /** What a command that has ended has left. */
    Result result(String command, int status) throws IOException {
        return new Result(
                status,
                text(command + ".log").lines().filter(line -> !line.isBlank()).reduce("", (before, line) -> line),
                json(command),
                text(command + ".txt"));
    }

    JsonNode json(String command) throws IOException {
        Path file = file(command + ".json");
        return Files.exists(file) && Files.size(file) > 0 ? JSON.readTree(file.toFile()) : MissingNode.getInstance();
    }

    private String text(String name) throws IOException {
        Path file = file(name);
        // Whatever the encoding: a report with an odd letter is better than none.
        return Files.exists(file) ? new String(Files.readAllBytes(file), StandardCharsets.UTF_8) : "";
    }

    /** Ends the process that was started last, where it still runs. */
    void abandon() {
        Process running = child;
        if (running != null) {
            running.destroy();
        }
    }

    /** Tells the user what happens, with the time. */
    void log(String line) {
        out.printf("%s  %s%n", Instant.now().toString().substring(11, 19), line);
        out.flush();
    }

    /** Tells the user the result. */
    void print(String line) {
        out.println(line);
    }
}
