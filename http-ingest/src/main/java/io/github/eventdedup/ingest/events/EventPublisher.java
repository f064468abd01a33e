package io.github.eventdedup.ingest.events;

import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.event.Fingerprint;
import io.github.eventdedup.ingest.response.ProblemException;
import io.github.eventdedup.ingest.settings.IngestSettings;
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
import org.apache.kafka.common.errors.AuthenticationException;
import org.apache.kafka.common.errors.AuthorizationException;
import org.apache.kafka.common.errors.NotEnoughReplicasAfterAppendException;
import org.apache.kafka.common.errors.NotEnoughReplicasException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.UnknownTopicIdException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.eclipse.jetty.http.HttpStatus;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Writes events to Kafka. Thread-safe.
 *
 * <p>Callers never wait: neither for room in the producer's buffer, because less is in flight than fits, nor for the
 * metadata of a topic, because it is fetched ({@link #prepare}) before the first event is accepted.
 */
public final class EventPublisher implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(EventPublisher.class);

    /**
     * The memory of a record without its body, such as its key and Kafka's framing; so the limit holds for tiny events
     * too.
     */
    static final int RECORD_OVERHEAD_BYTES = 256;

    private static final int BATCH_BYTES = 64 * 1024;

    /** Without a failure for this long, and with a success, failing deliveries are over. */
    private static final Duration CALM = Duration.ofSeconds(5);

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
    private final Map<String, Delivery> deliveries = new ConcurrentHashMap<>();

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

    /**
     * A publisher with its producers, which connect by themselves.
     *
     * @throws ConfigurationException where the addresses of the brokers cannot be used
     */
    public static EventPublisher connect(IngestSettings settings) throws ConfigurationException {
        try {
            // The client of a single event waits for its acknowledgement, so to wait for more events is to wait for
            // nobody. Under load batches of Kafka's grow by themselves while earlier ones are under way.
            Producer<byte[], byte[]> singles = producer(configuration(settings, "http-ingest", 0));
            Producer<byte[], byte[]> batches =
                    producer(configuration(settings, "http-ingest-batches", BATCH_LINGER_MILLIS));
            return new EventPublisher(singles, batches, settings.limits().inFlightBytes(), settings.deliveryTimeout());
        } catch (KafkaException e) {
            Throwable cause = e.getCause() == null ? e : e.getCause();
            throw new ConfigurationException(
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
    public static Map<String, Object> configuration(IngestSettings settings, String name, int lingerMillis) {
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
     * @throws KafkaException where Kafka does not say; after a second at the latest
     */
    void prepare(String topic) {
        if (!preparedTopics.contains(topic)) {
            singles.partitionsFor(topic);
            batches.partitionsFor(topic);
            preparedTopics.add(topic);
        }
    }

    /**
     * Hands an event to Kafka.
     *
     * @param inBatch whether it came with others
     * @param outcome called once with the event's outcome, on this thread or on Kafka's own
     */
    void publish(String topic, Fingerprint fingerprint, byte[] event, boolean inBatch, Outcome outcome) {
        ProblemException problem = reserve(topic, event.length + RECORD_OVERHEAD_BYTES);
        if (problem != null) {
            outcome.failed(problem);
            return;
        }
        publishReserved(topic, fingerprint, event, inBatch, outcome);
    }

    /**
     * Makes room for events, so that all of them can be handed over ({@link #publishReserved}) or none.
     *
     * @param bytes of all of them, and {@link #RECORD_OVERHEAD_BYTES} for each
     * @return why there is no room; null where there is
     */
    ProblemException reserve(String topic, int bytes) {
        if (!preparedTopics.contains(topic)) {
            return ProblemException.unavailable("Kafka cannot be reached or has no topic '" + topic + "'; try again");
        }
        return inFlight.tryAcquire(bytes)
                ? null
                : ProblemException.unavailable("too many events are waiting for Kafka; try again");
    }

    /** Hands an event to Kafka for which there is room; otherwise as {@link #publish}. */
    void publishReserved(String topic, Fingerprint fingerprint, byte[] event, boolean inBatch, Outcome outcome) {
        int bytes = event.length + RECORD_OVERHEAD_BYTES;
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

        /** Kafka has not acknowledged the event; it may have it nevertheless. */
        void failed(ProblemException problem);
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
                delivery(topic).succeeded();
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

    private ProblemException problem(String topic, Exception failure) {
        LOG.debug("Kafka did not accept an event for {}", topic, failure);
        if (failure instanceof RecordTooLargeException) {
            delivery(topic).tooLarge(failure);
            return new ProblemException(
                    HttpStatus.PAYLOAD_TOO_LARGE_413,
                    "the event is too large for the topic '" + topic + "', whose limit is max.message.bytes");
        }
        delivery(topic).failed(failure);
        return ProblemException.unavailable(reason(topic, failure) + "; try again");
    }

    private static String reason(String topic, Exception failure) {
        if (failure instanceof AuthorizationException) {
            return "Kafka does not let the service write to the topic '" + topic + "'; it needs the right WRITE";
        }
        if (failure instanceof AuthenticationException) {
            return "Kafka rejects the service's login";
        }
        if (failure instanceof UnknownTopicOrPartitionException || failure instanceof UnknownTopicIdException) {
            return "Kafka has no topic '" + topic + "'";
        }
        if (failure instanceof NotEnoughReplicasException || failure instanceof NotEnoughReplicasAfterAppendException) {
            return "the topic '" + topic + "' has fewer in-sync replicas than min.insync.replicas";
        }
        if (failure instanceof TimeoutException) {
            return "Kafka did not acknowledge the event in time";
        }
        return "Kafka did not take the event";
    }

    private Delivery delivery(String topic) {
        Delivery delivery = deliveries.get(topic);
        return delivery == null ? deliveries.computeIfAbsent(topic, Delivery::new) : delivery;
    }

    /** Whether a topic accepts events, for the log: a line when it stops, and one when it does again. */
    private static final class Delivery {

        private final String topic;
        private final AtomicBoolean saidTooLarge = new AtomicBoolean();
        private volatile boolean failing;
        private long lastFailure;
        private long failures;

        Delivery(String topic) {
            this.topic = topic;
        }

        void succeeded() {
            // Nearly always false, and then nothing is locked.
            if (failing) {
                over();
            }
        }

        private synchronized void over() {
            // While some partitions take events and others do not, it is not over.
            if (failing && System.nanoTime() - lastFailure > CALM.toNanos()) {
                failing = false;
                LOG.info("Kafka accepts events for {} again; {} were not acknowledged", topic, failures);
            }
        }

        synchronized void failed(Exception failure) {
            lastFailure = System.nanoTime();
            failures = failing ? failures + 1 : 1;
            if (!failing) {
                failing = true;
                LOG.warn(
                        "Kafka does not accept events for {}, which are answered with 503: {} ({}: {})",
                        topic,
                        reason(topic, failure),
                        failure.getClass().getSimpleName(),
                        failure.getMessage());
            }
        }

        void tooLarge(Exception failure) {
            if (saidTooLarge.compareAndSet(false, true)) {
                LOG.warn(
                        "An event is too large for the topic {} and is answered with 413; raise the topic's"
                                + " max.message.bytes above DEDUP_MAX_EVENT_BYTES. Logged once ({})",
                        topic,
                        failure.getMessage());
            }
        }
    }

    /** What the events are handed to, for its metrics. */
    public List<Producer<byte[], byte[]>> producers() {
        return List.of(singles, batches);
    }

    /** The bytes that could still be put in flight. */
    public int freeBytes() {
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
