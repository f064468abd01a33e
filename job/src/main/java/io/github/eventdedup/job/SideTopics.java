package io.github.eventdedup.job;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.github.eventdedup.event.StreamDefinition;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Headers;

/**
 * The topics for what is not stored: duplicates and dead letters. Both get the original bytes, headers that say where
 * they came from, and that position as the key, {@code partition:offset}. Delivery is at least once: after a recovery
 * the same record may be there again, under the same key.
 */
final class SideTopics {

    /** Far above what the raw topic takes; the topic's own limit decides (checked at submission). */
    private static final String MAX_REQUEST_BYTES = Integer.toString(16 << 20);

    private SideTopics() {}

    static KafkaSink<IdentifiedEvent> duplicates(String bootstrapServers, StreamDefinition stream) {
        String topic = stream.duplicatesTopic();
        String rawTopic = stream.stream();
        return sink(bootstrapServers, (event, context, timestamp) -> {
            ProducerRecord<byte[], byte[]> record = record(topic, rawTopic, event.source());
            header(record.headers(), "fingerprint", event.fingerprint().toString());
            return record;
        });
    }

    static KafkaSink<DeadLetter> deadLetters(String bootstrapServers, StreamDefinition stream) {
        String topic = stream.deadLettersTopic();
        String rawTopic = stream.stream();
        return sink(bootstrapServers, (letter, context, timestamp) -> {
            ProducerRecord<byte[], byte[]> record = record(topic, rawTopic, letter.source());
            header(record.headers(), "reason", letter.reason());
            return record;
        });
    }

    private static <T> KafkaSink<T> sink(String bootstrapServers, KafkaRecordSerializationSchema<T> serializer) {
        return KafkaSink.<T>builder()
                .setBootstrapServers(bootstrapServers)
                .setRecordSerializer(serializer)
                .setDeliveryGuarantee(DeliveryGuarantee.AT_LEAST_ONCE)
                .setProperty("acks", "all")
                .setProperty("compression.type", "lz4")
                .setProperty("linger.ms", "50")
                .setProperty("max.request.size", MAX_REQUEST_BYTES)
                .build();
    }

    private static ProducerRecord<byte[], byte[]> record(String topic, String rawTopic, SourceRecord source) {
        String position = source.partition() + ":" + source.offset();
        ProducerRecord<byte[], byte[]> record =
                new ProducerRecord<>(topic, null, position.getBytes(UTF_8), source.value());
        header(record.headers(), "topic", rawTopic);
        header(record.headers(), "partition", Integer.toString(source.partition()));
        header(record.headers(), "offset", Long.toString(source.offset()));
        header(record.headers(), "timestamp", Long.toString(source.timestamp()));
        return record;
    }

    private static void header(Headers headers, String name, String value) {
        headers.add(name, value.getBytes(UTF_8));
    }
}
