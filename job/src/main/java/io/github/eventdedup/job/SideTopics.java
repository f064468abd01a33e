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

    /**
     * The largest value that is copied. A topic's limit is for compressed batches: a few megabytes there can be gigabytes
     * here, which no producer would send on. Such a value stays where it is, and the dead letter says so.
     */
    static final int MAX_VALUE_BYTES = 16 << 20;

    private static final int MAX_REQUEST_BYTES = MAX_VALUE_BYTES + (1 << 20);

    private SideTopics() {}

    static KafkaSink<IdentifiedEvent> duplicates(String bootstrapServers, StreamDefinition stream) {
        String topic = stream.duplicatesTopic();
        String rawTopic = stream.stream();
        return sink(bootstrapServers, "lz4", (event, context, timestamp) -> {
            ProducerRecord<byte[], byte[]> record = record(topic, rawTopic, event.source());
            header(record.headers(), "fingerprint", event.fingerprint().toString());
            return record;
        });
    }

    /** Compressed as well as any client could have, so that what fitted into the raw topic fits here. */
    static KafkaSink<DeadLetter> deadLetters(String bootstrapServers, StreamDefinition stream) {
        String topic = stream.deadLettersTopic();
        String rawTopic = stream.stream();
        return sink(bootstrapServers, "zstd", (letter, context, timestamp) -> deadLetter(topic, rawTopic, letter));
    }

    static ProducerRecord<byte[], byte[]> deadLetter(String topic, String rawTopic, DeadLetter letter) {
        SourceRecord source = letter.source();
        boolean omitted = source.value() != null && source.value().length > MAX_VALUE_BYTES;
        SourceRecord kept =
                omitted ? new SourceRecord(null, source.partition(), source.offset(), source.timestamp()) : source;
        ProducerRecord<byte[], byte[]> record = record(topic, rawTopic, kept);
        header(record.headers(), "reason", letter.reason());
        if (omitted) {
            header(record.headers(), "value-omitted", source.value().length + " bytes; read them at the position");
        }
        return record;
    }

    private static <T> KafkaSink<T> sink(
            String bootstrapServers, String compression, KafkaRecordSerializationSchema<T> serializer) {
        return KafkaSink.<T>builder()
                .setBootstrapServers(bootstrapServers)
                .setRecordSerializer(serializer)
                .setDeliveryGuarantee(DeliveryGuarantee.AT_LEAST_ONCE)
                .setProperty("acks", "all")
                .setProperty("compression.type", compression)
                .setProperty("linger.ms", "50")
                .setProperty("max.request.size", Integer.toString(MAX_REQUEST_BYTES))
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
