package io.github.eventdedup.ingest.metrics;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.Timer;
import io.micrometer.core.instrument.binder.jvm.JvmGcMetrics;
import io.micrometer.core.instrument.binder.jvm.JvmMemoryMetrics;
import io.micrometer.core.instrument.binder.jvm.JvmThreadMetrics;
import io.micrometer.core.instrument.binder.kafka.KafkaClientMetrics;
import io.micrometer.core.instrument.binder.system.ProcessorMetrics;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.time.Duration;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.function.IntSupplier;
import java.util.stream.LongStream;
import org.apache.kafka.clients.producer.Producer;

/** What the service counts, as Prometheus reads it. Thread-safe. */
public final class IngestMetrics implements AutoCloseable {

    /** What {@link #scrape()} returns. */
    public static final String CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

    private static final Duration[] ACKNOWLEDGEMENT_BUCKETS = LongStream.of(
                    1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000)
            .mapToObj(Duration::ofMillis)
            .toArray(Duration[]::new);

    private final PrometheusMeterRegistry registry = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
    private final Map<Integer, Counter> requests = new ConcurrentHashMap<>();
    private final JvmGcMetrics garbageCollection = new JvmGcMetrics();
    private final List<KafkaClientMetrics> kafka;

    /** Why an event was not accepted. */
    public enum Rejection {
        /** It is no event of its stream. */
        INVALID,
        /** It is larger than the limit. */
        TOO_LARGE,
        /** It is none of these, but came in a batch that was refused as a whole. */
        BATCH,
        /** Kafka was unavailable or too slow, so sending it again can help. */
        UNAVAILABLE
    }

    /** Counts also what the producers count themselves. */
    public IngestMetrics(List<? extends Producer<?, ?>> producers) {
        kafka = producers.stream().map(KafkaClientMetrics::new).toList();
        kafka.forEach(metrics -> metrics.bindTo(registry));
        garbageCollection.bindTo(registry);
        new JvmMemoryMetrics().bindTo(registry);
        new JvmThreadMetrics().bindTo(registry);
        new ProcessorMetrics().bindTo(registry);
    }

    /**
     * Shows how much of a bound is used.
     *
     * @param what is bounded: {@code kafka} or {@code arriving}
     */
    public void inFlight(String what, int bound, IntSupplier free) {
        Gauge.builder("dedup.in.flight", () -> bound - free.getAsInt())
                .description(
                        "Bytes of events that await their acknowledgement, and of requests that have not been answered")
                .baseUnit("bytes")
                .tag("of", what)
                .register(registry);
    }

    /** Shows how many connections are open. */
    public void connections(IntSupplier open) {
        Gauge.builder("dedup.connections", open::getAsInt)
                .description("Open connections of clients")
                .register(registry);
    }

    /** Counts a request by the status of its answer. */
    public void answered(int status) {
        requests.computeIfAbsent(
                        status,
                        unused -> Counter.builder("dedup.requests")
                                .description("Requests by the status of their answer")
                                .tag("status", Integer.toString(status))
                                .register(registry))
                .increment();
    }

    /** The counts of a stream. */
    public OfStream ofStream(String stream) {
        return new OfStream(stream);
    }

    /** Everything that was counted, in Prometheus' text format. */
    public String scrape() {
        return registry.scrape();
    }

    @Override
    public void close() {
        kafka.forEach(KafkaClientMetrics::close);
        garbageCollection.close();
        registry.close();
    }

    /** Every event of a stream is counted once: as accepted, or by why it was rejected. */
    public final class OfStream {

        private final Counter accepted;
        private final Counter acceptedBytes;
        private final Map<Rejection, Counter> rejected = new EnumMap<>(Rejection.class);
        private final Timer acknowledgement;

        private OfStream(String stream) {
            accepted = Counter.builder("dedup.events.accepted")
                    .description("Events that Kafka has acknowledged")
                    .tag("stream", stream)
                    .register(registry);
            acceptedBytes = Counter.builder("dedup.events.accepted.bytes")
                    .description("Bytes of the events that Kafka has acknowledged")
                    .tag("stream", stream)
                    .register(registry);
            for (Rejection reason : Rejection.values()) {
                rejected.put(
                        reason,
                        Counter.builder("dedup.events.rejected")
                                .description("Events that were not accepted")
                                .tag("stream", stream)
                                .tag("reason", reason.name().toLowerCase(Locale.ROOT))
                                .register(registry));
            }
            acknowledgement = Timer.builder("dedup.acknowledgement")
                    .description("Time from handing an event to Kafka until its acknowledgement")
                    .tag("stream", stream)
                    .serviceLevelObjectives(ACKNOWLEDGEMENT_BUCKETS)
                    .register(registry);
        }

        public void accepted(int bytes, long nanos) {
            accepted.increment();
            acceptedBytes.increment(bytes);
            acknowledgement.record(nanos, TimeUnit.NANOSECONDS);
        }

        public void rejected(Rejection reason) {
            rejected.get(reason).increment();
        }
    }
}
