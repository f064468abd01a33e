package io.github.eventdedup.job.testing;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.InvalidEventException;
import io.github.eventdedup.event.StreamDefinition;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** A stream's topics as those around the job see them: events are sent to the raw one, and what was put aside is read. */
public final class StreamTopics implements AutoCloseable {

    private final String bootstrapServers;
    private final StreamDefinition stream;
    private final EventReader reader;
    private final KafkaProducer<byte[], byte[]> producer;
    private final List<Future<?>> sent = new ArrayList<>();

    public StreamTopics(String bootstrapServers, StreamDefinition stream) {
        this.bootstrapServers = bootstrapServers;
        this.stream = stream;
        reader = new EventReader(stream);
        producer = new KafkaProducer<>(
                Map.of("bootstrap.servers", bootstrapServers, "max.request.size", 32 << 20, "compression.type", "gzip"),
                new ByteArraySerializer(),
                new ByteArraySerializer());
    }

    public void send(String json) throws InvalidEventException {
        byte[] value = json.getBytes(UTF_8);
        send(reader.read(value).fingerprint().bytes(), value);
    }

    public void send(byte[] key, byte[] value) {
        sent.add(producer.send(new ProducerRecord<>(stream.stream(), key, value)));
    }

    /** Returns when Kafka has all that was sent, and fails where it has not. */
    public void awaitSent() throws ExecutionException, InterruptedException {
        for (Future<?> record : sent) {
            record.get();
        }
        sent.clear();
    }

    public long recordsInRawTopic() {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer()) {
            return consumer.endOffsets(partitions(consumer, stream.stream())).values().stream()
                    .mapToLong(Long::longValue)
                    .sum();
        }
    }

    public Map<String, ConsumerRecord<byte[], byte[]>> duplicates() {
        return read(stream.duplicatesTopic());
    }

    public Map<String, ConsumerRecord<byte[], byte[]>> deadLetters() {
        return read(stream.deadLettersTopic());
    }

    /** The records of a side topic, by key: a replay has the key of the record it repeats. */
    private Map<String, ConsumerRecord<byte[], byte[]>> read(String topic) {
        Map<String, ConsumerRecord<byte[], byte[]>> records = new HashMap<>();
        try (KafkaConsumer<byte[], byte[]> consumer = consumer()) {
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions(consumer, topic));
            consumer.assign(ends.keySet());
            consumer.seekToBeginning(ends.keySet());
            while (ends.entrySet().stream().anyMatch(end -> consumer.position(end.getKey()) < end.getValue())) {
                consumer.poll(Duration.ofSeconds(1))
                        .forEach(record -> records.put(new String(record.key(), UTF_8), record));
            }
        }
        return records;
    }

    public static String header(ConsumerRecord<byte[], byte[]> record, String name) {
        return new String(record.headers().lastHeader(name).value(), UTF_8);
    }

    private static List<TopicPartition> partitions(KafkaConsumer<?, ?> consumer, String topic) {
        return consumer.partitionsFor(topic).stream()
                .map(partition -> new TopicPartition(topic, partition.partition()))
                .toList();
    }

    private KafkaConsumer<byte[], byte[]> consumer() {
        return new KafkaConsumer<>(
                Map.of("bootstrap.servers", bootstrapServers),
                new ByteArrayDeserializer(),
                new ByteArrayDeserializer());
    }

    @Override
    public void close() {
        producer.close();
    }
}
