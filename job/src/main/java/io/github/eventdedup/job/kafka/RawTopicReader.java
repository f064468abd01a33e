package io.github.eventdedup.job.kafka;

import io.github.eventdedup.job.model.SourceRecord;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.connector.kafka.source.split.KafkaPartitionSplit;
import org.apache.flink.core.io.InputStatus;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reads partitions of the raw topic. Before it begins with one, or goes on with it, it asks Kafka what is there: that it is
 * the topic that the offset belongs to, that it has not lost its end, and how many records at its beginning are gone. Where
 * Kafka is unavailable it waits, and takes part in checkpoints meanwhile. Used by the task thread, but for the questions.
 */
final class RawTopicReader implements SourceReader<SourceRecord, KafkaPartitionSplit> {

    private static final Logger LOG = LoggerFactory.getLogger(RawTopicReader.class);

    private static final long MIN_BACKOFF_MILLIS = 100;
    private static final long MAX_BACKOFF_MILLIS = 5_000;
    private static final int KAFKA_TIMEOUT_MILLIS = 10_000;

    private static final String CHOICES =
            "Cancel the job and choose: submit it with --resume --new-topic, which keeps its"
                    + " memory and reads the topic from its beginning, or with --fresh.";

    private final SourceReader<SourceRecord, KafkaPartitionSplit> kafka;
    private final String bootstrapServers;
    private final String topic;
    private final String topicId;

    private final ExecutorService questions =
            Executors.newSingleThreadExecutor(task -> new Thread(task, "raw-topic-questions"));

    /** What is being asked about, and goes into checkpoints as it is until Kafka has answered. */
    private final List<KafkaPartitionSplit> unchecked = new ArrayList<>();

    private CompletableFuture<List<KafkaPartitionSplit>> answer = CompletableFuture.completedFuture(List.of());

    /** Completes with the answer: what Flink waits for where Kafka's own reader has nothing. */
    private CompletableFuture<Void> answered = new CompletableFuture<>();

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

    @Override
    public void addSplits(List<KafkaPartitionSplit> splits) {
        unchecked.addAll(splits);
        List<KafkaPartitionSplit> more = List.copyOf(splits);
        answer = answer.thenApplyAsync(
                earlier -> {
                    List<KafkaPartitionSplit> all = new ArrayList<>(earlier);
                    all.addAll(ask(more));
                    return all;
                },
                questions);
        // Flink may wait for this already: it looks again, and waits for the new one.
        CompletableFuture<Void> before = answered;
        answered = answer.handle((checked, failure) -> null);
        before.complete(null);
    }

    /** Waits where Kafka is unavailable. */
    private List<KafkaPartitionSplit> ask(List<KafkaPartitionSplit> splits) {
        long backoff = MIN_BACKOFF_MILLIS;
        Admin admin = admin(bootstrapServers);
        try {
            while (true) {
                try {
                    return checked(admin, splits);
                } catch (ExecutionException e) {
                    if (e.getCause() instanceof UnknownTopicOrPartitionException) {
                        throw missing(topic);
                    }
                    if (!(e.getCause() instanceof RetriableException)) {
                        throw new IllegalStateException(
                                "cannot query the offsets of topic '" + topic + "' from Kafka: "
                                        + e.getCause().getMessage(),
                                e);
                    }
                    LOG.warn(
                            "Kafka unavailable, retrying in {} ms: {}",
                            backoff,
                            e.getCause().getMessage());
                    Thread.sleep(backoff);
                    backoff = Math.min(2 * backoff, MAX_BACKOFF_MILLIS);
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while querying offsets from Kafka", e);
        } finally {
            admin.close(Duration.ZERO);
        }
    }

    /** To be closed at once: a job that is cancelled does not wait for Kafka. */
    static Admin admin(String bootstrapServers) {
        return Admin.create(Map.of(
                AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrapServers,
                AdminClientConfig.DEFAULT_API_TIMEOUT_MS_CONFIG, KAFKA_TIMEOUT_MILLIS,
                AdminClientConfig.REQUEST_TIMEOUT_MS_CONFIG, KAFKA_TIMEOUT_MILLIS));
    }

    private List<KafkaPartitionSplit> checked(Admin admin, List<KafkaPartitionSplit> splits)
            throws ExecutionException, InterruptedException {
        TopicDescription live = TopicIds.describe(admin, topic);
        String liveId = TopicIds.of(live);
        if (topicId != null && liveId != null && !liveId.equals(topicId)) {
            throw replaced(topic, topicId, liveId);
        }
        for (KafkaPartitionSplit split : splits) {
            if (split.getPartition() >= live.partitions().size()) {
                throw new IllegalStateException("Topic '" + topic + "' has no partition " + split.getPartition()
                        + ", and the job has read it: the topic was created again. " + CHOICES);
            }
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
            // From now on an offset, so that what is deleted before the first record is read is noticed as well.
            checked.add(next >= beginning ? split : at(split, beginning));
        }
        return checked;
    }

    static IllegalStateException replaced(String topic, String topicId, String liveId) {
        return new IllegalStateException(
                "Topic '" + topic + "' has the id " + liveId + ", and the job has read the one with the id " + topicId
                        + ": it was deleted and created again, or is another cluster's. " + CHOICES);
    }

    static IllegalStateException missing(String topic) {
        return new IllegalStateException("Kafka has no topic '" + topic
                + "': it was deleted, and a new one is another topic. Create it. " + CHOICES);
    }

    /** Begins to read what Kafka has answered for, and hands on how much of it is gone. */
    private void begin(List<KafkaPartitionSplit> checked, ReaderOutput<SourceRecord> output) {
        Map<String, KafkaPartitionSplit> before = new HashMap<>();
        unchecked.forEach(split -> before.put(split.splitId(), split));
        unchecked.clear();
        answer = CompletableFuture.completedFuture(List.of());
        answered = new CompletableFuture<>();
        kafka.addSplits(checked);
        for (KafkaPartitionSplit split : checked) {
            long first = before.get(split.splitId()).getStartingOffset();
            long count = split.getStartingOffset() - first;
            if (first >= 0 && count > 0) {
                LOG.error(
                        "Kafka has deleted {} records of topic '{}' before the job read them: partition {}, offsets {} to"
                                + " {}. Retention is too short for how long the job was behind or stopped.",
                        count,
                        topic,
                        split.getPartition(),
                        first,
                        split.getStartingOffset() - 1);
                output.collect(SourceRecord.deletedUnread(split.getPartition(), first, count));
            }
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
        if (unchecked.isEmpty() || !answer.isDone()) {
            return kafka.pollNext(output);
        }
        try {
            begin(answer.get(), output);
        } catch (ExecutionException e) {
            throw e.getCause() instanceof RuntimeException cause ? cause : e;
        }
        return InputStatus.MORE_AVAILABLE;
    }

    @Override
    public CompletableFuture<Void> isAvailable() {
        return CompletableFuture.anyOf(answered, kafka.isAvailable()).thenApply(any -> null);
    }

    @Override
    public List<KafkaPartitionSplit> snapshotState(long checkpointId) {
        List<KafkaPartitionSplit> splits = new ArrayList<>(kafka.snapshotState(checkpointId));
        splits.addAll(unchecked);
        return splits;
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
        questions.shutdownNow();
        kafka.close();
    }
}
