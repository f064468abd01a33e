package io.github.eventdedup.proof.prove;

import com.sun.management.OperatingSystemMXBean;
import io.github.eventdedup.proof.system.Databases;
import io.github.eventdedup.proof.system.Flink;
import io.github.eventdedup.proof.system.SystemStatus;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.SQLException;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Properties;

/**
 * What a run ran on.
 *
 * @param versions of the machine and of what runs on it
 * @param bytes how much is on disk, by what
 */
record Machine(Map<String, String> versions, Map<String, Long> bytes) {

    static Machine of(Flink flink, Databases databases, SystemStatus status) throws InterruptedException {
        return new Machine(versions(flink, databases), sizes(status));
    }

    private static Map<String, String> versions(Flink flink, Databases databases) throws InterruptedException {
        Map<String, String> versions = new LinkedHashMap<>();
        versions.put("cores", "" + Runtime.getRuntime().availableProcessors());
        if (ManagementFactory.getOperatingSystemMXBean() instanceof OperatingSystemMXBean system) {
            versions.put("memory", system.getTotalMemorySize() / (1 << 20) + " MiB");
        }
        versions.put(
                "OS",
                System.getProperty("os.name") + " " + System.getProperty("os.version") + ", "
                        + System.getProperty("os.arch"));
        versions.put("Java", System.getProperty("java.vendor") + " " + System.getProperty("java.runtime.version"));
        versions.put("Kafka", kafkaVersion());
        try {
            versions.put("Flink", flink.version());
            versions.put("Postgres", databases.postgres("SHOW server_version"));
            versions.put("ClickHouse", databases.clickHouse("SELECT version()", Duration.ofSeconds(5)));
        } catch (IOException | SQLException e) {
            // That they are unavailable is reported elsewhere.
        }
        return versions;
    }

    /** As Kafka's jar says: the broker is built from the same version. */
    private static String kafkaVersion() {
        Properties properties = new Properties();
        try (InputStream file = Machine.class.getResourceAsStream("/kafka/kafka-version.properties")) {
            if (file != null) {
                properties.load(file);
            }
        } catch (IOException e) {
            // Not worth the report.
        }
        return properties.getProperty("version", "?");
    }

    private static Map<String, Long> sizes(SystemStatus status) {
        Map<String, Long> sizes = new LinkedHashMap<>();
        sizes.put("Kafka", size(status.directory("kafka")));
        sizes.put("Postgres", size(status.directory("postgres")));
        sizes.put("ClickHouse", size(status.directory("clickhouse")));
        sizes.put("Flink's checkpoints", size(status.directory("checkpoints")));
        return sizes;
    }

    /** Roughly: files come and go. */
    private static long size(Path directory) {
        long bytes = 0;
        try (var files = Files.walk(directory)) {
            for (var file = files.iterator(); file.hasNext(); ) {
                Path path = file.next();
                bytes += Files.isRegularFile(path) ? path.toFile().length() : 0;
            }
        } catch (IOException | UncheckedIOException e) {
            // One has gone meanwhile.
        }
        return bytes;
    }
}
