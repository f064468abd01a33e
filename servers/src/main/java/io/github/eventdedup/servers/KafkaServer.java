package io.github.eventdedup.servers;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import kafka.tools.StorageTool;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.CreateTopicsResult;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * One Kafka node (KRaft: broker and controller in one process) in a child JVM, on loopback. Data stays in the directory:
 * starting again there, after {@link #stop} or {@link #kill}, carries on where it was. Topics are not created by use.
 * Thread-safe as far as {@link ChildProcess} is.
 */
public final class KafkaServer implements AutoCloseable {

    private static final Duration START_TIMEOUT = Duration.ofMinutes(2);

    private final Path directory;
    private final int port;
    private final ChildProcess child;

    /**
     * A node that ends with this JVM at the latest; its log is {@code kafka.log} in the directory.
     *
     * @param directory for data and generated settings, created where it is not there; for one node at a time
     * @param port on 127.0.0.1, for clients
     */
    public KafkaServer(Path directory, int port) {
        this(directory, port, new ChildProcess("kafka", directory.resolve("kafka.log"), ChildProcess::killAtExit));
    }

    /** A node that runs as the given child. */
    public KafkaServer(Path directory, int port, ChildProcess child) {
        this.directory = directory.toAbsolutePath();
        this.port = port;
        this.child = child;
    }

    /**
     * Starts the node and returns when it answers.
     *
     * @throws ServerException where it does not, with the log file's path; nothing is left running then
     */
    public void start() {
        try {
            Path settings = format();
            ProcessBuilder builder = new ProcessBuilder(
                    Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                    // Half the resident size of G1 for a broker at rest, and no slower on two cores.
                    "-XX:+UseSerialGC",
                    "-Xms64m",
                    "-Xmx384m",
                    "-XX:+ExitOnOutOfMemoryError",
                    // Native libraries are unpacked there, and stay when the process is killed.
                    "-Djava.io.tmpdir=" + FreshDirectory.create(directory.resolve("tmp")),
                    "-Dlog4j2.configurationFile=classpath:kafka-server-log4j2.properties",
                    "-Dlog4j.configurationFile=classpath:kafka-server-log4j2.properties",
                    SteppableKafka.class.getName(),
                    settings.toString(),
                    new KafkaClock(directory).file().toString());
            builder.environment().put("CLASSPATH", ChildProcess.classPath());
            builder.environment().keySet().removeIf(key -> key.startsWith("DEDUP_") || key.startsWith("KAFKA_"));
            child.start(builder);
            child.awaitReady(START_TIMEOUT, this::answers);
        } catch (IOException e) {
            throw new ServerException("kafka cannot use " + directory + ": " + e, e);
        } catch (ServerException e) {
            child.kill();
            throw e;
        }
    }

    /** Whether the node takes requests; asks it, for a second or two at most. Needs not have been started here. */
    public boolean answers() {
        // A refused connection is the usual "not yet", and cheaper to learn from a socket than from a client.
        try (Socket socket = new Socket()) {
            socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 500);
        } catch (IOException e) {
            return false;
        }
        try (Admin admin = Admin.create(Map.of(
                "bootstrap.servers", bootstrapServers(), "request.timeout.ms", 1500, "default.api.timeout.ms", 1500))) {
            return !admin.describeCluster().nodes().get(2, TimeUnit.SECONDS).isEmpty();
        } catch (ExecutionException | TimeoutException e) {
            return false;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    /**
     * Creates topics and returns when they take records: Kafka's own answer comes before their partitions have a leader.
     *
     * @throws ExecutionException where Kafka refuses, or takes longer than a minute
     */
    public void createTopics(NewTopic... topics) throws ExecutionException, InterruptedException {
        Map<String, Object> settings = Map.of("bootstrap.servers", bootstrapServers());
        try (Admin admin = Admin.create(settings);
                KafkaConsumer<byte[], byte[]> consumer =
                        new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            CreateTopicsResult created = admin.createTopics(List.of(topics));
            List<TopicPartition> partitions = new ArrayList<>();
            for (NewTopic topic : topics) {
                int count = created.numPartitions(topic.name()).get();
                for (int partition = 0; partition < count; partition++) {
                    partitions.add(new TopicPartition(topic.name(), partition));
                }
            }
            // Only a leader knows the end; asked until there is one.
            consumer.endOffsets(partitions);
        }
    }

    /** What clients call {@code bootstrap.servers}. */
    public String bootstrapServers() {
        return "127.0.0.1:" + port;
    }

    /** The node's process, started last. */
    public Process process() {
        return child.process();
    }

    /** {@code kill -9}. */
    public void kill() {
        child.kill();
    }

    /** An orderly end: logs closed, nothing to recover at the next start. */
    public void stop() {
        child.stop(Duration.ofSeconds(30));
    }

    @Override
    public void close() {
        stop();
    }

    private Path format() throws IOException {
        Path data = directory.resolve("data");
        Files.createDirectories(data);
        Path settings = directory.resolve("server.properties");
        Files.writeString(settings, settings(data));
        if (Files.exists(data.resolve("meta.properties"))) {
            return settings;
        }
        ByteArrayOutputStream output = new ByteArrayOutputStream();
        int status = StorageTool.execute(
                new String[] {"format", "-t", Uuid.randomUuid().toString(), "-c", settings.toString()},
                new PrintStream(output, true, StandardCharsets.UTF_8));
        if (status != 0) {
            throw new ServerException("kafka cannot format " + data + ": "
                    + output.toString(StandardCharsets.UTF_8).strip());
        }
        return settings;
    }

    private String settings(Path data) {
        int controllerPort = FreePort.find();
        return """
                # Generated at every start.
                process.roles=broker,controller
                node.id=1
                # The controller is spoken to by this process alone: any free port will do.
                controller.quorum.voters=1@127.0.0.1:%2$d
                listeners=PLAINTEXT://127.0.0.1:%1$d,CONTROLLER://127.0.0.1:%2$d
                advertised.listeners=PLAINTEXT://127.0.0.1:%1$d
                controller.listener.names=CONTROLLER
                log.dirs=%3$s
                # A topic that somebody misspells must not come to life with the wrong settings.
                auto.create.topics.enable=false
                # One node: no second copy to wait for.
                default.replication.factor=1
                min.insync.replicas=1
                offsets.topic.replication.factor=1
                transaction.state.log.replication.factor=1
                transaction.state.log.min.isr=1
                share.coordinator.state.topic.replication.factor=1
                share.coordinator.state.topic.min.isr=1
                # Each partition costs files and memory.
                offsets.topic.num.partitions=4
                transaction.state.log.num.partitions=4
                share.coordinator.state.topic.num.partitions=4
                group.initial.rebalance.delay.ms=0
                log.cleaner.dedupe.buffer.size=4194304
                # Topics may take records of 5 MiB, plus what a batch adds.
                message.max.bytes=6291456
                replica.fetch.max.bytes=6291456
                # After kill -9 the segments not yet flushed are read again; a full one is flushed.
                log.segment.bytes=134217728
                # A killed broker that comes back at once waits until its earlier self has timed out.
                broker.session.timeout.ms=3000
                broker.heartbeat.interval.ms=500
                num.network.threads=2
                num.io.threads=4
                background.threads=2
                """.formatted(port, controllerPort, data);
    }
}
