package io.github.eventdedup.relay.topic;

import io.github.eventdedup.relay.settings.Stop;
import io.github.eventdedup.relay.settings.UnavailableException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.config.TopicConfig;
import org.apache.kafka.common.errors.AuthorizationException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Writes batches to the stream's topic. Within a partition a record is only ever appended after those that were sent before
 * it: one request is under way at a time, and the first failure ends this writer. For one thread.
 */
public final class TopicWriter implements AutoCloseable {

    /**
     * The size of a record without its value: the head of a batch and of a record, the fingerprint, and the header.
     */
    private static final int OVERHEAD_BYTES = 61 + 21 + 32 + 20;

    /** The name of a header, without a value, that marks each record of a relay as a row. */
    static final String OUTBOX_HEADER = "outbox";

    private static final List<Header> HEADERS = List.of(new RecordHeader(OUTBOX_HEADER, new byte[0]));

    /** A machine that starts everything at once, after a power failure, may need that long for a first response. */
    private static final int ADMIN_TIMEOUT_MILLIS = 20_000;

    private static final int MAX_BLOCK_MILLIS = 5_000;

    /** While it runs, a transaction in Postgres is open. */
    private static final int DELIVERY_TIMEOUT_MILLIS = 20_000;

    private static final long BUFFER_BYTES = 32 << 20;
    private static final Duration CLOSE_TIMEOUT = Duration.ofSeconds(5);

    private final String brokers;
    private final String topic;
    private final int maxRequestBytes;
    private final KafkaProducer<byte[], byte[]> producer;
    private final Map<Long, String> rejected = new ConcurrentHashMap<>();

    private int awaited;
    private int acknowledged;
    private Exception failure;

    private TopicWriter(String brokers, String topic, int maxRequestBytes, KafkaProducer<byte[], byte[]> producer) {
        this.brokers = brokers;
        this.topic = topic;
        this.maxRequestBytes = maxRequestBytes;
        this.producer = producer;
    }

    /**
     * A writer that knows the topic's partitions and limits.
     *
     * @throws UnavailableException where Kafka does not answer within some seconds, or has no such topic
     */
    public static TopicWriter connect(String brokers, String topic) throws UnavailableException {
        int maxMessageBytes = maxMessageBytes(brokers, topic);
        KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(
                Map.ofEntries(
                        Map.entry(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, brokers),
                        Map.entry(ProducerConfig.CLIENT_ID_CONFIG, "outbox-relay"),
                        Map.entry(ProducerConfig.ACKS_CONFIG, "all"),
                        Map.entry(ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, true),
                        // With more, the records behind one that has failed could be appended all the same.
                        Map.entry(ProducerConfig.MAX_IN_FLIGHT_REQUESTS_PER_CONNECTION, 1),
                        Map.entry(ProducerConfig.DELIVERY_TIMEOUT_MS_CONFIG, DELIVERY_TIMEOUT_MILLIS),
                        Map.entry(ProducerConfig.REQUEST_TIMEOUT_MS_CONFIG, DELIVERY_TIMEOUT_MILLIS / 2),
                        Map.entry(ProducerConfig.MAX_BLOCK_MS_CONFIG, MAX_BLOCK_MILLIS),
                        Map.entry(ProducerConfig.LINGER_MS_CONFIG, 0),
                        Map.entry(ProducerConfig.BATCH_SIZE_CONFIG, 128 * 1024),
                        Map.entry(ProducerConfig.COMPRESSION_TYPE_CONFIG, "lz4"),
                        // The producer accepts what the topic accepts.
                        Map.entry(ProducerConfig.MAX_REQUEST_SIZE_CONFIG, maxMessageBytes),
                        Map.entry(ProducerConfig.BUFFER_MEMORY_CONFIG, Math.max(BUFFER_BYTES, 2L * maxMessageBytes)),
                        // An outbox that rests for minutes must not make its next row wait for metadata. Not
                        // Long.MAX_VALUE: Kafka adds the time of day, and would forget the topic at once.
                        Map.entry(
                                ProducerConfig.METADATA_MAX_IDLE_CONFIG,
                                Duration.ofDays(3650).toMillis())),
                new ByteArraySerializer(),
                new ByteArraySerializer());
        TopicWriter writer = new TopicWriter(brokers, topic, maxMessageBytes, producer);
        try {
            writer.partitions();
        } catch (UnavailableException e) {
            writer.abort();
            throw e;
        }
        return writer;
    }

    private static int maxMessageBytes(String brokers, String topic) throws UnavailableException {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        try (Admin admin = Admin.create(Map.of(
                AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, brokers,
                AdminClientConfig.CLIENT_ID_CONFIG, "outbox-relay",
                AdminClientConfig.REQUEST_TIMEOUT_MS_CONFIG, ADMIN_TIMEOUT_MILLIS,
                AdminClientConfig.DEFAULT_API_TIMEOUT_MS_CONFIG, ADMIN_TIMEOUT_MILLIS))) {
            String value = admin.describeConfigs(List.of(resource))
                    .all()
                    .get()
                    .get(resource)
                    .get(TopicConfig.MAX_MESSAGE_BYTES_CONFIG)
                    .value();
            return Integer.parseInt(value);
        } catch (ExecutionException e) {
            if (e.getCause() instanceof UnknownTopicOrPartitionException) {
                throw new UnavailableException("Kafka at " + brokers + " has no topic '" + topic + "': create it");
            }
            throw doesNotAnswer(brokers, e);
        } catch (KafkaException e) {
            throw doesNotAnswer(brokers, e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw doesNotAnswer(brokers, e);
        }
    }

    private static UnavailableException doesNotAnswer(String brokers, Exception failure) {
        Throwable reason = failure.getCause() == null ? failure : failure.getCause();
        if (reason instanceof AuthorizationException) {
            return new UnavailableException("Kafka at " + brokers + " denies the relay access: grant it WRITE, READ,"
                    + " DESCRIBE and DESCRIBE_CONFIGS on the topic (" + reason.getMessage() + ")");
        }
        return new UnavailableException("Kafka at " + brokers + " cannot be used: start it, or correct"
                + " DEDUP_KAFKA_BOOTSTRAP_SERVERS (" + reason.getMessage() + ")");
    }

    private UnavailableException doesNotAcknowledge(Exception failure) {
        return failure instanceof AuthorizationException
                ? doesNotAnswer(brokers, failure)
                : new UnavailableException("Kafka at " + brokers + " does not acknowledge records of topic '" + topic
                        + "': a broker is unavailable, or fewer replicas are in sync than min.insync.replicas ("
                        + failure.getMessage() + ")");
    }

    /** How many partitions the topic has. */
    public int partitions() throws UnavailableException {
        try {
            return producer.partitionsFor(topic).size();
        } catch (KafkaException | IllegalStateException e) {
            throw doesNotAnswer(brokers, e);
        }
    }

    /** The size of the largest event that the topic accepts. */
    public int maxEventBytes() {
        return maxRequestBytes - OVERHEAD_BYTES;
    }

    /**
     * Hands a record to Kafka.
     *
     * @throws UnavailableException where this record or one before it has failed
     */
    public void send(Message message) throws UnavailableException {
        awaited++;
        try {
            var unused = producer.send(
                    new ProducerRecord<>(topic, message.partition(), message.key(), message.event(), HEADERS),
                    (position, e) -> completed(message.id(), e));
        } catch (KafkaException | IllegalStateException e) {
            // A producer that a callback has closed reports only that; the callback has the reason.
            throw doesNotAcknowledge(failureOr(e));
        }
    }

    private void completed(long rowId, Exception e) {
        if (e == null) {
            synchronized (this) {
                acknowledged++;
                if (acknowledged >= awaited) {
                    notifyAll();
                }
            }
            return;
        }
        synchronized (this) {
            if (failure == null) {
                failure = e;
                // The others fail with it, and only as a consequence.
                if (e instanceof RecordTooLargeException) {
                    rejected.put(rowId, "the event is larger than the topic accepts, max.message.bytes");
                }
            }
            notifyAll();
        }
        // On Kafka's own thread, before it can send what comes after.
        producer.close(Duration.ZERO);
    }

    private synchronized Exception failureOr(Exception other) {
        return failure == null ? other : failure;
    }

    /**
     * Waits until Kafka has acknowledged every record.
     *
     * @throws UnavailableException where one has failed, or the relay is to stop and Kafka takes too long
     */
    public synchronized void awaitAcknowledgements(Stop stop) throws UnavailableException {
        while (acknowledged < awaited && failure == null && !stop.isOverdue()) {
            try {
                wait(100);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw doesNotAnswer(brokers, e);
            }
        }
        if (failure != null) {
            throw doesNotAcknowledge(failure);
        }
        if (acknowledged < awaited) {
            throw new UnavailableException("Kafka at " + brokers + " has not acknowledged the last batch in time");
        }
        awaited = 0;
        acknowledged = 0;
    }

    /** Rows that Kafka has rejected for good, with the reasons: no retry will succeed. */
    public Map<Long, String> rejected() {
        return rejected;
    }

    /** Closes at once; records that are not acknowledged may or may not be appended. */
    public void abort() {
        producer.close(Duration.ZERO);
    }

    @Override
    public void close() {
        producer.close(CLOSE_TIMEOUT);
    }
}
