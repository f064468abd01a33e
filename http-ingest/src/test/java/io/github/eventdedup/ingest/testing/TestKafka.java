package io.github.eventdedup.ingest.testing;

import io.github.eventdedup.servers.ChildProcess;
import io.github.eventdedup.servers.FreePort;
import io.github.eventdedup.servers.KafkaServer;
import io.github.eventdedup.servers.PausedProcesses;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.Reader;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.IntStream;
import kafka.tools.StorageTool;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** A real broker, and what tests want of it. */
public final class TestKafka implements AutoCloseable {

    private static final int PARTITIONS = 3;

    private final Path directory;
    private final KafkaServer server;
    private final ChildProcess second;
    private final PausedProcesses paused = new PausedProcesses();

    public TestKafka(Path directory) {
        this.directory = directory;
        server = new KafkaServer(directory, FreePort.find());
        second = new ChildProcess("second-broker", directory.resolve("second.log"), ChildProcess::killAtExit);
    }

    public String bootstrapServers() {
        return server.bootstrapServers();
    }

    public void start() {
        server.start();
    }

    public void kill() {
        server.kill();
    }

    /** Stops the broker as a debugger would: it keeps its connections and answers nothing. */
    public void pause() throws IOException {
        paused.pause(server.process().toHandle());
    }

    public void resume() throws IOException {
        paused.resume();
    }

    public void createTopic(String name, Map<String, String> settings) throws Exception {
        createTopic(name, 1, settings);
    }

    /** Returns its replicas. */
    public int createTopic(String name, int replicas, Map<String, String> settings) throws Exception {
        server.createTopics(new NewTopic(name, PARTITIONS, (short) replicas).configs(settings));
        return replicas;
    }

    /** A broker of the same cluster, whose controller stays the first one. Starts again what was killed. */
    public void startSecondBroker() throws Exception {
        int port = FreePort.find();
        Path data = Files.createDirectories(directory.resolve("second"));
        Properties settings = properties(directory.resolve("server.properties"));
        settings.putAll(Map.of(
                "process.roles",
                "broker",
                "node.id",
                "2",
                "listeners",
                "PLAINTEXT://127.0.0.1:" + port,
                "advertised.listeners",
                "PLAINTEXT://127.0.0.1:" + port,
                "log.dirs",
                data.toString()));
        Path file = directory.resolve("second.properties");
        try (Writer writer = Files.newBufferedWriter(file)) {
            settings.store(writer, null);
        }
        String cluster =
                properties(directory.resolve("data").resolve("meta.properties")).getProperty("cluster.id");
        StorageTool.execute(
                new String[] {"format", "--ignore-formatted", "-t", cluster, "-c", file.toString()},
                new PrintStream(OutputStream.nullOutputStream(), false, StandardCharsets.UTF_8));
        ProcessBuilder builder = new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:+UseSerialGC",
                "-Xmx256m",
                "-Djava.io.tmpdir=" + directory,
                "-Dlog4j2.configurationFile=classpath:kafka-server-log4j2.properties",
                "kafka.Kafka",
                file.toString());
        builder.environment().put("CLASSPATH", System.getProperty("java.class.path"));
        second.start(builder);
    }

    public void killSecondBroker() {
        second.kill();
    }

    private static Properties properties(Path file) throws IOException {
        Properties properties = new Properties();
        try (Reader reader = Files.newBufferedReader(file)) {
            properties.load(reader);
        }
        return properties;
    }

    public void send(String topic, byte[] value, Map<String, String> headers) throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(
                Map.of("bootstrap.servers", bootstrapServers()),
                new ByteArraySerializer(),
                new ByteArraySerializer())) {
            ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(topic, 0, null, value);
            headers.forEach((name, text) -> record.headers().add(name, text.getBytes(StandardCharsets.UTF_8)));
            producer.send(record).get();
        }
    }

    /** Everything in the topic. */
    public List<ConsumerRecord<byte[], byte[]>> records(String topic) {
        Map<String, Object> settings = Map.of("bootstrap.servers", bootstrapServers(), "auto.offset.reset", "earliest");
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> partitions = IntStream.range(0, PARTITIONS)
                    .mapToObj(partition -> new TopicPartition(topic, partition))
                    .toList();
            consumer.assign(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
            while (partitions.stream().anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
                consumer.poll(Duration.ofMillis(200)).forEach(records::add);
            }
            return records;
        }
    }

    /** Ends the broker also where it is paused. */
    @Override
    public void close() {
        second.kill();
        server.kill();
    }
}
