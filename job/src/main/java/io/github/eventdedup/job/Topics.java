package io.github.eventdedup.job;

import io.github.eventdedup.event.StreamDefinition;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.TopicExistsException;

/** The Kafka topics of streams. */
final class Topics {

    private static final int RAW_PARTITIONS = 4;
    private static final int DUPLICATES_PARTITIONS = 2;

    /** Above the largest event that the ingest takes. */
    private static final int RAW_MAX_BYTES = 4 << 20;

    /** A raw record with the headers that say where it came from and why it was kept aside. */
    private static final int ASIDE_MAX_BYTES = 5 << 20;

    private static final Duration DUPLICATES_RETENTION = Duration.ofDays(7);

    private Topics() {}

    /** Creates those that are not there; leaves those that are as they are, for somebody may have changed them. */
    static void create(Neighbours neighbours, List<StreamDefinition> streams, List<String> errors) {
        List<NewTopic> topics =
                streams.stream().flatMap(stream -> of(stream).stream()).toList();
        try (Admin admin = neighbours.kafka()) {
            for (var created : admin.createTopics(topics).values().entrySet()) {
                try {
                    created.getValue().get();
                } catch (ExecutionException e) {
                    if (e.getCause() instanceof TimeoutException) {
                        errors.add(neighbours.kafkaDoesNotAnswer(e));
                        return;
                    }
                    if (!(e.getCause() instanceof TopicExistsException)) {
                        errors.add("cannot create the topic '" + created.getKey() + "': "
                                + e.getCause().getMessage());
                    }
                }
            }
        } catch (KafkaException e) {
            errors.add(neighbours.kafkaDoesNotAnswer(e));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            errors.add("interrupted while creating topics");
        }
    }

    private static List<NewTopic> of(StreamDefinition stream) {
        return List.of(
                topic(stream.stream(), RAW_PARTITIONS)
                        .configs(Map.of(
                                // The window runs by the broker's clock, not by those of clients.
                                "message.timestamp.type", "LogAppendTime",
                                "max.message.bytes", Integer.toString(RAW_MAX_BYTES),
                                // As long as the job's memory reaches: to replay more would let old duplicates through.
                                "retention.ms", milliseconds(stream.window().plus(stream.ttlSlack())))),
                topic(stream.duplicatesTopic(), DUPLICATES_PARTITIONS)
                        .configs(Map.of(
                                "max.message.bytes",
                                Integer.toString(ASIDE_MAX_BYTES),
                                "retention.ms",
                                milliseconds(DUPLICATES_RETENTION))),
                topic(stream.deadLettersTopic(), 1)
                        .configs(Map.of(
                                "max.message.bytes",
                                Integer.toString(ASIDE_MAX_BYTES),
                                // Kept until somebody has looked.
                                "retention.ms",
                                "-1")));
    }

    /** With as many replicas as the brokers make by default: one of them alone has one. */
    private static NewTopic topic(String name, int partitions) {
        return new NewTopic(name, Optional.of(partitions), Optional.empty());
    }

    private static String milliseconds(Duration duration) {
        return Long.toString(duration.toMillis());
    }
}
