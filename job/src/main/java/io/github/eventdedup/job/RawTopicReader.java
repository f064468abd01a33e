package io.github.eventdedup.job;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.connector.kafka.source.split.KafkaPartitionSplit;
import org.apache.flink.core.io.InputStatus;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reads partitions of the raw topic. Before it begins with one, or goes on with it, it asks Kafka what is there: that it is
 * the topic that the offset belongs to, that it has not lost its end, and how many records at its beginning are gone. Used by
 * the task thread only.
 */
final class RawTopicReader implements SourceReader<SourceRecord, KafkaPartitionSplit> {

    private static final Logger LOG = LoggerFactory.getLogger(RawTopicReader.class);

    private static final long MIN_BACKOFF_MILLIS = 100;
    private static final long MAX_BACKOFF_MILLIS = 5_000;

    private final SourceReader<SourceRecord, KafkaPartitionSplit> kafka;
    private final String bootstrapServers;
    private final String topic;
    private final String topicId;

    /** By split: where it was before records were found to be gone, until that has been counted. */
    private final Map<String, KafkaPartitionSplit> uncounted = new HashMap<>();

    private final List<SourceRecord> deletedUnread = new ArrayList<>();

    RawTopicReader(
            SourceReader<SourceRecord, KafkaPartitionSplit> kafka,
            String bootstrapServers,
            String topic,
            String topicId) {
        this.kafka = kafka;
        this.bootstrapServers = bootstrapServers;
        this.topic = topic;
        this.topicId = topicId;
    }

    /** Waits where Kafka is unavailable. */
    @Override
    public void addSplits(List<KafkaPartitionSplit> splits) {
        long backoff = MIN_BACKOFF_MILLIS;
        try (Admin admin = Admin.create(Map.of(AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrapServers))) {
            while (true) {
                try {
                    kafka.addSplits(checked(admin, splits));
                    return;
                } catch (ExecutionException e) {
                    if (e.getCause() instanceof UnknownTopicOrPartitionException) {
                        throw new IllegalStateException(
                                "Kafka has no topic '" + topic + "': a new one would be another topic. Cancel the job,"
                                        + " create the topic, and submit the job with --resume --new-topic.",
                                e);
                    }
                    if (!(e.getCause() instanceof RetriableException)) {
                        throw new IllegalStateException(
                                "Kafka does not say what topic '" + topic + "' holds: "
                                        + e.getCause().getMessage(),
                                e);
                    }
                    LOG.warn(
                            "Kafka is unavailable, trying again in {} ms: {}",
                            backoff,
                            e.getCause().getMessage());
                    Thread.sleep(backoff);
                    backoff = Math.min(2 * backoff, MAX_BACKOFF_MILLIS);
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while asking Kafka for its offsets", e);
        }
    }

    private List<KafkaPartitionSplit> checked(Admin admin, List<KafkaPartitionSplit> splits)
            throws ExecutionException, InterruptedException {
        String liveId = Attachment.id(Attachment.describe(admin, topic));
        if (topicId != null && liveId != null && !liveId.equals(topicId)) {
            throw replaced(topic, topicId, liveId);
        }
        Map<TopicPartition, ListOffsetsResultInfo> ends = offsets(admin, splits, OffsetSpec.latest());
        Map<TopicPartition, ListOffsetsResultInfo> beginnings = offsets(admin, splits, OffsetSpec.earliest());
        List<KafkaPartitionSplit> checked = new ArrayList<>();
        for (KafkaPartitionSplit split : splits) {
            long next = split.getStartingOffset();
            long beginning = beginnings.get(split.getTopicPartition()).offset();
            long end = ends.get(split.getTopicPartition()).offset();
            if (next > end) {
                throw new IllegalStateException(
                        "Partition " + split.getPartition() + " of topic '" + topic + "' ends at"
                                + " offset " + end + ", and the job has read it up to " + next
                                + ": the topic was created again,"
                                + " or Kafka has lost records. " + CHOICES);
            }
            if (next >= 0 && next < beginning) {
                deleted(split, beginning);
            }
            // From now on an offset, so that what is deleted before the first record is read is noticed as well.
            checked.add(next >= beginning ? split : at(split, beginning));
        }
        return checked;
    }

    private static final String CHOICES =
            "Cancel the job and choose: submit it with --resume --new-topic, which keeps its"
                    + " memory and reads the topic from its beginning, or with --fresh.";

    static IllegalStateException replaced(String topic, String topicId, String liveId) {
        return new IllegalStateException(
                "Topic '" + topic + "' has the id " + liveId + ", and the job has read the one" + " with the id "
                        + topicId + ": it was deleted and created again, or is another cluster's. " + CHOICES);
    }

    private void deleted(KafkaPartitionSplit split, long beginning) {
        long first = split.getStartingOffset();
        LOG.error(
                "Kafka has deleted {} records of topic '{}' before the job read them: partition {}, offsets {} to {}."
                        + " Retention is too short for how long the job was behind or stopped.",
                beginning - first,
                topic,
                split.getPartition(),
                first,
                beginning - 1);
        if (uncounted.put(split.splitId(), split) == null) {
            deletedUnread.add(SourceRecord.deletedUnread(split.getPartition(), first, beginning - first));
        }
    }

    private static KafkaPartitionSplit at(KafkaPartitionSplit split, long offset) {
        return new KafkaPartitionSplit(
                split.getTopicPartition(),
                offset,
                split.getStoppingOffset().orElse(KafkaPartitionSplit.NO_STOPPING_OFFSET));
    }

    private static Map<TopicPartition, ListOffsetsResultInfo> offsets(
            Admin admin, List<KafkaPartitionSplit> splits, OffsetSpec spec)
            throws ExecutionException, InterruptedException {
        Map<TopicPartition, OffsetSpec> asked = new HashMap<>();
        splits.forEach(split -> asked.put(split.getTopicPartition(), spec));
        return admin.listOffsets(asked).all().get();
    }

    @Override
    public InputStatus pollNext(ReaderOutput<SourceRecord> output) throws Exception {
        if (deletedUnread.isEmpty()) {
            return kafka.pollNext(output);
        }
        deletedUnread.forEach(output::collect);
        deletedUnread.clear();
        uncounted.clear();
        return InputStatus.MORE_AVAILABLE;
    }

    @Override
    public CompletableFuture<Void> isAvailable() {
        return deletedUnread.isEmpty() ? kafka.isAvailable() : CompletableFuture.completedFuture(null);
    }

    @Override
    public List<KafkaPartitionSplit> snapshotState(long checkpointId) {
        return kafka.snapshotState(checkpointId).stream()
                .map(split -> uncounted.getOrDefault(split.splitId(), split))
                .toList();
    }

    @Override
    public void start() {
        kafka.start();
    }

    @Override
    public void notifyNoMoreSplits() {
        kafka.notifyNoMoreSplits();
    }

    @Override
    public void handleSourceEvents(SourceEvent event) {
        kafka.handleSourceEvents(event);
    }

    @Override
    public void notifyCheckpointComplete(long checkpointId) throws Exception {
        kafka.notifyCheckpointComplete(checkpointId);
    }

    @Override
    public void notifyCheckpointAborted(long checkpointId) throws Exception {
        kafka.notifyCheckpointAborted(checkpointId);
    }

    @Override
    public void pauseOrResumeSplits(Collection<String> toPause, Collection<String> toResume) {
        kafka.pauseOrResumeSplits(toPause, toResume);
    }

    @Override
    public void close() throws Exception {
        kafka.close();
    }
}
