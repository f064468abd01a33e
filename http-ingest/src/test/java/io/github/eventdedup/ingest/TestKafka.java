package io.github.eventdedup.ingest;

import io.github.eventdedup.servers.FreePort;
import io.github.eventdedup.servers.KafkaServer;
import io.github.eventdedup.servers.PausedProcesses;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** A real broker, and what tests want of it. */
final class TestKafka implements AutoCloseable {

    private static final int PARTITIONS = 3;

    private final KafkaServer server;
    private final PausedProcesses paused = new PausedProcesses();

    TestKafka(Path directory) {
        server = new KafkaServer(directory, FreePort.find());
    }

    String bootstrapServers() {
        return server.bootstrapServers();
    }

    void start() {
        server.start();
    }

    void kill() {
        server.kill();
    }

    /** Stops the broker as a debugger would: it keeps its connections and answers nothing. */
    void pause() throws IOException {
        paused.pause(server.process().toHandle());
    }

    void resume() throws IOException {
        paused.resume();
    }

    void createTopic(String name, Map<String, String> settings) throws Exception {
        server.createTopics(new NewTopic(name, Optional.of(PARTITIONS), Optional.empty()).configs(settings));
    }

    void send(String topic, byte[] value, Map<String, String> headers) throws Exception {
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
    List<ConsumerRecord<byte[], byte[]>> records(String topic) {
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
        server.kill();
    }
}
