package io.github.eventdedup.job.pipeline;

import io.github.eventdedup.event.Event;
import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.InvalidEventException;
import io.github.eventdedup.event.ReasonCode;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.model.DeadLetter;
import io.github.eventdedup.job.model.IdentifiedEvent;
import io.github.eventdedup.job.model.Replay;
import io.github.eventdedup.job.model.RowFormat;
import io.github.eventdedup.job.model.SourceRecord;
import java.time.Instant;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.functions.ProcessFunction;
import org.apache.flink.util.Collector;
import org.apache.flink.util.OutputTag;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reads each record once: an event is emitted with its fingerprint and columns, anything else becomes a dead letter,
 * whatever exception it causes.
 */
public final class IdentifyFunction extends ProcessFunction<SourceRecord, IdentifiedEvent>
        implements CheckpointedFunction {

    private static final long serialVersionUID = 1L;

    private static final Logger LOG = LoggerFactory.getLogger(IdentifyFunction.class);

    private static final long LAST_MILLIS =
            Instant.parse("9999-12-31T23:59:59.999Z").toEpochMilli();

    public static final OutputTag<DeadLetter> DEAD_LETTERS =
            new OutputTag<>("dead-letters", TypeInformation.of(DeadLetter.class));

    private final StreamDefinition stream;
    private final RowFormat format;
    private transient EventReader reader;
    private transient CheckpointedCounter received;
    private transient CheckpointedCounter deadLettered;
    private transient CheckpointedCounter retentionLost;

    /** @param format of the columns of the emitted events */
    public IdentifyFunction(StreamDefinition stream, RowFormat format) {
        this.stream = stream;
        this.format = format;
    }

    @Override
    public void initializeState(FunctionInitializationContext context) throws Exception {
        reader = new EventReader(stream, format.columns());
        MetricGroup metrics = getRuntimeContext().getMetricGroup().addGroup("stream", stream.stream());
        received = new CheckpointedCounter("received", metrics, context);
        deadLettered = new CheckpointedCounter("deadLettered", metrics, context);
        retentionLost = new CheckpointedCounter("retentionLost", metrics, context);
    }

    @Override
    public void processElement(SourceRecord record, Context context, Collector<IdentifiedEvent> out) {
        if (record.deletedUnread() > 0) {
            retentionLost.add(record.deletedUnread());
            return;
        }
        received.increment();
        Replay.Resolved resolved = Replay.resolve(record);
        IdentifiedEvent event;
        try {
            event = identify(resolved);
        } catch (InvalidEventException e) {
            deadLetter(resolved, e.code(), "the event " + e.getMessage(), context);
            return;
        } catch (RuntimeException e) {
            // A fault of this program that one record brings to light. It must not stop the records behind it.
            LOG.error(
                    "Cannot read the record at {}:{} of stream '{}'; it becomes a dead letter",
                    record.partition(),
                    record.offset(),
                    stream.stream(),
                    e);
            deadLetter(resolved, ReasonCode.UNREADABLE, "the event cannot be read: " + e, context);
            return;
        }
        out.collect(event);
    }

    private IdentifiedEvent identify(Replay.Resolved resolved) throws InvalidEventException {
        SourceRecord record = resolved.original();
        if (record.value() == null) {
            throw new InvalidEventException(ReasonCode.NO_VALUE, "has no value: a Kafka tombstone");
        }
        if (record.timestamp() > LAST_MILLIS) {
            // By a producer's clock, or none: the window would run to its end, and no table could hold it.
            throw new InvalidEventException(
                    ReasonCode.NOT_STORABLE, "has a Kafka time after the year 9999: " + record.timestamp());
        }
        Event event = reader.read(record.value());
        return new IdentifiedEvent(event.fingerprint(), record, format.encode(event.columns()), resolved.replay());
    }

    private void deadLetter(Replay.Resolved resolved, ReasonCode code, String reason, Context context) {
        deadLettered.increment();
        context.output(DEAD_LETTERS, DeadLetter.invalid(resolved.original(), resolved.replay(), code, reason));
    }

    @Override
    public void snapshotState(FunctionSnapshotContext context) throws Exception {
        received.snapshot();
        deadLettered.snapshot();
        retentionLost.snapshot();
    }
}
