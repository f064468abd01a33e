package io.github.eventdedup.local.system;

import io.github.eventdedup.event.ClickHouseTable;
import io.github.eventdedup.event.InvalidStreamDefinitionException;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.event.StreamDirectory;
import io.github.eventdedup.servers.ClickHouseServer;
import io.github.eventdedup.servers.FreshDirectory;
import io.github.eventdedup.servers.PostgresServer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Where one local system has its files and ports. Several run side by side when both data directory and port offset
 * differ. Immutable.
 *
 * @param home the project's root, with what was built
 * @param data everything the system writes
 * @param portOffset added to every port
 * @param withClickHouse whether ClickHouse is part of it, and with it the streams that are stored there
 */
public record Layout(Path home, Path data, int portOffset, boolean withClickHouse) {

    /** With less than this, Kafka and Postgres end as soon as they have started. */
    private static final long LEAST_FREE_BYTES = 100L << 20;

    public int kafkaPort() {
        return 9092 + portOffset;
    }

    public int postgresPort() {
        return 5432 + portOffset;
    }

    public int clickHousePort() {
        return 8123 + portOffset;
    }

    public int flinkPort() {
        return 8081 + portOffset;
    }

    public int zooKeeperPort() {
        return 2181 + portOffset;
    }

    public int ingestPort() {
        return 8001 + portOffset;
    }

    public Path run() {
        return data.resolve("run");
    }

    public Path log(String name) {
        return data.resolve("logs").resolve(name + ".log");
    }

    public Path flink() {
        return data.resolve("flink");
    }

    Path zooKeeper() {
        return data.resolve("zookeeper");
    }

    /** What ZooKeeper points at. */
    Path highAvailability() {
        return flink().resolve("high-availability");
    }

    public Path checkpoints() {
        return flink().resolve("checkpoints");
    }

    /** Those of users, kept as long as they like. */
    Path savepoints() {
        return flink().resolve("savepoints");
    }

    /** The savepoints that every orderly stop takes, a directory for each stream: deleted when there is a newer one. */
    Path stops() {
        return savepoints().resolve("stops");
    }

    Path temporary(String name) {
        return data.resolve("tmp").resolve(name);
    }

    /** The JVM option for a process's temporary files. Those of its predecessor, killed or not, are deleted. */
    String temporaryFiles(String name) {
        Path directory = temporary(name);
        try {
            return "-Djava.io.tmpdir=" + FreshDirectory.create(directory);
        } catch (IOException e) {
            throw new LocalException("cannot use " + directory + ": " + e, e);
        }
    }

    /** Something that the build makes. */
    public Path built(String path) {
        Path file = home.resolve(path);
        if (!Files.exists(file)) {
            throw new LocalException(file + " is not there: build it with `mvn -DskipTests package`");
        }
        return file;
    }

    /** The definition files of the streams that this system runs, with what is in them: first those that every system runs. */
    public Map<Path, StreamDefinition> streams() {
        Map<Path, StreamDefinition> streams = new LinkedHashMap<>();
        Map<Path, StreamDefinition> inClickHouse = new LinkedHashMap<>();
        definitions()
                .streams()
                .forEach((file, stream) ->
                        (stream.table() instanceof ClickHouseTable ? inClickHouse : streams).put(file, stream));
        if (withClickHouse) {
            streams.putAll(inClickHouse);
        }
        return streams;
    }

    /** All that the project's folder of streams holds. */
    StreamDirectory definitions() {
        Path directory = home.resolve("streams");
        try {
            return StreamDirectory.read(directory);
        } catch (InvalidStreamDefinitionException e) {
            throw new LocalException(e.getMessage(), e);
        } catch (IOException e) {
            throw new LocalException("cannot read the stream definitions in " + directory + ": " + reason(e), e);
        }
    }

    /**
     * Finds out whether anything can be written to the data directory, before the first process fails for it.
     *
     * @throws LocalException with the reason where nothing can
     */
    public void checkWritable() {
        try {
            Files.createDirectories(run());
            Path probe = Files.createTempFile(run(), "probe", null);
            Files.writeString(probe, "probe");
            Files.delete(probe);
            for (Path directory : List.of(log("any").getParent(), flink(), data.resolve("tmp"))) {
                Files.createDirectories(directory);
                if (!Files.isWritable(directory)) {
                    throw new AccessDeniedException(directory.toString());
                }
            }
            long free = Files.getFileStore(data).getUsableSpace();
            if (free < LEAST_FREE_BYTES) {
                throw new LocalException("the disk of the data directory " + data + " has " + (free >> 20)
                        + " MB left, and at least " + (LEAST_FREE_BYTES >> 20)
                        + " MB are needed: free some, or give another with --data-dir DIR");
            }
        } catch (IOException e) {
            throw new LocalException(
                    "cannot write to the data directory " + data + ": " + reason(e)
                            + "; correct that, or give another with --data-dir DIR",
                    e);
        }
    }

    /** The error of a file, in words: some of Java's exceptions have only the file's name. */
    public static String reason(IOException e) {
        if (!(e instanceof FileSystemException failed)) {
            return e.getMessage() == null ? e.toString() : e.getMessage();
        }
        String what = failed.getReason();
        if (e instanceof AccessDeniedException) {
            what = "permission denied";
        } else if (e instanceof NoSuchFileException) {
            what = "does not exist";
        } else if (e instanceof FileAlreadyExistsException) {
            what = "is there already, and is no directory";
        }
        return failed.getFile() + ": " + (what == null ? e.getClass().getSimpleName() : what);
    }

    public String kafkaBootstrapServers() {
        return "127.0.0.1:" + kafkaPort();
    }

    public String clickHouseUrl() {
        return "http://127.0.0.1:" + clickHousePort();
    }

    /** What the job is told, in the environment of the processes that run it or submit it; and the relay. */
    Map<String, String> jobEnvironment() {
        Map<String, String> environment = new TreeMap<>(relayEnvironment());
        environment.put("DEDUP_CLICKHOUSE_URL", clickHouseUrl());
        environment.put("DEDUP_CLICKHOUSE_DATABASE", ClickHouseServer.DATABASE);
        environment.put("DEDUP_CLICKHOUSE_USER", ClickHouseServer.USER);
        environment.put("DEDUP_CLICKHOUSE_PASSWORD", ClickHouseServer.PASSWORD);
        return environment;
    }

    /** What the relay is told, and the ingest among other things. */
    Map<String, String> relayEnvironment() {
        return Map.of(
                "DEDUP_KAFKA_BOOTSTRAP_SERVERS",
                kafkaBootstrapServers(),
                "DEDUP_POSTGRES_URL",
                postgres().jdbcUrl(),
                "DEDUP_POSTGRES_USER",
                PostgresServer.USER,
                "DEDUP_POSTGRES_PASSWORD",
                PostgresServer.PASSWORD);
    }

    /** ClickHouse's engine, an npm package that is installed when it is first needed. */
    Path clickHouseEngine() {
        return home.resolve("servers/target/clickhouse");
    }

    /** The database, to ask it something; not the one that the supervisor started. */
    public PostgresServer postgres() {
        return new PostgresServer(data.resolve("postgres"), postgresPort());
    }

    /** What a user has to know of a system that runs. */
    String addresses() {
        return """
                  ingest      http://127.0.0.1:%1$d
                  Flink UI    http://127.0.0.1:%2$d
                  Kafka       %3$s
                  Postgres    postgresql://%4$s:%5$s@127.0.0.1:%6$d/%7$s
                  ClickHouse  %8$s
                  data, logs  %9$s
                """.formatted(
                        ingestPort(),
                        flinkPort(),
                        kafkaBootstrapServers(),
                        PostgresServer.USER,
                        PostgresServer.PASSWORD,
                        postgresPort(),
                        PostgresServer.DATABASE,
                        withClickHouse
                                ? "%s (user %s, password %s, database %s)"
                                        .formatted(
                                                clickHouseUrl(),
                                                ClickHouseServer.USER,
                                                ClickHouseServer.PASSWORD,
                                                ClickHouseServer.DATABASE)
                                : "left out",
                        data);
    }

    /** A process of ours in an environment without settings that were meant for another process. */
    static ProcessBuilder process(List<String> command, Map<String, String> environment) {
        ProcessBuilder builder = new ProcessBuilder(command);
        builder.environment().keySet().removeIf(name -> name.startsWith("DEDUP_"));
        builder.environment().putAll(environment);
        return builder;
    }

    /**
     * Runs a process to its end.
     *
     * @return what it printed, both streams together
     * @throws LocalException where it fails: the refusal, and what it printed
     */
    static String output(ProcessBuilder builder, String refusal) {
        try {
            Process process = builder.redirectErrorStream(true).start();
            process.getOutputStream().close();
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
            if (process.waitFor() != 0) {
                throw new LocalException(refusal + ":" + System.lineSeparator() + output);
            }
            return output;
        } catch (IOException e) {
            throw new LocalException("cannot run " + builder.command().get(0) + ": " + e.getMessage(), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new LocalException("interrupted while starting", e);
        }
    }

    public static String java() {
        return Path.of(System.getProperty("java.home"), "bin", "java").toString();
    }
}
