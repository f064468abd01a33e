package io.github.eventdedup.local.system;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * The script {@code ./dedup} for one system. By the script, not by Java: it gives what {@code up} starts a process group of
 * its own, which Ctrl-C in this terminal does not reach.
 *
 * @param log what the commands say, appended
 */
public record DedupScript(Layout layout, Path log) {

    /**
     * Runs a command that has to succeed.
     *
     * @throws LocalException where the command fails, with what it said last
     */
    public void succeed(String... command) throws IOException {
        List<String> line =
                new ArrayList<>(List.of(layout.home().resolve("dedup").toString()));
        line.addAll(List.of(command));
        line.addAll(List.of("--data-dir", layout.data().toString(), "--port-offset", "" + layout.portOffset()));
        int status;
        try {
            // Into a file: what is left running would keep a pipe open.
            status = new ProcessBuilder(line)
                    .redirectInput(Path.of("/dev/null").toFile())
                    .redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()))
                    .start()
                    .waitFor();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new LocalException("interrupted", e);
        }
        if (status != 0) {
            List<String> said = Files.readAllLines(log, StandardCharsets.UTF_8);
            throw new LocalException("./dedup " + String.join(" ", command) + " ended with status " + status + ": "
                    + String.join(System.lineSeparator(), said.subList(Math.max(0, said.size() - 5), said.size())));
        }
    }
}
