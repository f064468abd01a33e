package io.github.eventdedup.servers;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.util.List;
import java.util.stream.Stream;

/**
 * A main method that has run to its end in a JVM of its own, on this one's class path.
 *
 * @param exitCode 0 where the process has done what it was asked
 * @param output standard output and standard error
 */
public record MainProcess(int exitCode, String output) {

    /** Runs the main method of a class with these arguments and without settings of the project. */
    public static MainProcess run(Class<?> main, String... arguments) throws IOException, InterruptedException {
        String java = ProcessHandle.current().info().command().orElse("java");
        List<String> jvm = List.of(java, "-XX:TieredStopAtLevel=1", "-cp", ChildProcess.classPath(), main.getName());
        ProcessBuilder builder = new ProcessBuilder(
                Stream.concat(jvm.stream(), Stream.of(arguments)).toList());
        builder.redirectErrorStream(true).environment().keySet().removeIf(name -> name.startsWith("DEDUP_"));
        Process process = builder.start();
        ChildProcess.killAtExit(process);
        process.getOutputStream().close();
        String output = new String(process.getInputStream().readAllBytes(), UTF_8);
        return new MainProcess(process.waitFor(), output);
    }
}
