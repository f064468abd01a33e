package io.github.eventdedup.job.pipeline;

import io.github.eventdedup.event.Fingerprint;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.model.IdentifiedEvent;
import io.github.eventdedup.job.model.ImmutableType;
import io.github.eventdedup.job.model.Replay;
import io.github.eventdedup.job.model.SourceRecord;
import java.time.Duration;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.state.StateTtlConfig;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.runtime.checkpoint.MasterTriggerRestoreHook;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.checkpoint.WithMasterCheckpointHook;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;
import org.apache.flink.util.OutputTag;

/**
 * Lets the first event of each fingerprint through and puts later ones within the window aside. The decision is {@link
 * DeduplicationWindow}'s; this operator keeps its memory, one time per fingerprint. A dead letter that is sent again
 * ({@link Replay}) passes once for each time that it was rejected.
 */
public final class DeduplicateFunction extends KeyedProcessFunction<Fingerprint, IdentifiedEvent, IdentifiedEvent>
        implements CheckpointedFunction, WithMasterCheckpointHook<StateIdentity> {

    private static final long serialVersionUID = 1L;

    public static final OutputTag<IdentifiedEvent> DUPLICATES =
            new OutputTag<>("duplicates", ImmutableType.IDENTIFIED_EVENT);

    private final StateIdentity identity;
    private final DeduplicationWindow window;
    private final StateTtlConfig timeToLive;
    private final long slackMillis;
    private final long refreshMillis;

    private transient ValueState<Long> firstSeen;
    private transient MapState<String, Integer> replays;
    private transient CheckpointedCounter unique;
    private transient CheckpointedCounter duplicate;
    private transient CheckpointedCounter replayed;

    public DeduplicateFunction(StreamDefinition stream, StateIdentity identity) {
        this.identity = identity;
        window = new DeduplicationWindow(stream.window());
        timeToLive = timeToLive(stream.window().plus(stream.ttlSlack()));
        slackMillis = stream.ttlSlack().toMillis();
        refreshMillis = Math.max(1, stream.window().plus(stream.ttlSlack()).toMillis() / 2);
    }

    /**
     * Time to live only collects garbage. Its clock runs on while the job is down, that of the window does not: state
     * may expire inside its window. As long as it is not cleaned up it is used, because the decision needs it.
     */
    private static StateTtlConfig timeToLive(Duration duration) {
        return StateTtlConfig.newBuilder(duration)
                .updateTtlOnCreateAndWrite()
                .returnExpiredIfNotCleanedUp()
                .build();
    }

    @Override
    public void initializeState(FunctionInitializationContext context) throws Exception {
        ValueStateDescriptor<Long> descriptor = new ValueStateDescriptor<>("first-seen", Types.LONG);
        descriptor.enableTimeToLive(timeToLive);
        firstSeen = context.getKeyedStateStore().getState(descriptor);
        // The attempt that passed last, by the position of the original. Ordinary events never touch it.
        MapStateDescriptor<String, Integer> replaysDescriptor =
                new MapStateDescriptor<>("replays", Types.STRING, Types.INT);
        replaysDescriptor.enableTimeToLive(timeToLive);
        replays = context.getKeyedStateStore().getMapState(replaysDescriptor);
        MetricGroup metrics = getRuntimeContext().getMetricGroup().addGroup("stream", identity.stream());
        unique = new CheckpointedCounter("unique", metrics, context);
        duplicate = new CheckpointedCounter("duplicate", metrics, context);
        replayed = new CheckpointedCounter("replayed", metrics, context);
    }

    @Override
    public void processElement(IdentifiedEvent event, Context context, Collector<IdentifiedEvent> out)
            throws Exception {
        Replay replay = event.replay();
        Long before = firstSeen.value();
        long time = event.source().timestamp();
        boolean wasRejected = replay != null && replay.rejected();
        boolean isDuplicate =
                wasRejected ? isRepeated(event.source(), replay, before) : window.isDuplicate(before, time);
        if (isDuplicate) {
            duplicate.increment();
            context.output(DUPLICATES, event);
            return;
        }
        if (!wasRejected || before == null) {
            firstSeen.update(time);
            keepWhileAhead(time, context);
        }
        if (replay != null) {
            replays.put(position(event.source()), replay.attempt());
            replayed.increment();
        }
        unique.increment();
        out.collect(event);
    }

    /**
     * Whether the replay of an event that a database rejected has no effect any more. The event is known, so the window
     * does not apply. It passes once for each time that it was rejected, and only if this state decided the original: a
     * job that started without state has read and decided the original again.
     */
    private boolean isRepeated(SourceRecord original, Replay replay, Long before) throws Exception {
        Integer passed = replays.get(position(original));
        if (passed != null && replay.attempt() <= passed) {
            return true;
        }
        return before != null && replay.stateId() != null && !replay.stateId().equals(identity.stateId());
    }

    private static String position(SourceRecord source) {
        // With the time: a topic that was created again has the same positions.
        return source.partition() + ":" + source.offset() + ":" + source.timestamp();
    }

    /**
     * A record whose clock was ahead is remembered until its window is over by that clock, which is later than the time
     * to live that began now. Rewriting the state restarts the time to live.
     */
    private void keepWhileAhead(long firstSeen, Context context) {
        long now = context.timerService().currentProcessingTime();
        if (firstSeen - now > slackMillis) {
            context.timerService().registerProcessingTimeTimer(now + refreshMillis);
        }
    }

    @Override
    public void onTimer(long now, OnTimerContext context, Collector<IdentifiedEvent> out) throws Exception {
        Long time = firstSeen.value();
        if (time != null) {
            firstSeen.update(time);
            keepWhileAhead(time, context);
        }
    }

    @Override
    public void snapshotState(FunctionSnapshotContext context) throws Exception {
        unique.snapshot();
        duplicate.snapshot();
        replayed.snapshot();
    }

    @Override
    public MasterTriggerRestoreHook<StateIdentity> createMasterTriggerRestoreHook() {
        return new StateIdentity.Hook(identity);
    }
}
