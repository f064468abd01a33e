package io.github.eventdedup.relay.topic;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import io.github.eventdedup.event.Outbox;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.relay.outbox.OutboxColumns;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * The rows that were sent, as far as the relay knows them: the highest id of the window, and digests of the newest rows.
 * Read from the end of the topic, which has the rows even when the database was restored or the relay restarted, and for
 * about as long as the job remembers them. Not thread-safe.
 */
final class SentRows {

    /** The number of newest records that are read of each partition. */
    private static final int TAIL_RECORDS = 100;

    private static final int REMEMBERED_ROWS = 20_000;
    private static final Duration READ_TIMEOUT = Duration.ofSeconds(15);
    private static final JsonFactory JSON = new JsonFactory();

    private final StreamDefinition stream;
    private final String idField;
    private final Map<Long, Long> newest = new LinkedHashMap<>() {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<Long, Long> eldest) {
            return size() > REMEMBERED_ROWS;
        }
    };

    private long highest;

    /** When the highest id was sent; the beginning of time where none is known. */
    private Instant highestSent = Instant.MIN;

    SentRows(StreamDefinition stream, OutboxColumns columns) {
        this.stream = stream;
        idField = idField(stream, columns);
    }

    /**
     * The field of the fingerprint that holds the id, where a reused id makes its row a duplicate; null where the
     * fingerprint has no id, or a time beside it.
     */
    private static String idField(StreamDefinition stream, OutboxColumns columns) {
        String found = null;
        for (Outbox.Field field : stream.outbox().fields()) {
            if (stream.fingerprint().contains(field.name())) {
                if (columns.encoding(columns.indexOf(field.column())).isTime()) {
                    return null;
                }
                found = field.column().equals(stream.outbox().id()) ? field.name() : found;
            }
        }
        return found;
    }

    /** Whether a row whose id was used before is a duplicate, whatever its other values. */
    boolean idsMatter() {
        return idField != null;
    }

    /**
     * Reads the end of the topic, for rows that other relays have sent, or this one before it was restarted.
     *
     * @throws org.apache.kafka.common.KafkaException where it cannot be read
     */
    void readTopic(String brokers) {
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(
                Map.of(
                        ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG,
                        brokers,
                        ConsumerConfig.CLIENT_ID_CONFIG,
                        "outbox-relay",
                        ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG,
                        false,
                        ConsumerConfig.ALLOW_AUTO_CREATE_TOPICS_CONFIG,
                        false,
                        ConsumerConfig.AUTO_OFFSET_RESET_CONFIG,
                        "earliest",
                        ConsumerConfig.DEFAULT_API_TIMEOUT_MS_CONFIG,
                        (int) READ_TIMEOUT.toMillis()),
                new ByteArrayDeserializer(),
                new ByteArrayDeserializer())) {
            List<TopicPartition> partitions = consumer.partitionsFor(stream.stream()).stream()
                    .map(partition -> new TopicPartition(partition.topic(), partition.partition()))
                    .toList();
            consumer.assign(partitions);
            Map<TopicPartition, Long> begins = consumer.beginningOffsets(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            ends.forEach(
                    (partition, end) -> consumer.seek(partition, Math.max(begins.get(partition), end - TAIL_RECORDS)));
            long deadline = System.nanoTime() + READ_TIMEOUT.toNanos();
            while (ends.entrySet().stream().anyMatch(end -> consumer.position(end.getKey()) < end.getValue())
                    && System.nanoTime() < deadline) {
                consumer.poll(Duration.ofMillis(200)).forEach(this::add);
            }
        }
    }

    /** Records of other origin, such as posted events, may have ids that no row has. */
    private void add(ConsumerRecord<byte[], byte[]> record) {
        boolean isRow = record.value() != null && record.headers().lastHeader(TopicWriter.OUTBOX_HEADER) != null;
        OptionalLong id = isRow ? id(record.value()) : OptionalLong.empty();
        if (id.isPresent()) {
            add(id.getAsLong(), record.key(), record.value(), Instant.ofEpochMilli(record.timestamp()));
        }
    }

    /** The id in an event; empty where it has none that a row could have, as events of other origin may. */
    private OptionalLong id(byte[] event) {
        try (JsonParser json = JSON.createParser(event)) {
            if (json.nextToken() == JsonToken.START_OBJECT) {
                for (String name = json.nextFieldName(); name != null; name = json.nextFieldName()) {
                    JsonToken value = json.nextToken();
                    if (name.equals(idField)) {
                        return value == JsonToken.VALUE_NUMBER_INT
                                ? OptionalLong.of(json.getLongValue())
                                : OptionalLong.empty();
                    }
                    json.skipChildren();
                }
            }
        } catch (IOException e) {
            // Not an event, and so not a row.
        }
        return OptionalLong.empty();
    }

    /** Remembers a row that Kafka has acknowledged. */
    void add(Message message) {
        add(message.id(), message.key(), message.event(), Instant.now());
    }

    private void add(long id, byte[] key, byte[] event, Instant sent) {
        if (highestSent.isBefore(windowBegin()) || id >= highest) {
            highest = id;
            highestSent = sent;
        }
        newest.remove(id);
        newest.put(id, digest(key, event));
    }

    private static long digest(byte[] key, byte[] event) {
        return ((long) Arrays.hashCode(key) << 32) | (Arrays.hashCode(event) & 0xFFFF_FFFFL);
    }

    private Instant windowBegin() {
        return Instant.now().minus(stream.window());
    }

    /** The highest id that was sent within the window, as far as it is known. */
    OptionalLong highest() {
        return highestSent.isBefore(windowBegin()) ? OptionalLong.empty() : OptionalLong.of(highest);
    }

    /** Whether the row was sent before, as another event with the same fingerprint: the job will drop it. */
    boolean wasOther(Message message) {
        Long before = newest.get(message.id());
        long now = digest(message.key(), message.event());
        return before != null && before != now && (int) (before >> 32) == (int) (now >> 32);
    }
}
