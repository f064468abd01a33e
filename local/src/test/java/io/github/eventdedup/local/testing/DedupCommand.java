package io.github.eventdedup.local.testing;

import io.github.eventdedup.local.system.Layout;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;

/** The real {@code ./dedup} for a system of its own: a data directory and ports nobody else uses. */
public record DedupCommand(Path home, Path data, int portOffset) {

    public static final Path HOME =
            Path.of(System.getProperty("basedir", "")).toAbsolutePath().getParent();

    /** What a call printed, both streams together, and how it ended. */
    public record Result(int status, String output) {}

    public static DedupCommand in(Path data) {
        return in(HOME, data);
    }

    /**
     * The command for a data directory.
     *
     * @param home where the project is, or something that looks like it
     */
    public static DedupCommand in(Path home, Path data) {
        for (int attempt = 0; attempt < 100; attempt++) {
            DedupCommand command =
                    new DedupCommand(home, data, ThreadLocalRandom.current().nextInt(1_000, 20_000));
            if (command.layoutPorts().stream().allMatch(DedupCommand::isFree)) {
                return command;
            }
        }
        throw new IllegalStateException("no free ports");
    }

    public Layout layout() {
        return new Layout(home, data, portOffset, true);
    }

    public List<Integer> layoutPorts() {
        Layout layout = layout();
        return List.of(
                layout.kafkaPort(),
                layout.postgresPort(),
                layout.clickHousePort(),
                layout.flinkPort(),
                layout.zooKeeperPort(),
                layout.ingestPort());
    }

    public Result call(String... arguments) throws IOException, InterruptedException {
        List<String> line = new ArrayList<>(List.of(home.resolve("dedup").toString()));
        line.addAll(List.of(arguments));
        line.addAll(List.of("--data-dir", data.toString(), "--port-offset", Integer.toString(portOffset)));
        Path output = Files.createTempFile(data.getParent(), "dedup", ".out");
        try {
            // Into a file: waiting for the end of a pipe would also notice a part that has inherited it.
            Process process = new ProcessBuilder(line)
                    .directory(HOME.toFile())
                    .redirectErrorStream(true)
                    .redirectOutput(output.toFile())
                    .start();
            int status = process.waitFor();
            return new Result(status, withoutToolOptions(Files.readString(output, StandardCharsets.UTF_8)));
        } finally {
            Files.delete(output);
        }
    }

    /** What each JVM says first that finds the options of the build's tests in its environment. */
    private static String withoutToolOptions(String output) {
        return output.replaceAll("(?m)^Picked up JAVA_TOOL_OPTIONS: .*\\R", "");
    }

    /** Every process whose command line names the data directory. */
    public List<ProcessHandle> processes() {
        return ProcessHandle.allProcesses()
                .filter(process -> process.pid() != ProcessHandle.current().pid())
                .filter(process -> process.info()
                        .commandLine()
                        .map(line -> line.contains(data.toString()))
                        .orElse(false))
                .toList();
    }

    public static boolean isFree(int port) {
        try (ServerSocket socket = new ServerSocket(port, 1, InetAddress.getLoopbackAddress())) {
            return socket.isBound();
        } catch (IOException e) {
            return false;
        }
    }
}
