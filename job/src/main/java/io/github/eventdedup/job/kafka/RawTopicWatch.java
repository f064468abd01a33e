package io.github.eventdedup.job.kafka;

import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.connector.kafka.source.enumerator.KafkaSourceEnumState;
import org.apache.flink.connector.kafka.source.split.KafkaPartitionSplit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Fails the job where its topic is deleted and created again while it runs: Kafka's client would read on at the old offsets
 * as soon as the new topic has so many records. What the job has read of the new topic until then does no harm, since it is
 * read from its beginning afterwards. Also where a side topic is missing. On the JobManager; used by the coordinator's thread but for the call to Kafka.
 */
final class RawTopicWatch implements SplitEnumerator<KafkaPartitionSplit, KafkaSourceEnumState> {

    private static final Logger LOG = LoggerFactory.getLogger(RawTopicWatch.class);

    private static final long PERIOD_MILLIS = 10_000;

    private final SplitEnumeratorContext<KafkaPartitionSplit> context;
    private final SplitEnumerator<KafkaPartitionSplit, KafkaSourceEnumState> enumerator;
    private final String bootstrapServers;
    private final String topic;
    private final String topicId;
    private final List<String> sideTopics;
    private Admin admin;
    private boolean isDeleted;

    RawTopicWatch(
            SplitEnumeratorContext<KafkaPartitionSplit> context,
            SplitEnumerator<KafkaPartitionSplit, KafkaSourceEnumState> enumerator,
            String bootstrapServers,
            String topic,
            String topicId,
            List<String> sideTopics) {
        this.sideTopics = sideTopics;
        this.context = context;
        this.enumerator = enumerator;
        this.bootstrapServers = bootstrapServers;
        this.topic = topic;
        this.topicId = topicId;
    }

    @Override
    public void start() {
        enumerator.start();
        admin = RawTopicReader.admin(bootstrapServers);
        context.callAsync(this::liveId, this::requireSame, PERIOD_MILLIS, PERIOD_MILLIS);
        context.callAsync(this::missingSideTopics, this::requireSideTopics, PERIOD_MILLIS, PERIOD_MILLIS);
    }

    private List<String> missingSideTopics() throws ExecutionException, InterruptedException {
        Set<String> topics = admin.listTopics().names().get();
        return sideTopics.stream().filter(name -> !topics.contains(name)).toList();
    }

    /** A sink reports only that Kafka does not know a topic, and not which. */
    private void requireSideTopics(List<String> missing, Throwable failure) {
        if (failure != null) {
            LOG.debug("the side topics of '{}' are not known", topic, failure);
        } else if (!missing.isEmpty()) {
            throw new IllegalStateException("Kafka has no topic '" + String.join("', '", missing)
                    + "': it was deleted, or the job has no permission to describe it. Create it again, as ./dedup down and up or"
                    + " Setup do, or grant DESCRIBE; then the job continues");
        }
    }

    private String liveId() throws ExecutionException, InterruptedException {
        return TopicIds.of(TopicIds.describe(admin, topic));
    }

    private void requireSame(String liveId, Throwable failure) {
        boolean deleted =
                failure instanceof ExecutionException && failure.getCause() instanceof UnknownTopicOrPartitionException;
        if (deleted && !isDeleted) {
            LOG.error("{}", RawTopicReader.missing(topic).getMessage());
        }
        isDeleted = deleted;
        if (failure != null) {
            // Kafka is unavailable, or the topic is gone: then nothing is read either.
            LOG.debug("the id of topic '{}' is not known", topic, failure);
        } else if (topicId != null && liveId != null && !liveId.equals(topicId)) {
            throw RawTopicReader.replaced(topic, topicId, liveId);
        }
    }

    @Override
    public void close() throws IOException {
        try {
            if (admin != null) {
                admin.close(Duration.ZERO);
            }
        } finally {
            enumerator.close();
        }
    }

    @Override
    public void handleSplitRequest(int subtask, String hostname) {
        enumerator.handleSplitRequest(subtask, hostname);
    }

    @Override
    public void addSplitsBack(List<KafkaPartitionSplit> splits, int subtask) {
        enumerator.addSplitsBack(splits, subtask);
    }

    @Override
    public void addReader(int subtask) {
        enumerator.addReader(subtask);
    }

    @Override
    public KafkaSourceEnumState snapshotState(long checkpointId) throws Exception {
        return enumerator.snapshotState(checkpointId);
    }

    @Override
    public void notifyCheckpointComplete(long checkpointId) throws Exception {
        enumerator.notifyCheckpointComplete(checkpointId);
    }

    @Override
    public void notifyCheckpointAborted(long checkpointId) throws Exception {
        enumerator.notifyCheckpointAborted(checkpointId);
    }

    @Override
    public void handleSourceEvent(int subtask, SourceEvent event) {
        enumerator.handleSourceEvent(subtask, event);
    }
}
