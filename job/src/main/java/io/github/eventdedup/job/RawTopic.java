package io.github.eventdedup.job;

import io.github.eventdedup.event.StreamDefinition;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** The raw topic as a source. Nothing is parsed here: bytes that are no event must not stop the source. */
final class RawTopic {

    /**
     * The broker answers a fetch when it has this much, or after {@link #FETCH_MAX_WAIT_MILLIS}. Without it there is a
     * fetch for every few events, which costs the broker and the job more than the events do. It adds to the time from
     * POST to row where little arrives, and to nothing under load.
     */
    private static final int FETCH_MIN_BYTES = 1 << 16;

    private static final int FETCH_MAX_WAIT_MILLIS = 50;

    private RawTopic() {}

    static KafkaSource<SourceRecord> source(String bootstrapServers, StreamDefinition stream) {
        return KafkaSource.<SourceRecord>builder()
                .setBootstrapServers(bootstrapServers)
                .setTopics(stream.stream())
                // Offsets live in Flink's checkpoints; the group only shows the lag to Kafka's own tools.
                .setGroupId("dedup-" + stream.stream())
                .setStartingOffsets(OffsetsInitializer.earliest())
                .setProperty("isolation.level", "read_committed")
                .setProperty("fetch.min.bytes", Integer.toString(FETCH_MIN_BYTES))
                .setProperty("fetch.max.wait.ms", Integer.toString(FETCH_MAX_WAIT_MILLIS))
                .setDeserializer(new BytesAndPosition())
                .build();
    }

    private static final class BytesAndPosition implements KafkaRecordDeserializationSchema<SourceRecord> {

        private static final long serialVersionUID = 1L;

        @Override
        public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<SourceRecord> out) {
            out.collect(new SourceRecord(record.value(), record.partition(), record.offset(), record.timestamp()));
        }

        @Override
        public TypeInformation<SourceRecord> getProducedType() {
            return TypeInformation.of(SourceRecord.class);
        }
    }
}
