package io.github.eventdedup.ingest.events;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.acl.AclOperation;
import org.junit.jupiter.api.Test;

class KafkaReadinessTest {

    private static final Set<AclOperation> ALL = Set.of(AclOperation.DESCRIBE, AclOperation.WRITE);

    @Test
    void nothingIsInTheWayWhileEnoughReplicasAreInSync() {
        assertThat(KafkaReadiness.obstacleOf(topic(nodes(1).get(0), 3, 2, ALL), 2))
                .isEmpty();
        assertThat(KafkaReadiness.obstacleOf(topic(nodes(1).get(0), 3, 2, null), 2))
                .isEmpty();
    }

    /** As Kafka 4 has it: with one replica, min.insync.replicas=2 refuses nothing. */
    @Test
    void noMoreReplicasAreAskedForThanThereAre() {
        assertThat(KafkaReadiness.obstacleOf(topic(nodes(1).get(0), 1, 1, ALL), 2))
                .isEmpty();
    }

    @Test
    void namesThePartitionThatCannotAcknowledge() {
        assertThat(KafkaReadiness.obstacleOf(topic(nodes(1).get(0), 3, 1, ALL), 2))
                .get()
                .asString()
                .startsWith("partition 0 of the topic t has 1 in-sync of 3 replicas, and min.insync.replicas is 2");
        assertThat(KafkaReadiness.obstacleOf(topic(null, 3, 2, ALL), 2))
                .contains("partition 0 of the topic t has no leader; start the brokers that hold it");
        assertThat(KafkaReadiness.obstacleOf(topic(Node.noNode(), 3, 2, ALL), 2))
                .contains("partition 0 of the topic t has no leader; start the brokers that hold it");
    }

    @Test
    void saysThatTheServiceMayNotWrite() {
        assertThat(KafkaReadiness.obstacleOf(topic(nodes(1).get(0), 1, 1, Set.of(AclOperation.DESCRIBE)), 1))
                .contains("Kafka does not let the service write to the topic t; grant it WRITE");
    }

    private static TopicDescription topic(Node leader, int replicas, int inSync, Set<AclOperation> allowed) {
        TopicPartitionInfo partition = new TopicPartitionInfo(0, leader, nodes(replicas), nodes(inSync));
        return new TopicDescription("t", false, List.of(partition), allowed);
    }

    private static List<Node> nodes(int count) {
        return IntStream.range(0, count)
                .mapToObj(id -> new Node(id, "localhost", 1 + id))
                .toList();
    }
}
