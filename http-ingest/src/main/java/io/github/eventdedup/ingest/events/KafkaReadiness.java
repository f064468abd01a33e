package io.github.eventdedup.ingest.events;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
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
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.DescribeTopicsOptions;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.config.TopicConfig;
import org.apache.kafka.common.errors.AuthenticationException;
import org.apache.kafka.common.errors.AuthorizationException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Looks once a second whether Kafka can acknowledge events of every stream: whether it answers, has the topic, and each
 * partition has a leader and as many in-sync replicas as acks=all needs. Prepares the publisher for the topics that
 * there are. Asking for the outcome never waits. Thread-safe.
 */
public final class KafkaReadiness implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(KafkaReadiness.class);
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
    public KafkaReadiness(String brokers, Set<String> topics, EventPublisher publisher) {
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

    /** Why events cannot be accepted, as of about a second ago; empty where they can. */
    public Optional<String> obstacle() {
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
        if (executor.isShutdown()) {
            return; // What a client says that is being closed tells nothing about Kafka.
        }
        if (!found.equals(obstacle)) {
            obstacle = found;
            found.ifPresentOrElse(
                    reason -> LOG.warn("Not ready: {}", reason), () -> LOG.info("Ready: Kafka at {} answers", brokers));
        }
    }

    private Optional<String> findObstacle() throws InterruptedException {
        Set<String> missing = new TreeSet<>();
        List<String> others = new ArrayList<>();
        Map<String, KafkaFuture<Config>> configs = configs();
        for (Map.Entry<String, KafkaFuture<TopicDescription>> described : admin.describeTopics(
                        topics, new DescribeTopicsOptions().includeAuthorizedOperations(true))
                .topicNameValues()
                .entrySet()) {
            String topic = described.getKey();
            try {
                TopicDescription description = described.getValue().get();
                publisher.prepare(topic);
                obstacleOf(description, leastInSync(configs.get(topic))).ifPresent(others::add);
            } catch (ExecutionException e) {
                if (e.getCause() instanceof UnknownTopicOrPartitionException) {
                    missing.add(topic);
                } else {
                    return Optional.of(reason(topic, e.getCause()));
                }
            } catch (KafkaException e) {
                return Optional.of(reason(topic, e));
            }
        }
        if (!missing.isEmpty()) {
            others.add(0, "Kafka lacks the topic " + String.join(", ", missing) + "; create it");
        }
        return others.isEmpty() ? Optional.empty() : Optional.of(String.join(". ", others));
    }

    /**
     * Why acks=all cannot succeed for all of a topic's partitions.
     *
     * @param leastInSync the topic's {@code min.insync.replicas}; the broker requires at most the number of replicas
     */
    static Optional<String> obstacleOf(TopicDescription topic, int leastInSync) {
        Set<AclOperation> allowed = topic.authorizedOperations();
        if (allowed != null && !allowed.isEmpty() && !allowed.contains(AclOperation.WRITE)) {
            return Optional.of(
                    "Kafka does not let the service write to the topic " + topic.name() + "; grant it WRITE");
        }
        for (TopicPartitionInfo partition : topic.partitions()) {
            if (partition.leader() == null || partition.leader().isEmpty()) {
                return Optional.of("partition " + partition.partition() + " of the topic " + topic.name()
                        + " has no leader; start the brokers that hold it");
            }
            if (partition.isr().size()
                    < Math.min(leastInSync, partition.replicas().size())) {
                return Optional.of("partition " + partition.partition() + " of the topic " + topic.name() + " has "
                        + partition.isr().size() + " in-sync of "
                        + partition.replicas().size()
                        + " replicas, and min.insync.replicas is " + leastInSync
                        + ": no event can be acknowledged until the brokers that hold it are back");
            }
        }
        return Optional.empty();
    }

    private Map<String, KafkaFuture<Config>> configs() {
        Map<String, KafkaFuture<Config>> configs = new HashMap<>();
        admin.describeConfigs(topics.stream()
                        .map(topic -> new ConfigResource(ConfigResource.Type.TOPIC, topic))
                        .toList())
                .values()
                .forEach((resource, config) -> configs.put(resource.name(), config));
        return configs;
    }

    /** The topic's setting; 1 where the service may not read it. Then its deliveries show it. */
    private static int leastInSync(KafkaFuture<Config> config) throws InterruptedException {
        try {
            ConfigEntry entry = config.get().get(TopicConfig.MIN_IN_SYNC_REPLICAS_CONFIG);
            return entry == null ? 1 : Integer.parseInt(entry.value());
        } catch (ExecutionException e) {
            LOG.debug("The settings of a topic cannot be read", e);
            return 1;
        }
    }

    private String reason(String topic, Throwable failure) {
        if (failure instanceof AuthorizationException) {
            return "Kafka does not let the service see the topic " + topic + "; grant it DESCRIBE and WRITE ("
                    + failure.getMessage() + ")";
        }
        if (failure instanceof AuthenticationException) {
            return "Kafka at " + brokers + " rejects the service's login (" + failure.getMessage() + ")";
        }
        if (failure instanceof InvalidTopicException) {
            return "Kafka takes no topic of the name " + topic + " (" + failure.getMessage() + ")";
        }
        return "Kafka at " + brokers + " does not answer";
    }

    @Override
    public void close() {
        executor.shutdownNow();
        admin.close(Duration.ZERO);
    }
}
