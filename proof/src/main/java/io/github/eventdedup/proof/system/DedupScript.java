package io.github.eventdedup.proof.system;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * The command {@code ./dedup} for one system, as an operator calls it. The script gives what {@code up} starts a process
 * group of its own, which Ctrl-C in this terminal does not reach. One command that writes to the log at a time.
 *
 * @param script the command
 * @param data the system's data directory
 * @param portOffset added to every port of the system
 * @param log what the commands print, appended
 */
public record DedupScript(Path script, Path data, int portOffset, Path log) {

    /** All of it runs; some does not; nothing runs. */
    private static final Set<Integer> STATUS_KNOWN = Set.of(0, 3, 4);

    /** The project's root. */
    public Path home() {
        return script.toAbsolutePath().getParent();
    }

    /** Something in the project, as an operator names it. */
    public Path file(String path) {
        return home().resolve(path);
    }

    /**
     * Runs a command that has to succeed.
     *
     * @throws ProofException where the command fails, with what it printed last
     */
    public void succeed(String... command) throws IOException, InterruptedException {
        String unused = output(command);
    }

    /**
     * Runs a command that has to succeed.
     *
     * @return what it printed
     * @throws ProofException where the command fails, with what it printed last
     */
    public String output(String... command) throws IOException, InterruptedException {
        long begin = Files.exists(log) ? Files.size(log) : 0;
        // Into a file: what is left running would keep a pipe open.
        int status = process(command)
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()))
                .start()
                .waitFor();
        String output = since(begin);
        if (status != 0) {
            List<String> lines = output.lines().toList();
            throw new ProofException("./dedup " + String.join(" ", command) + " ended with status " + status + ": "
                    + String.join(System.lineSeparator(), lines.subList(Math.max(0, lines.size() - 5), lines.size())));
        }
        return output;
    }

    /**
     * What {@code status --json} reports.
     *
     * @throws ProofException where that cannot be told
     */
    public SystemStatus status() throws IOException, InterruptedException {
        Process process = process("status", "--json")
                .redirectError(
                        Files.isDirectory(log.toAbsolutePath().getParent())
                                ? ProcessBuilder.Redirect.appendTo(log.toFile())
                                : ProcessBuilder.Redirect.INHERIT)
                .start();
        String json = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        int status = process.waitFor();
        if (!STATUS_KNOWN.contains(status)) {
            throw new ProofException("./dedup status ended with status " + status);
        }
        return SystemStatus.parse(json);
    }

    private ProcessBuilder process(String... command) {
        List<String> line = new ArrayList<>(List.of(script.toString()));
        line.addAll(List.of(command));
        line.addAll(List.of("--data-dir", data.toString(), "--port-offset", "" + portOffset));
        ProcessBuilder builder =
                new ProcessBuilder(line).redirectInput(Path.of("/dev/null").toFile());
        // They are for this process; the command has its own way to know.
        builder.environment().keySet().removeIf(name -> name.startsWith("DEDUP_"));
        return builder;
    }

    private String since(long begin) throws IOException {
        try (RandomAccessFile file = new RandomAccessFile(log.toFile(), "r")) {
            file.seek(begin);
            byte[] bytes = new byte[(int) (file.length() - begin)];
            file.readFully(bytes);
            return new String(bytes, StandardCharsets.UTF_8);
        }
    }
}
