package io.github.eventdedup.local.benchmark;

import io.github.eventdedup.local.system.RunState;
import io.github.eventdedup.local.testing.RunningSystem;
import io.github.eventdedup.servers.FreshDirectory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * How fast rows that are there reach ClickHouse through relay, Kafka and Flink on the whole local system, and what a row costs
 * each process. Not a test: run it with {@code -Plogins-benchmark -Dbenchmark.args="ROWS ROWS …"}, a number for each round.
 */
public final class LoginsBenchmark {

    private static final List<String> PARTS = List.of("relay", "kafka", "postgres", "taskmanager", "clickhouse");

    private LoginsBenchmark() {}

    public static void main(String[] arguments) throws Exception {
        List<String> rounds = arguments.length == 0 ? List.of("100000", "100000", "1000000") : List.of(arguments);
        Path directory = Files.createTempDirectory("logins-benchmark");
        try (RunningSystem system = new RunningSystem(directory.resolve("data"))) {
            System.out.printf("%9s %8s %8s   CPU, µs a row:%n", "rows", "seconds", "rows/s");
            long stored = 0;
            for (String rows : rounds) {
                stored += Integer.parseInt(rows);
                measure(system, Integer.parseInt(rows), stored);
            }
        } finally {
            FreshDirectory.delete(directory);
        }
    }

    /** From the commit that makes them all visible at once. */
    private static void measure(RunningSystem system, int rows, long stored) throws Exception {
        system.execute("INSERT INTO user_logins (username, event_type, event_time) SELECT 'user' || n % 1000, 'login',"
                + " timestamp '2025-11-12 13:53:51' + n * interval '1 second' FROM generate_series(1, " + rows + ") n");
        Map<String, Duration> before = cpu(system);
        long start = System.nanoTime();
        while (!system.logins.clickHouse("SELECT count() FROM user_logins").equals(List.of(Long.toString(stored)))) {
            Thread.sleep(20);
        }
        double seconds = (System.nanoTime() - start) / 1e9;
        Map<String, Duration> after = cpu(system);
        System.out.printf("%9d %8.1f %8.0f  ", rows, seconds, rows / seconds);
        after.forEach((part, cpu) ->
                System.out.printf(" %s %.1f", part, cpu.minus(before.get(part)).toNanos() / 1e3 / rows));
        System.out.println();
        system.logins.awaitStored();
    }

    private static Map<String, Duration> cpu(RunningSystem system) {
        RunState state = new RunState(system.dedup.layout().run());
        Map<String, Duration> cpu = new LinkedHashMap<>();
        for (String part : PARTS) {
            ProcessHandle process = state.process(part).orElseThrow();
            cpu.put(
                    part,
                    Stream.concat(Stream.of(process), process.descendants())
                            .map(it -> it.info().totalCpuDuration().orElse(Duration.ZERO))
                            .reduce(Duration.ZERO, Duration::plus));
        }
        return cpu;
    }
}
