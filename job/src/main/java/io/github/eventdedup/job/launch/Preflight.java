package io.github.eventdedup.job.launch;

import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.event.ClickHouseTable;
import io.github.eventdedup.event.PostgresTable;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.clickhouse.table.ClickHouseErrors;
import io.github.eventdedup.job.clickhouse.table.ClickHouseSchema;
import io.github.eventdedup.job.postgres.PostgresPreflight;
import io.github.eventdedup.job.settings.Endpoints;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.config.TopicConfig;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/**
 * Finds, before the job is submitted, errors that would otherwise show once it runs. Each finding is a line that says
 * what to do.
 */
public final class Preflight {

    /** What headers and framing add to a record that becomes a dead letter. */
    private static final int DEAD_LETTER_OVERHEAD_BYTES = 64 * 1024;

    private final StreamDefinition stream;
    private final Endpoints endpoints;
    private final List<String> findings = new ArrayList<>();

    private Preflight(StreamDefinition stream, Endpoints endpoints) {
        this.stream = stream;
        this.endpoints = endpoints;
    }

    /**
     * Checks Kafka and the stream's database.
     *
     * @throws ConfigurationException with everything that was found
     */
    public static void check(StreamDefinition stream, Endpoints endpoints) throws ConfigurationException {
        Preflight preflight = new Preflight(stream, endpoints);
        preflight.checkKafka();
        if (stream.table() instanceof PostgresTable table) {
            new PostgresPreflight(table, endpoints.postgres(), preflight.findings)
                    .check(endpoints.allowsNonDurablePostgres());
        } else {
            preflight.checkClickHouse((ClickHouseTable) stream.table());
        }
        if (!preflight.findings.isEmpty()) {
            throw new ConfigurationException(preflight.findings);
        }
    }

    private void checkKafka() {
        try (Admin admin = endpoints.kafka()) {
            Map<String, Config> topics = new LinkedHashMap<>();
            for (String topic : List.of(stream.stream(), stream.duplicatesTopic(), stream.deadLettersTopic())) {
                Config config = config(admin, topic);
                if (config == null) {
                    findings.add("Kafka has no topic '" + topic + "': create it");
                } else {
                    topics.put(topic, config);
                }
            }
            if (topics.size() == 3) {
                checkTopics(topics);
            }
        } catch (ExecutionException e) {
            findings.add(endpoints.kafkaDoesNotAnswer(e));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            findings.add("interrupted while querying Kafka");
        } catch (KafkaException e) {
            findings.add(endpoints.kafkaDoesNotAnswer(e));
        }
    }

    private static Config config(Admin admin, String topic) throws ExecutionException, InterruptedException {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        try {
            return admin.describeConfigs(Set.of(resource))
                    .values()
                    .get(resource)
                    .get();
        } catch (ExecutionException e) {
            if (e.getCause() instanceof UnknownTopicOrPartitionException) {
                return null;
            }
            throw e;
        }
    }

    private void checkTopics(Map<String, Config> topics) {
        String type = value(topics.get(stream.stream()), TopicConfig.MESSAGE_TIMESTAMP_TYPE_CONFIG);
        if (!type.equals("LogAppendTime")) {
            findings.add("topic '" + stream.stream() + "' has message.timestamp.type=" + type
                    + ": set it to LogAppendTime, or the window would run on the clocks of clients");
        }
        checkKept(topics.get(stream.stream()));
        for (String topic : List.of(stream.stream(), stream.deadLettersTopic())) {
            String policy = value(topics.get(topic), TopicConfig.CLEANUP_POLICY_CONFIG);
            if (policy.contains(TopicConfig.CLEANUP_POLICY_COMPACT)) {
                findings.add(
                        "topic '" + topic + "' has cleanup.policy=" + policy + ": set it to delete, since compaction"
                                + " deletes records of the same key that nothing has read");
            }
        }
        long largest = maxBytes(topics, stream.stream());
        for (String topic : List.of(stream.duplicatesTopic(), stream.deadLettersTopic())) {
            if (maxBytes(topics, topic) < largest + DEAD_LETTER_OVERHEAD_BYTES) {
                findings.add("topic '" + topic + "' accepts records of " + maxBytes(topics, topic) + " bytes: set its"
                        + " max.message.bytes to " + (largest + DEAD_LETTER_OVERHEAD_BYTES) + " or more, since '"
                        + stream.stream() + "' takes " + largest);
            }
        }
    }

    /** Whether Kafka keeps what the job has not read yet, and all that its memory covers. */
    private void checkKept(Config rawTopic) {
        String topic = "topic '" + stream.stream() + "' has ";
        if (Boolean.parseBoolean(value(rawTopic, TopicConfig.UNCLEAN_LEADER_ELECTION_ENABLE_CONFIG))) {
            findings.add(
                    topic + "unclean.leader.election.enable=true: set it to false, or acknowledged events may be lost");
        }
        if (stream.allowsShortRetention()) {
            return;
        }
        long memory = stream.window().plus(stream.ttlSlack()).toMillis();
        long retention = Long.parseLong(value(rawTopic, TopicConfig.RETENTION_MS_CONFIG));
        if (retention >= 0 && retention < memory) {
            findings.add(
                    topic + "retention.ms=" + retention + ": set it to " + memory + " or more (window + ttl-slack), or"
                            + " allow it in the stream definition with allow-short-retention: true; records that are deleted"
                            + " before the job reads them are lost");
        }
        long bytes = Long.parseLong(value(rawTopic, TopicConfig.RETENTION_BYTES_CONFIG));
        if (bytes >= 0) {
            findings.add(
                    topic + "retention.bytes=" + bytes + ": set it to -1, or allow it in the stream definition with"
                            + " allow-short-retention: true; records that are deleted before the job reads them are lost");
        }
    }

    private void checkClickHouse(ClickHouseTable table) {
        try {
            findings.addAll(ClickHouseSchema.of(endpoints.clickHouse(), table).findings());
        } catch (RuntimeException e) {
            findings.add(ClickHouseErrors.cannotBeUsed(endpoints.clickHouse(), e));
        }
    }

    private static long maxBytes(Map<String, Config> topics, String topic) {
        return Long.parseLong(value(topics.get(topic), TopicConfig.MAX_MESSAGE_BYTES_CONFIG));
    }

    private static String value(Config config, String name) {
        return config.get(name).value();
    }
}
