package io.github.eventdedup.job;

import io.github.eventdedup.event.ReasonCode;
import io.github.eventdedup.event.StreamDefinition;
import java.util.List;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.connector.sink2.CommittableMessage;
import org.apache.flink.streaming.api.connector.sink2.CommittableWithLineage;
import org.apache.flink.streaming.api.functions.ProcessFunction;
import org.apache.flink.util.Collector;

/** Counts what ClickHouse refused, and makes dead letters of it. */
final class Refusals extends ProcessFunction<CommittableMessage<ClickHouseBatch>, DeadLetter>
        implements CheckpointedFunction {

    private static final long serialVersionUID = 1L;

    private final StreamDefinition stream;
    private transient CheckpointedCounter refused;

    Refusals(StreamDefinition stream) {
        this.stream = stream;
    }

    @Override
    public void initializeState(FunctionInitializationContext context) throws Exception {
        refused = new CheckpointedCounter(
                "refused", getRuntimeContext().getMetricGroup().addGroup("stream", stream.stream()), context);
    }

    @Override
    public void processElement(
            CommittableMessage<ClickHouseBatch> message, Context context, Collector<DeadLetter> out) {
        if (message instanceof CommittableWithLineage<ClickHouseBatch> inserted) {
            ClickHouseBatch batch = inserted.getCommittable();
            List<IdentifiedEvent> events = batch.read();
            for (int i = 0; i < events.size(); i++) {
                refused.increment();
                out.collect(DeadLetter.rejected(
                        events.get(i),
                        ReasonCode.REJECTED_BY_CLICKHOUSE,
                        "ClickHouse refused the row: " + batch.reasons().get(i)));
            }
        }
    }

    @Override
    public void snapshotState(FunctionSnapshotContext context) throws Exception {
        refused.snapshot();
    }
}
