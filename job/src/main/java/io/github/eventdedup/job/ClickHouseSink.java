package io.github.eventdedup.job;

import io.github.eventdedup.event.StreamDefinition;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.connector.sink2.Committer;
import org.apache.flink.api.connector.sink2.CommitterInitContext;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SupportsCommitter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.streaming.api.connector.sink2.CommittableMessage;
import org.apache.flink.streaming.api.connector.sink2.SupportsPostCommitTopology;
import org.apache.flink.streaming.api.datastream.DataStream;

/**
 * Stores unique events in a plain MergeTree table of ClickHouse, exactly once in effect (docs/adr/0009-clickhouse-sink.md):
 *
 * <pre>
 *   writer: rows → batches ──(checkpoint)──→ committer: batches → ClickHouse, by token
 *                                                          ↘ refused → dead letters
 * </pre>
 *
 * A row is in the table once the checkpoint after it has completed: within an interval and the time that a checkpoint takes.
 */
final class ClickHouseSink
        implements Sink<IdentifiedEvent>,
                SupportsCommitter<ClickHouseBatch>,
                SupportsPostCommitTopology<ClickHouseBatch> {

    private static final long serialVersionUID = 1L;

    private final StreamDefinition stream;
    private final ClickHouseLogin login;
    private final RowBinary format;
    private final Sink<DeadLetter> deadLetters;

    /**
     * A sink into the stream's table.
     *
     * @param format what the events' columns are encoded with
     * @param deadLetters takes the events that the database refuses
     */
    ClickHouseSink(StreamDefinition stream, ClickHouseLogin login, RowBinary format, Sink<DeadLetter> deadLetters) {
        this.stream = stream;
        this.login = login;
        this.format = format;
        this.deadLetters = deadLetters;
    }

    @Override
    public ClickHouseWriter createWriter(WriterInitContext context) {
        return new ClickHouseWriter(format.header());
    }

    @Override
    public Committer<ClickHouseBatch> createCommitter(CommitterInitContext context) {
        return new ClickHouseCommitter(login, stream, format);
    }

    @Override
    public SimpleVersionedSerializer<ClickHouseBatch> getCommittableSerializer() {
        return new ClickHouseBatch.Serializer();
    }

    @Override
    public void addPostCommitTopology(DataStream<CommittableMessage<ClickHouseBatch>> inserted) {
        inserted.process(new Refusals(stream))
                .returns(TypeInformation.of(DeadLetter.class))
                .uid("refusals")
                .name("refusals")
                .sinkTo(deadLetters)
                .uid("refused")
                .name("refused");
    }
}
