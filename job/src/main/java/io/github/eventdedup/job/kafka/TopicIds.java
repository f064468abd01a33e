package io.github.eventdedup.job.kafka;

import java.util.List;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.Uuid;

/** The ids by which a topic is told from another of the same name. */
public final class TopicIds {

    private TopicIds() {}

    /**
     * Asks Kafka for a topic.
     *
     * @throws ExecutionException where there is no such topic, or no answer
     */
    public static TopicDescription describe(Admin admin, String topic) throws ExecutionException, InterruptedException {
        return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
    }

    /** The id that Kafka gave a topic; null where its version gives none. */
    public static String of(TopicDescription topic) {
        return topic.topicId() == null || topic.topicId().equals(Uuid.ZERO_UUID)
                ? null
                : topic.topicId().toString();
    }
}
