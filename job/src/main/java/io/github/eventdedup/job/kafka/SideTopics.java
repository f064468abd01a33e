package io.github.eventdedup.job.kafka;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.github.eventdedup.event.SideTopicHeaders;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.model.DeadLetter;
import io.github.eventdedup.job.model.HeaderBytes;
import io.github.eventdedup.job.model.IdentifiedEvent;
import io.github.eventdedup.job.model.Replay;
import io.github.eventdedup.job.model.SourceRecord;
import java.nio.ByteBuffer;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;

/**
 * The topics for what is not stored: duplicates and dead letters. The value is that of the original. Its key and headers
 * become headers, beside others for its position. The key is that position, {@code partition:offset}; for a duplicate that
 * was replayed it is the position of the replay. Delivery is at least once: after a recovery the same record may be there
 * again, under the same key.
 */
public final class SideTopics {

    /**
     * The largest value that is copied. A topic's limit is for compressed batches: a few megabytes there can be
     * gigabytes here, which no producer would send on. Such a value stays in the raw topic, and the dead letter names
     * its position.
     */
    public static final int MAX_VALUE_BYTES = 16 << 20;

    /** The most that key and headers of a record may have to be copied: a side topic has 64 KiB more room than the raw topic. */
    private static final int MAX_ORIGINAL_BYTES = 16 << 10;

    public static final int MAX_REQUEST_BYTES = MAX_VALUE_BYTES + (1 << 20);

    private SideTopics() {}

    public static KafkaSink<IdentifiedEvent> duplicates(String bootstrapServers, StreamDefinition stream) {
        String topic = stream.duplicatesTopic();
        String rawTopic = stream.stream();
        return sink(bootstrapServers, "lz4", (event, context, timestamp) -> duplicate(topic, rawTopic, event));
    }

    static ProducerRecord<byte[], byte[]> duplicate(String topic, String rawTopic, IdentifiedEvent event) {
        Replay replay = event.replay();
        SourceRecord source = event.source();
        ProducerRecord<byte[], byte[]> record = record(
                topic,
                rawTopic,
                replay == null ? source : source.at(replay.partition(), replay.offset(), source.timestamp()));
        header(
                record.headers(),
                SideTopicHeaders.FINGERPRINT,
                event.fingerprint().toString());
        if (replay != null) {
            header(record.headers(), SideTopicHeaders.REPLAY_OF, source.partition() + ":" + source.offset());
            header(record.headers(), SideTopicHeaders.REPLAY_ATTEMPT, Integer.toString(replay.attempt()));
        }
        return record;
    }

    /**
     * Compressed as well as any client could have, so that what fitted into the raw topic fits here.
     *
     * @param stateId the lineage of the state that decides the records ({@code StateIdentity})
     */
    public static KafkaSink<DeadLetter> deadLetters(String bootstrapServers, StreamDefinition stream, String stateId) {
        String topic = stream.deadLettersTopic();
        String rawTopic = stream.stream();
        return sink(
                bootstrapServers, "zstd", (letter, context, timestamp) -> deadLetter(topic, rawTopic, stateId, letter));
    }

    public static ProducerRecord<byte[], byte[]> deadLetter(
            String topic, String rawTopic, String stateId, DeadLetter letter) {
        SourceRecord source = letter.source();
        boolean omitted = source.value() != null && source.value().length > MAX_VALUE_BYTES;
        SourceRecord kept = omitted
                ? new SourceRecord(
                        null, source.partition(), source.offset(), source.timestamp(), source.key(), source.headers())
                : source;
        ProducerRecord<byte[], byte[]> record = record(topic, rawTopic, kept);
        header(record.headers(), SideTopicHeaders.REASON, letter.reason());
        header(record.headers(), SideTopicHeaders.REASON_CODE, letter.reasonCode());
        header(record.headers(), SideTopicHeaders.STATE_ID, stateId);
        if (letter.fingerprint() != null) {
            header(record.headers(), SideTopicHeaders.FINGERPRINT, letter.fingerprint());
        }
        if (letter.attempt() > 0) {
            header(record.headers(), SideTopicHeaders.REPLAY_ATTEMPT, Integer.toString(letter.attempt()));
            header(record.headers(), SideTopicHeaders.REPLAYED_AT, letter.replayedAt());
        }
        if (omitted) {
            header(
                    record.headers(),
                    SideTopicHeaders.VALUE_OMITTED,
                    source.value().length + " bytes; read them at the position");
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
        header(record.headers(), SideTopicHeaders.TOPIC, rawTopic);
        header(record.headers(), SideTopicHeaders.PARTITION, Integer.toString(source.partition()));
        header(record.headers(), SideTopicHeaders.OFFSET, Long.toString(source.offset()));
        header(record.headers(), SideTopicHeaders.TIMESTAMP, Long.toString(source.timestamp()));
        // As Spring writes them, and other tools read them.
        header(record.headers(), "kafka_dlt-original-topic", rawTopic);
        record.headers()
                .add(
                        "kafka_dlt-original-partition",
                        ByteBuffer.allocate(Integer.BYTES)
                                .putInt(source.partition())
                                .array())
                .add(
                        "kafka_dlt-original-offset",
                        ByteBuffer.allocate(Long.BYTES).putLong(source.offset()).array());
        original(record.headers(), source);
        return record;
    }

    /** What the record had beside its value. More than a side topic is sure to have room for stays where it is. */
    private static void original(Headers headers, SourceRecord source) {
        int bytes = (source.key() == null ? 0 : source.key().length)
                + (source.headers() == null ? 0 : source.headers().length);
        if (bytes > MAX_ORIGINAL_BYTES) {
            header(
                    headers,
                    SideTopicHeaders.ORIGINAL_OMITTED,
                    bytes + " bytes of key and headers; read them at the position");
            return;
        }
        if (source.key() != null) {
            headers.add(SideTopicHeaders.ORIGINAL_KEY, source.key());
        }
        for (Header header : HeaderBytes.read(source.headers())) {
            headers.add(SideTopicHeaders.ORIGINAL_HEADER + header.key(), header.value());
        }
    }

    private static void header(Headers headers, String name, String value) {
        headers.add(name, value.getBytes(UTF_8));
    }
}
