package io.github.eventdedup.local;

import io.github.eventdedup.event.StreamDefinition;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.common.errors.TopicExistsException;

/** A stream's Kafka topics. */
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
    static void create(String bootstrapServers, StreamDefinition stream) {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrapServers))) {
            for (var created : admin.createTopics(of(stream)).values().values()) {
                try {
                    created.get();
                } catch (ExecutionException e) {
                    if (!(e.getCause() instanceof TopicExistsException)) {
                        throw new LocalException(
                                "cannot create the topics of " + stream.stream() + ": "
                                        + e.getCause().getMessage(),
                                e);
                    }
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new LocalException("interrupted while creating topics", e);
        }
    }

    static List<NewTopic> of(StreamDefinition stream) {
        return List.of(
                new NewTopic(stream.stream(), RAW_PARTITIONS, (short) 1)
                        .configs(Map.of(
                                // The window runs by the broker's clock, not by those of clients.
                                "message.timestamp.type", "LogAppendTime",
                                "max.message.bytes", Integer.toString(RAW_MAX_BYTES),
                                // As long as the job's memory reaches: to replay more would let old duplicates through.
                                "retention.ms", milliseconds(stream.window().plus(stream.ttlSlack())))),
                new NewTopic(stream.duplicatesTopic(), DUPLICATES_PARTITIONS, (short) 1)
                        .configs(Map.of(
                                "max.message.bytes",
                                Integer.toString(ASIDE_MAX_BYTES),
                                "retention.ms",
                                milliseconds(DUPLICATES_RETENTION))),
                new NewTopic(stream.deadLettersTopic(), 1, (short) 1)
                        .configs(Map.of(
                                "max.message.bytes",
                                Integer.toString(ASIDE_MAX_BYTES),
                                // Kept until somebody has looked.
                                "retention.ms",
                                "-1")));
    }

    private static String milliseconds(Duration duration) {
        return Long.toString(duration.toMillis());
    }
}
