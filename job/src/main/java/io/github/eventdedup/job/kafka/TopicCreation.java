package io.github.eventdedup.job.kafka;

import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.settings.Endpoints;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.TopicExistsException;

/** The Kafka topics of streams. */
public final class TopicCreation {

    private static final int RAW_PARTITIONS = 4;
    private static final int DUPLICATES_PARTITIONS = 2;

    /** Above the largest event that the ingest takes. */
    private static final int RAW_MAX_BYTES = 4 << 20;

    /** A raw record with the headers that say where it came from and why it was kept aside. */
    private static final int ASIDE_MAX_BYTES = 5 << 20;

    private static final Duration DUPLICATES_RETENTION = Duration.ofDays(7);

    private TopicCreation() {}

    /**
     * Creates those that are not there, and returns when they take records; leaves those that are there as they are,
     * for they may have been changed.
     */
    public static void create(Endpoints endpoints, List<StreamDefinition> streams, List<String> errors) {
        List<NewTopic> topics =
                streams.stream().flatMap(stream -> of(stream).stream()).toList();
        try (Admin admin = endpoints.kafka()) {
            Map<String, KafkaFuture<Void>> answers = admin.createTopics(topics).values();
            List<TopicPartition> created = new ArrayList<>();
            for (NewTopic topic : topics) {
                try {
                    answers.get(topic.name()).get();
                    for (int partition = 0; partition < topic.numPartitions(); partition++) {
                        created.add(new TopicPartition(topic.name(), partition));
                    }
                } catch (ExecutionException e) {
                    if (e.getCause() instanceof TimeoutException) {
                        errors.add(endpoints.kafkaDoesNotAnswer(e));
                        return;
                    }
                    if (!(e.getCause() instanceof TopicExistsException)) {
                        errors.add("cannot create the topic '" + topic.name() + "': "
                                + e.getCause().getMessage());
                    }
                }
            }
            awaitLeaders(endpoints, created);
        } catch (TimeoutException e) {
            errors.add(
                    "the new topics do not accept records yet: wait until Kafka's log says that their partitions have a"
                            + " leader (" + e.getMessage() + ")");
        } catch (KafkaException e) {
            errors.add(endpoints.kafkaDoesNotAnswer(e));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            errors.add("interrupted while creating topics");
        }
    }

    /**
     * Topics are there before anybody leads their partitions. What a producer sends in between is refused, and may be refused
     * for ever: where its next batch is taken, no earlier one is any more (KAFKA-15591). Only a partition's leader knows its
     * end, and a consumer asks until there is one.
     */
    private static void awaitLeaders(Endpoints endpoints, List<TopicPartition> partitions) {
        try (Consumer<byte[], byte[]> consumer = endpoints.kafkaConsumer()) {
            consumer.endOffsets(partitions);
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
                                // Kept until an operator has looked at them.
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
