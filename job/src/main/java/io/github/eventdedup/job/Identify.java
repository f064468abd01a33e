package io.github.eventdedup.job;

import io.github.eventdedup.event.Event;
import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.InvalidEventException;
import io.github.eventdedup.event.StreamDefinition;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.functions.ProcessFunction;
import org.apache.flink.util.Collector;
import org.apache.flink.util.OutputTag;

/** Reads each record once: an event with its fingerprint and columns goes on, anything else is a dead letter. */
final class Identify extends ProcessFunction<SourceRecord, IdentifiedEvent> implements CheckpointedFunction {

    private static final long serialVersionUID = 1L;

    static final OutputTag<DeadLetter> DEAD_LETTERS =
            new OutputTag<>("dead-letters", TypeInformation.of(DeadLetter.class));

    private final StreamDefinition stream;
    private final RowFormat format;
    private transient EventReader reader;
    private transient CheckpointedCounter received;
    private transient CheckpointedCounter deadLettered;

    /** @param format of the columns of the events that go on */
    Identify(StreamDefinition stream, RowFormat format) {
        this.stream = stream;
        this.format = format;
    }

    @Override
    public void initializeState(FunctionInitializationContext context) throws Exception {
        reader = new EventReader(stream, format.columns());
        MetricGroup metrics = getRuntimeContext().getMetricGroup().addGroup("stream", stream.stream());
        received = new CheckpointedCounter("received", metrics, context);
        deadLettered = new CheckpointedCounter("deadLettered", metrics, context);
    }

    @Override
    public void processElement(SourceRecord record, Context context, Collector<IdentifiedEvent> out) {
        received.increment();
        try {
            if (record.value() == null) {
                throw new InvalidEventException("has no value: a Kafka tombstone");
            }
            Event event = reader.read(record.value());
            out.collect(new IdentifiedEvent(event.fingerprint(), record, format.encode(event.columns())));
        } catch (InvalidEventException e) {
            deadLettered.increment();
            context.output(DEAD_LETTERS, new DeadLetter(record, "the event " + e.getMessage()));
        }
    }

    @Override
    public void snapshotState(FunctionSnapshotContext context) throws Exception {
        received.snapshot();
        deadLettered.snapshot();
    }
}
