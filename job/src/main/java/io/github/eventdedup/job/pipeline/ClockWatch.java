package io.github.eventdedup.job.pipeline;

import java.util.Arrays;
import java.util.function.LongSupplier;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.SimpleCounter;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.record.TimestampType;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Looks at the times of the records, by which the window runs: at steps of the broker's clock, and at records whose time is
 * not the broker's. Used by the task thread only.
 */
public final class ClockWatch {

    private static final Logger LOG = LoggerFactory.getLogger(ClockWatch.class);

    /** What is logged. The metric shows smaller steps as well. */
    static final long TOLERANCE_MILLIS = 60_000;

    private final LongSupplier clock;
    private final Counter createTime = new SimpleCounter();
    private long[] latest = new long[0];
    private long logged;
    private volatile long largestStep;

    /** @param clock the time of this machine, in milliseconds since 1970 */
    public ClockWatch(MetricGroup metrics, LongSupplier clock) {
        this.clock = clock;
        metrics.gauge("clockStepMillis", () -> largestStep);
        metrics.counter("createTimeRecords", createTime);
    }

    /** The largest step seen, in milliseconds. */
    long largestStepMillis() {
        return largestStep;
    }

    /** How many records had a time that their producer gave them. */
    long createTimeRecords() {
        return createTime.getCount();
    }

    /** Looks at a record; those of a partition come in their order. */
    public void see(ConsumerRecord<?, ?> record) {
        int partition = record.partition();
        if (partition >= latest.length) {
            int known = latest.length;
            latest = Arrays.copyOf(latest, partition + 1);
            Arrays.fill(latest, known, latest.length, Long.MIN_VALUE);
        }
        long time = record.timestamp();
        // While the clock is ahead, its records are ahead of this machine. Where they are read later, the step shows
        // when
        // it is over: time goes back.
        boolean byProducer = record.timestampType() == TimestampType.CREATE_TIME;
        // Producers' times come in any order.
        long back = byProducer || latest[partition] == Long.MIN_VALUE ? 0 : latest[partition] - time;
        long step = Math.max(time - clock.getAsLong(), back);
        latest[partition] = Math.max(latest[partition], time);
        if (step > largestStep) {
            largestStep = step;
            if (step > logged + TOLERANCE_MILLIS) {
                logged = step;
                LOG.warn(
                        "The clock by which the window runs was {} s ahead, at {}:{} of topic '{}'. Events that were sent"
                                + " again meanwhile may count as new; check the clocks of the brokers and of this machine.",
                        step / 1000,
                        partition,
                        record.offset(),
                        record.topic());
            }
        }
        if (byProducer) {
            if (createTime.getCount() == 0) {
                LOG.warn(
                        "Records of topic '{}' have the time that their producer gave them, so the window runs by the clocks"
                                + " of clients: set the topic's message.timestamp.type to LogAppendTime",
                        record.topic());
            }
            createTime.inc();
        }
    }
}
