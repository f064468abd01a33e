package io.github.eventdedup.job.kafka;

import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.model.HeaderBytes;
import io.github.eventdedup.job.model.SourceRecord;
import io.github.eventdedup.job.pipeline.ClockWatch;
import java.io.IOException;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.api.java.typeutils.ResultTypeQueryable;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.KafkaSourceEnumState;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.connector.kafka.source.split.KafkaPartitionSplit;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.OffsetResetStrategy;
import org.apache.kafka.common.TopicPartition;

/**
 * The raw topic as a source: Flink's own, and its state is that one's. On top of it, no record is skipped in silence. What
 * Kafka has deleted before it was read is counted ({@link SourceRecord#deletedUnread()}), and a topic that is not the one
 * that the offsets belong to fails the job. Nothing is parsed here: bytes that are no event must not stop the source.
 */
public final class RawTopic
        implements Source<SourceRecord, KafkaPartitionSplit, KafkaSourceEnumState>, ResultTypeQueryable<SourceRecord> {

    private static final long serialVersionUID = 1L;

    /**
     * The broker answers a fetch when it has this much, or after {@link #FETCH_MAX_WAIT_MILLIS}. Without it there is a
     * fetch for every few events, which costs the broker and the job more than the events do. It adds to the time from
     * POST to row where little arrives, and to nothing under load.
     */
    private static final int FETCH_MIN_BYTES = 1 << 16;

    private static final int FETCH_MAX_WAIT_MILLIS = 50;

    private final KafkaSource<SourceRecord> kafka;
    private final String bootstrapServers;
    private final String topic;
    private final String topicId;
    private final List<String> sideTopics;

    private RawTopic(
            KafkaSource<SourceRecord> kafka,
            String bootstrapServers,
            String topic,
            String topicId,
            List<String> sideTopics) {
        this.sideTopics = sideTopics;
        this.kafka = kafka;
        this.bootstrapServers = bootstrapServers;
        this.topic = topic;
        this.topicId = topicId;
    }

    /**
     * The source of a stream's records.
     *
     * @param topicId of the topic that the job's offsets belong to; null where it is unknown, and any will do
     */
    public static Source<SourceRecord, ?, ?> source(String bootstrapServers, StreamDefinition stream, String topicId) {
        KafkaSource<SourceRecord> kafka = KafkaSource.<SourceRecord>builder()
                .setBootstrapServers(bootstrapServers)
                .setTopics(stream.stream())
                // Offsets live in Flink's checkpoints; the group only shows the lag to Kafka's own tools.
                .setGroupId(stream.consumerGroup())
                .setStartingOffsets(new Beginnings())
                .setProperty("isolation.level", "read_committed")
                .setProperty("fetch.min.bytes", Integer.toString(FETCH_MIN_BYTES))
                .setProperty("fetch.max.wait.ms", Integer.toString(FETCH_MAX_WAIT_MILLIS))
                .setDeserializer(new BytesAndPosition(stream.stream()))
                .build();
        return new RawTopic(
                kafka,
                bootstrapServers,
                stream.stream(),
                topicId,
                List.of(stream.duplicatesTopic(), stream.deadLettersTopic()));
    }

    @Override
    public SourceReader<SourceRecord, KafkaPartitionSplit> createReader(SourceReaderContext context) throws Exception {
        return new RawTopicReader(kafka.createReader(context), bootstrapServers, topic, topicId);
    }

    @Override
    public SplitEnumerator<KafkaPartitionSplit, KafkaSourceEnumState> createEnumerator(
            SplitEnumeratorContext<KafkaPartitionSplit> context) {
        return watched(context, kafka.createEnumerator(context));
    }

    @Override
    public SplitEnumerator<KafkaPartitionSplit, KafkaSourceEnumState> restoreEnumerator(
            SplitEnumeratorContext<KafkaPartitionSplit> context, KafkaSourceEnumState state) throws IOException {
        return watched(context, kafka.restoreEnumerator(context, state));
    }

    private SplitEnumerator<KafkaPartitionSplit, KafkaSourceEnumState> watched(
            SplitEnumeratorContext<KafkaPartitionSplit> context,
            SplitEnumerator<KafkaPartitionSplit, KafkaSourceEnumState> enumerator) {
        return new RawTopicWatch(context, enumerator, bootstrapServers, topic, topicId, sideTopics);
    }

    @Override
    public Boundedness getBoundedness() {
        return kafka.getBoundedness();
    }

    @Override
    public SimpleVersionedSerializer<KafkaPartitionSplit> getSplitSerializer() {
        return kafka.getSplitSerializer();
    }

    @Override
    public SimpleVersionedSerializer<KafkaSourceEnumState> getEnumeratorCheckpointSerializer() {
        return kafka.getEnumeratorCheckpointSerializer();
    }

    @Override
    public TypeInformation<SourceRecord> getProducedType() {
        return kafka.getProducedType();
    }

    /** Every partition from its beginning; an offset that is not there is an error, and never read over. */
    // Flink's interface names Kafka's type, which Kafka has deprecated.
    @SuppressWarnings("deprecation")
    private static final class Beginnings implements OffsetsInitializer {

        private static final long serialVersionUID = 1L;

        @Override
        public Map<TopicPartition, Long> getPartitionOffsets(
                Collection<TopicPartition> partitions, PartitionOffsetsRetriever retriever) {
            Map<TopicPartition, Long> offsets = new HashMap<>();
            partitions.forEach(partition -> offsets.put(partition, KafkaPartitionSplit.EARLIEST_OFFSET));
            return offsets;
        }

        @Override
        public OffsetResetStrategy getAutoOffsetResetStrategy() {
            return OffsetResetStrategy.NONE;
        }
    }

    private static final class BytesAndPosition implements KafkaRecordDeserializationSchema<SourceRecord> {

        private static final long serialVersionUID = 1L;

        private final String stream;
        private transient ClockWatch clock;

        BytesAndPosition(String stream) {
            this.stream = stream;
        }

        @Override
        public void open(DeserializationSchema.InitializationContext context) {
            clock = new ClockWatch(context.getMetricGroup().addGroup("stream", stream), System::currentTimeMillis);
        }

        @Override
        public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<SourceRecord> out) {
            clock.see(record);
            out.collect(new SourceRecord(
                    record.value(),
                    record.partition(),
                    record.offset(),
                    record.timestamp(),
                    record.key(),
                    HeaderBytes.write(record.headers())));
        }

        @Override
        public TypeInformation<SourceRecord> getProducedType() {
            return TypeInformation.of(SourceRecord.class);
        }
    }
}
