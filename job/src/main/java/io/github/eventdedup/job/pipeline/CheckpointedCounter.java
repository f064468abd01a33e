package io.github.eventdedup.job.pipeline;

import java.util.List;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.OperatorStateStore;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.SimpleCounter;
import org.apache.flink.runtime.state.FunctionInitializationContext;

/**
 * A counter of the data, not of a process: it is part of the checkpoint, so records that are read again after a
 * recovery are not counted twice, and rescaling keeps the sum over the subtasks. Used by the task thread only.
 */
public final class CheckpointedCounter {

    private final Counter counter = new SimpleCounter();
    private final ListState<Long> state;

    /** Takes the count up from the checkpoint, where there is one, and shows it as a metric of this name. */
    public CheckpointedCounter(String name, MetricGroup metrics, FunctionInitializationContext context)
            throws Exception {
        this(name, metrics, context.getOperatorStateStore());
    }

    /** As above, for an operator that is not a function. */
    public CheckpointedCounter(String name, MetricGroup metrics, OperatorStateStore states) throws Exception {
        state = states.getListState(new ListStateDescriptor<>(name, Types.LONG));
        for (long count : state.get()) {
            counter.inc(count);
        }
        metrics.counter(name, counter);
    }

    public void increment() {
        add(1);
    }

    void add(long count) {
        counter.inc(count);
    }

    /** Puts the count into the checkpoint being taken. */
    public void snapshot() throws Exception {
        state.update(List.of(counter.getCount()));
    }
}
