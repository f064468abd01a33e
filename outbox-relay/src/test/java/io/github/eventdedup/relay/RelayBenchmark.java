package io.github.eventdedup.relay;

import io.github.eventdedup.servers.PostgresServer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.Statement;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import org.apache.kafka.clients.admin.NewTopic;

/**
 * How fast a relay process sends rows that are there, and what a row costs in CPU. Not a test: run it with {@code
 * -Pbenchmark -Dbenchmark=RelayBenchmark -Dbenchmark.args=ROWS}. The first line of figures has the start of the JVM in it.
 */
public final class RelayBenchmark {

    private RelayBenchmark() {}

    public static void main(String[] arguments) throws Exception {
        int rows = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 1_000_000;
        boolean snapshot = arguments.length > 1 && arguments[1].equals("snapshot");
        Path directory = Files.createTempDirectory("relay-benchmark");
        try (TestServers.Running servers = TestServers.Running.start(directory);
                Connection connection = servers.connect();
                Connection old = servers.connect();
                Statement statement = connection.createStatement()) {
            servers.kafka().createTopics(new NewTopic("user-logins", Optional.of(4), Optional.empty()));
            statement.execute("INSERT INTO user_logins (username, event_type, event_time) SELECT 'user-' || n % 1000,"
                    + " 'login', timestamp '2025-11-12 16:33:51' + n * interval '1 millisecond'"
                    + " FROM generate_series(1, " + rows + ") n");
            statement.execute("VACUUM ANALYZE user_logins");
            statement.execute("CHECKPOINT");
            if (snapshot) {
                // As a dump would: nothing that was there when it began may be cleaned away.
                old.setAutoCommit(false);
                old.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
                old.createStatement().execute("SELECT 1");
            }
            run(servers, statement, rows);
        }
    }

    private static void run(TestServers.Running servers, Statement statement, int rows) throws Exception {
        ProcessBuilder builder = new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:+UseSerialGC",
                "-Xmx256m",
                "-jar",
                TestServers.file("outbox-relay/target/outbox-relay.jar").toString(),
                "--stream",
                TestServers.file("streams/user-logins.yaml").toString());
        builder.environment()
                .putAll(Map.of(
                        "DEDUP_KAFKA_BOOTSTRAP_SERVERS", servers.kafka().bootstrapServers(),
                        "DEDUP_POSTGRES_URL", servers.postgres().jdbcUrl(),
                        "DEDUP_POSTGRES_PASSWORD", PostgresServer.PASSWORD));
        Process relay = builder.inheritIO().start();
        try {
            System.out.println("      sent   rows/s   relay µs/row   Postgres µs/row   Kafka µs/row");
            long start = System.nanoTime();
            long sent = 0;
            Duration[] cpu = cpu(relay, servers);
            while (sent < rows) {
                Thread.sleep(5000);
                long now;
                try (ResultSet result = statement.executeQuery("SELECT coalesce(min(id) - 1, " + rows
                        + ") FROM user_logins WHERE sent_to_kafka IS NOT TRUE")) {
                    result.next();
                    now = result.getLong(1);
                }
                long count = Math.max(1, now - sent);
                double seconds = (System.nanoTime() - start) / 1e9;
                Duration[] cpuNow = cpu(relay, servers);
                System.out.printf(
                        "%10d   %6.0f   %12.1f   %15.1f   %12.1f%n",
                        now,
                        count / seconds,
                        micros(cpuNow[0], cpu[0]) / count,
                        micros(cpuNow[1], cpu[1]) / count,
                        micros(cpuNow[2], cpu[2]) / count);
                sent = now;
                start = System.nanoTime();
                cpu = cpuNow;
            }
        } finally {
            relay.destroyForcibly().waitFor();
        }
    }

    private static Duration[] cpu(Process relay, TestServers.Running servers) {
        return new Duration[] {
            cpu(relay.toHandle()),
            servers.postgres()
                    .process()
                    .descendants()
                    .map(RelayBenchmark::cpu)
                    .reduce(cpu(servers.postgres().process().toHandle()), Duration::plus),
            cpu(servers.kafka().process().toHandle())
        };
    }

    private static Duration cpu(ProcessHandle process) {
        return process.info().totalCpuDuration().orElse(Duration.ZERO);
    }

    private static double micros(Duration now, Duration before) {
        return now.minus(before).toNanos() / 1e3;
    }
}
