package io.github.eventdedup.ingest;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.acl.AclOperation;
import org.junit.jupiter.api.Test;

/** When acks=all cannot succeed; one broker, as the other tests have, is always enough for itself. */
class KafkaWatchTest {

    @Test
    void enoughReplicasAreInSync() {
        assertThat(KafkaWatch.obstacleOf(topic(true, 3, 2), 2)).isEmpty();
        assertThat(KafkaWatch.obstacleOf(topic(true, 3, 1), 1)).isEmpty();
    }

    @Test
    void theBrokerAsksForNoMoreReplicasThanThereAre() {
        assertThat(KafkaWatch.obstacleOf(topic(true, 1, 1), 2)).isEmpty();
    }

    @Test
    void tooFewReplicasAreInSync() {
        assertThat(KafkaWatch.obstacleOf(topic(true, 3, 1), 2))
                .get()
                .asString()
                .startsWith("partition 7 of the topic views has 1 in-sync of 3 replicas, and min.insync.replicas is 2");
    }

    @Test
    void aPartitionHasNoLeader() {
        assertThat(KafkaWatch.obstacleOf(topic(false, 3, 2), 1))
                .get()
                .asString()
                .startsWith("partition 7 of the topic views has no leader");
    }

    @Test
    void theServiceMayNotWrite() {
        TopicDescription topic = new TopicDescription("views", false, List.of(), Set.of(AclOperation.DESCRIBE));
        assertThat(KafkaWatch.obstacleOf(topic, 1)).get().asString().endsWith("the topic views; grant it WRITE");
    }

    private static TopicDescription topic(boolean leader, int replicas, int inSync) {
        List<Node> nodes = IntStream.range(0, replicas)
                .mapToObj(id -> new Node(id, "127.0.0.1", 9092 + id))
                .toList();
        return new TopicDescription(
                "views",
                false,
                List.of(new TopicPartitionInfo(
                        7, leader ? nodes.get(0) : Node.noNode(), nodes, nodes.subList(0, inSync))));
    }
}
