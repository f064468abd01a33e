package io.github.eventdedup.job.clickhouse;

import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.clickhouse.table.ClickHouseSchema;
import io.github.eventdedup.job.model.DeadLetter;
import io.github.eventdedup.job.model.IdentifiedEvent;
import io.github.eventdedup.job.settings.ClickHouseLogin;
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
 *                 ↘ not stored as a whole → splitter: pieces ──(checkpoint)──→ ClickHouse, by token
 *                                                ↘ rejected ──(checkpoint)──→ dead letters
 * </pre>
 *
 * A row is in the table once the checkpoint after it has completed: within an interval and the time that a checkpoint takes.
 */
public final class ClickHouseSink
        implements Sink<IdentifiedEvent>,
                SupportsCommitter<ClickHouseBatch>,
                SupportsPostCommitTopology<ClickHouseBatch> {

    private static final long serialVersionUID = 1L;

    private final StreamDefinition stream;
    private final ClickHouseLogin login;
    private final ClickHouseSchema schema;
    private final String tableId;
    private final Sink<DeadLetter> deadLetters;

    /**
     * A sink into the stream's table.
     *
     * @param schema of the table; the events' columns are encoded with its format
     * @param tableId of the table that the job's state belongs to; null where it is unknown
     * @param deadLetters receives the events that the database rejects
     */
    public ClickHouseSink(
            StreamDefinition stream,
            ClickHouseLogin login,
            ClickHouseSchema schema,
            String tableId,
            Sink<DeadLetter> deadLetters) {
        this.stream = stream;
        this.login = login;
        this.schema = schema;
        this.tableId = tableId;
        this.deadLetters = deadLetters;
    }

    @Override
    public ClickHouseWriter createWriter(WriterInitContext context) {
        return new ClickHouseWriter(schema.format().header());
    }

    @Override
    public Committer<ClickHouseBatch> createCommitter(CommitterInitContext context) {
        ClickHouseCommitter.requireRoom(schema, context.getTaskInfo().getNumberOfParallelSubtasks());
        return new ClickHouseCommitter(
                new ClickHouseInserter(login, stream, schema, tableId, context.metricGroup()),
                context.getRestoredCheckpointId().isPresent());
    }

    @Override
    public SimpleVersionedSerializer<ClickHouseBatch> getCommittableSerializer() {
        return new ClickHouseBatch.Serializer();
    }

    @Override
    public void addPostCommitTopology(DataStream<CommittableMessage<ClickHouseBatch>> inserted) {
        inserted.transform(
                        "refusals",
                        TypeInformation.of(DeadLetter.class),
                        new ClickHouseSplitter(stream, login, schema, tableId))
                .uid("refusals")
                .name("refusals")
                .sinkTo(deadLetters)
                .uid("refused")
                .name("refused");
    }
}
