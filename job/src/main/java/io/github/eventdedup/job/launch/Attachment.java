package io.github.eventdedup.job.launch;

import com.clickhouse.client.api.Client;
import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.event.ClickHouseTable;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.clickhouse.table.ClickHouseErrors;
import io.github.eventdedup.job.clickhouse.table.ClickHouseTableId;
import io.github.eventdedup.job.kafka.TopicIds;
import io.github.eventdedup.job.settings.Endpoints;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;

/**
 * The topic that a job would read and the table that it would fill. A topic or table of the same name may be another: these
 * ids tell.
 *
 * @param kafkaClusterId the Kafka cluster's; null where it has none
 * @param topicId the raw topic's; null where it has none
 * @param ends for each partition of the raw topic the offset that its next record gets
 * @param tableId the ClickHouse table's ({@link ClickHouseTableId}); null where it has none, or the table is not there
 */
public record Attachment(String kafkaClusterId, String topicId, Map<Integer, Long> ends, String tableId) {

    /**
     * Asks Kafka, and ClickHouse where the stream ends there.
     *
     * @throws ConfigurationException where one of them gives no answer
     */
    public static Attachment of(StreamDefinition stream, Endpoints endpoints) throws ConfigurationException {
        String tableId = null;
        if (stream.table() instanceof ClickHouseTable table) {
            try (Client client = endpoints.clickHouse().connect()) {
                tableId = ClickHouseTableId.of(client, endpoints.clickHouse(), table.name());
            } catch (RuntimeException e) {
                throw new ConfigurationException(List.of(ClickHouseErrors.cannotBeUsed(endpoints.clickHouse(), e)));
            }
        }
        try (Admin admin = endpoints.kafka()) {
            TopicDescription topic = TopicIds.describe(admin, stream.stream());
            return new Attachment(
                    admin.describeCluster().clusterId().get(), TopicIds.of(topic), ends(admin, topic), tableId);
        } catch (ExecutionException | KafkaException e) {
            throw new ConfigurationException(List.of(endpoints.kafkaDoesNotAnswer(e)));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new ConfigurationException(List.of("interrupted while querying Kafka"));
        }
    }

    private static Map<Integer, Long> ends(Admin admin, TopicDescription topic)
            throws ExecutionException, InterruptedException {
        Map<TopicPartition, OffsetSpec> asked = new HashMap<>();
        topic.partitions()
                .forEach(partition ->
                        asked.put(new TopicPartition(topic.name(), partition.partition()), OffsetSpec.latest()));
        Map<Integer, Long> ends = new HashMap<>();
        for (Map.Entry<TopicPartition, ListOffsetsResultInfo> end :
                admin.listOffsets(asked).all().get().entrySet()) {
            ends.put(end.getKey().partition(), end.getValue().offset());
        }
        return ends;
    }
}
