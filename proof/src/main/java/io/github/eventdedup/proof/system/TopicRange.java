package io.github.eventdedup.proof.system;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/**
 * What a topic held at one moment: of each partition the first offset that is kept, and the one after the last.
 *
 * @param topic its name
 * @param begin by partition; above 0 where records were removed
 * @param end by partition
 */
public record TopicRange(String topic, long[] begin, long[] end) {

    /**
     * What readers of committed records can see, as the job is one: up to the first transaction that is open.
     *
     * @throws ProofException where there is no such topic, or Kafka does not answer
     */
    public static TopicRange of(Admin admin, String topic) {
        return of(admin, topic, IsolationLevel.READ_COMMITTED);
    }

    /** All that is there, committed or not. */
    static TopicRange uncommitted(Admin admin, String topic) {
        return of(admin, topic, IsolationLevel.READ_UNCOMMITTED);
    }

    private static TopicRange of(Admin admin, String topic, IsolationLevel isolation) {
        try {
            int partitions = admin.describeTopics(List.of(topic))
                    .allTopicNames()
                    .get()
                    .get(topic)
                    .partitions()
                    .size();
            return new TopicRange(
                    topic,
                    offsets(admin, topic, partitions, OffsetSpec.earliest(), isolation),
                    offsets(admin, topic, partitions, OffsetSpec.latest(), isolation));
        } catch (ExecutionException e) {
            if (e.getCause() instanceof UnknownTopicOrPartitionException) {
                throw new ProofException(
                        "Kafka has no topic '" + topic + "': is this the system, and was its job ever started?", e);
            }
            throw TopicReader.doesNotAnswer(e.getCause());
        } catch (InterruptedException e) {
            throw TopicReader.interrupted(e);
        }
    }

    private static long[] offsets(Admin admin, String topic, int partitions, OffsetSpec spec, IsolationLevel isolation)
            throws ExecutionException, InterruptedException {
        Map<TopicPartition, OffsetSpec> specs = new HashMap<>();
        for (int i = 0; i < partitions; i++) {
            specs.put(new TopicPartition(topic, i), spec);
        }
        var answers = admin.listOffsets(specs, new ListOffsetsOptions(isolation))
                .all()
                .get();
        long[] offsets = new long[partitions];
        answers.forEach((partition, answer) -> offsets[partition.partition()] = answer.offset());
        return offsets;
    }

    public int partitions() {
        return begin.length;
    }

    public boolean contains(int partition, long offset) {
        return isPartition(partition) && offset >= begin[partition] && offset < end[partition];
    }

    /** Whether a record was there, and is removed. */
    public boolean isBefore(int partition, long offset) {
        return isPartition(partition) && offset >= 0 && offset < begin[partition];
    }

    /** Whether a record came after this moment. */
    public boolean isAfter(int partition, long offset) {
        return isPartition(partition) && offset >= end[partition];
    }

    private boolean isPartition(int partition) {
        return partition >= 0 && partition < begin.length;
    }

    /** How many offsets there are. */
    long size() {
        return IntStream.range(0, begin.length)
                .mapToLong(i -> end[i] - begin[i])
                .sum();
    }

    /** Whether records were removed at the front. */
    public boolean isCut() {
        return IntStream.range(0, begin.length).anyMatch(i -> begin[i] > 0);
    }
}
