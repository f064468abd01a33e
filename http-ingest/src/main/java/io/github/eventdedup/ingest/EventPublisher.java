package io.github.eventdedup.ingest;

import io.github.eventdedup.event.Fingerprint;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.producer.Callback;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.eclipse.jetty.http.HttpStatus;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Writes events to Kafka. Thread-safe.
 *
 * <p>Callers never wait: neither for room in the producer's buffer, because less is ever in flight than fits, nor for
 * Kafka to say where a topic's partitions are, because that has been asked ({@link #prepare}) before the first event is
 * taken.
 */
final class EventPublisher implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(EventPublisher.class);

    /** What a record takes beside its body, its key and Kafka's framing among it; so a bound holds for tiny events too. */
    static final int RECORD_OVERHEAD_BYTES = 256;

    private static final int BATCH_BYTES = 64 * 1024;

    /**
     * The events of a batch are answered together, so they can wait a moment for each other: a third of the requests to
     * Kafka, and 11 µs less of CPU an event. Kafka's own default.
     */
    private static final int BATCH_LINGER_MILLIS = 5;

    private final Producer<byte[], byte[]> singles;
    private final Producer<byte[], byte[]> batches;
    private final Semaphore inFlight;
    private final Duration deliveryTimeout;
    private final Set<String> preparedTopics = ConcurrentHashMap.newKeySet();

    /**
     * @param singles for events that come alone; taken over
     * @param batches for events that come with others; taken over
     * @param maxInFlightBytes how much may wait for Kafka's acknowledgement, of both together
     * @param deliveryTimeout how long Kafka may take with it
     */
    EventPublisher(
            Producer<byte[], byte[]> singles,
            Producer<byte[], byte[]> batches,
            int maxInFlightBytes,
            Duration deliveryTimeout) {
        this.singles = singles;
        this.batches = batches;
        this.deliveryTimeout = deliveryTimeout;
        inFlight = new Semaphore(maxInFlightBytes);
    }

    /** @throws StartupException where the addresses of the brokers cannot be used */
    static EventPublisher connect(IngestSettings settings) throws StartupException {
        try {
            // The client of a single event waits for its acknowledgement, so to wait for more events is to wait for
            // nobody. Under load batches of Kafka's grow by themselves while earlier ones are under way.
            Producer<byte[], byte[]> singles = producer(configuration(settings, "http-ingest", 0));
            Producer<byte[], byte[]> batches =
                    producer(configuration(settings, "http-ingest-batches", BATCH_LINGER_MILLIS));
            return new EventPublisher(singles, batches, settings.limits().inFlightBytes(), settings.deliveryTimeout());
        } catch (KafkaException e) {
            Throwable cause = e.getCause() == null ? e : e.getCause();
            throw new StartupException(
                    "cannot use the Kafka brokers " + settings.kafkaBootstrapServers() + ": " + cause.getMessage());
        }
    }

    private static Producer<byte[], byte[]> producer(Map<String, Object> configuration) {
        return new KafkaProducer<>(configuration, new ByteArraySerializer(), new ByteArraySerializer());
    }

    /**
     * What a producer of Kafka's is made with.
     *
     * @param name its {@code client.id}
     * @param lingerMillis how long a record may wait for others
     */
    static Map<String, Object> configuration(IngestSettings settings, String name, int lingerMillis) {
        int deliveryMillis = (int) settings.deliveryTimeout().toMillis();
        return Map.ofEntries(
                Map.entry(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, settings.kafkaBootstrapServers()),
                Map.entry(ProducerConfig.CLIENT_ID_CONFIG, name),
                Map.entry(ProducerConfig.ACKS_CONFIG, "all"),
                Map.entry(ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, true),
                Map.entry(ProducerConfig.MAX_IN_FLIGHT_REQUESTS_PER_CONNECTION, 5),
                Map.entry(ProducerConfig.DELIVERY_TIMEOUT_MS_CONFIG, deliveryMillis),
                // Leaves time for a second try.
                Map.entry(ProducerConfig.REQUEST_TIMEOUT_MS_CONFIG, deliveryMillis / 2),
                Map.entry(ProducerConfig.LINGER_MS_CONFIG, lingerMillis),
                Map.entry(ProducerConfig.BATCH_SIZE_CONFIG, BATCH_BYTES),
                Map.entry(ProducerConfig.COMPRESSION_TYPE_CONFIG, "lz4"),
                // Batches can be half empty at worst, and each partition has one that is begun.
                Map.entry(
                        ProducerConfig.BUFFER_MEMORY_CONFIG,
                        2L * settings.limits().inFlightBytes() + 256L * BATCH_BYTES),
                // Only after a topic was deleted, or where the two promises above do not hold.
                Map.entry(ProducerConfig.MAX_BLOCK_MS_CONFIG, 500),
                // A stream that rests for minutes must not make its next event wait for metadata. Ten years: Kafka adds
                // it to the time of day, so with Long.MAX_VALUE every topic would be forgotten at once.
                Map.entry(
                        ProducerConfig.METADATA_MAX_IDLE_CONFIG,
                        Duration.ofDays(3650).toMillis()));
    }

    /**
     * Learns where the topic's partitions are. Until it has once, events for the topic are refused.
     *
     * @return whether Kafka has answered; after a second at the latest
     */
    boolean prepare(String topic) {
        if (preparedTopics.contains(topic)) {
            return true;
        }
        try {
            singles.partitionsFor(topic);
            batches.partitionsFor(topic);
            preparedTopics.add(topic);
            return true;
        } catch (KafkaException e) {
            LOG.debug("No metadata of topic {} yet", topic, e);
            return false;
        }
    }

    /**
     * Hands an event to Kafka.
     *
     * @param inBatch whether it came with others
     * @param outcome told once, on this thread or on Kafka's own, what became of the event
     */
    void publish(String topic, Fingerprint fingerprint, byte[] event, boolean inBatch, Outcome outcome) {
        if (!preparedTopics.contains(topic)) {
            outcome.failed(Problem.unavailable("Kafka cannot be reached or has no topic '" + topic + "'; try again"));
            return;
        }
        int bytes = event.length + RECORD_OVERHEAD_BYTES;
        if (!inFlight.tryAcquire(bytes)) {
            outcome.failed(Problem.unavailable("too many events are waiting for Kafka; try again"));
            return;
        }
        Sending sending = new Sending(topic, bytes, outcome, Thread.currentThread());
        try {
            var unused = (inBatch ? batches : singles)
                    .send(new ProducerRecord<>(topic, fingerprint.bytes(), event), sending);
        } catch (KafkaException | IllegalStateException e) {
            // Thrown, for instance, by a producer that is closed; the callback is not always called then.
            sending.onCompletion(null, e);
        }
    }

    /** What became of an event. Told on Kafka's own thread, as a rule, which must not be held up. */
    interface Outcome {

        /** Kafka has acknowledged the event with acks=all. */
        void acknowledged(int partition, long offset);

        /** Kafka has not acknowledged the event; it may have it all the same. */
        void failed(Problem problem);
    }

    private final class Sending implements Callback {

        private final String topic;
        private final int bytes;
        private final Outcome outcome;
        private final Thread caller;
        private final AtomicBoolean completed = new AtomicBoolean();

        Sending(String topic, int bytes, Outcome outcome, Thread caller) {
            this.topic = topic;
            this.bytes = bytes;
            this.outcome = outcome;
            this.caller = caller;
        }

        @Override
        public void onCompletion(RecordMetadata position, Exception failure) {
            if (!completed.compareAndSet(false, true)) {
                return;
            }
            inFlight.release(bytes);
            if (failure == null) {
                outcome.acknowledged(position.partition(), position.offset());
                return;
            }
            if (failure instanceof TimeoutException && Thread.currentThread() == caller) {
                // It is the caller who has waited: the topic was deleted. One is enough.
                preparedTopics.remove(topic);
            }
            outcome.failed(problem(topic, failure));
        }
    }

    private Problem problem(String topic, Exception failure) {
        LOG.debug("Kafka did not take an event for {}", topic, failure);
        if (failure instanceof RecordTooLargeException) {
            return new Problem(
                    HttpStatus.PAYLOAD_TOO_LARGE_413,
                    "the event is too large for the topic '" + topic + "', whose limit is max.message.bytes");
        }
        return Problem.unavailable("Kafka did not acknowledge the event in time; try again");
    }

    /** What the events are handed to, for its metrics. */
    List<Producer<byte[], byte[]>> producers() {
        return List.of(singles, batches);
    }

    /** The bytes that could still be put in flight. */
    int freeBytes() {
        return inFlight.availablePermits();
    }

    /** Lets go of the producers after their records in flight have an outcome. */
    @Override
    public void close() {
        long start = System.nanoTime();
        try {
            singles.close(deliveryTimeout);
        } finally {
            Duration left = deliveryTimeout.minusNanos(System.nanoTime() - start);
            batches.close(left.isNegative() ? Duration.ZERO : left);
        }
    }
}
