package io.github.eventdedup.ingest;

import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Looks once a second whether Kafka answers and has the topic of every stream, and prepares the publisher for those it
 * has. Whoever asks for the outcome never waits. Thread-safe.
 */
final class KafkaWatch implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(KafkaWatch.class);
    private static final int TIMEOUT_MILLIS = 2_000;

    private final Admin admin;
    private final String brokers;
    private final Set<String> topics;
    private final EventPublisher publisher;
    private final ScheduledExecutorService executor = Executors.newSingleThreadScheduledExecutor(task -> {
        Thread thread = new Thread(task, "kafka-watch");
        thread.setDaemon(true);
        return thread;
    });
    private volatile Optional<String> obstacle = Optional.of("Kafka has not been asked yet");

    /** Starts to watch. */
    KafkaWatch(String brokers, Set<String> topics, EventPublisher publisher) {
        this.brokers = brokers;
        this.topics = new TreeSet<>(topics);
        this.publisher = publisher;
        admin = Admin.create(Map.of(
                AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, brokers,
                AdminClientConfig.CLIENT_ID_CONFIG, "http-ingest-watch",
                AdminClientConfig.REQUEST_TIMEOUT_MS_CONFIG, TIMEOUT_MILLIS,
                AdminClientConfig.DEFAULT_API_TIMEOUT_MS_CONFIG, TIMEOUT_MILLIS));
        var unused = executor.scheduleWithFixedDelay(this::look, 0, 1, TimeUnit.SECONDS);
    }

    /** What keeps events from being taken, as of about a second ago; empty where nothing does. */
    Optional<String> obstacle() {
        return obstacle;
    }

    private void look() {
        Optional<String> found;
        try {
            found = findObstacle();
        } catch (InterruptedException e) {
            return; // closing
        } catch (RuntimeException e) {
            // An exception that got out would end the watch, and with it every recovery.
            found = Optional.of("cannot ask Kafka: " + e);
        }
        if (!found.equals(obstacle)) {
            obstacle = found;
            found.ifPresentOrElse(
                    reason -> LOG.warn("Not ready: {}", reason), () -> LOG.info("Ready: Kafka at {} answers", brokers));
        }
    }

    private Optional<String> findObstacle() throws InterruptedException {
        Set<String> missing = new TreeSet<>();
        for (Map.Entry<String, KafkaFuture<TopicDescription>> described :
                admin.describeTopics(topics).topicNameValues().entrySet()) {
            try {
                described.getValue().get();
                if (!publisher.prepare(described.getKey())) {
                    return Optional.of("Kafka at " + brokers + " does not answer");
                }
            } catch (ExecutionException e) {
                if (!(e.getCause() instanceof UnknownTopicOrPartitionException)) {
                    return Optional.of("Kafka at " + brokers + " does not answer");
                }
                missing.add(described.getKey());
            }
        }
        return missing.isEmpty()
                ? Optional.empty()
                : Optional.of("Kafka lacks the topic " + String.join(", ", missing) + "; create it");
    }

    @Override
    public void close() {
        executor.shutdownNow();
        admin.close(Duration.ZERO);
    }
}
