package io.github.eventdedup.job.clickhouse;

import org.apache.flink.metrics.Gauge;
import org.apache.flink.metrics.MetricGroup;
import org.slf4j.Logger;

/**
 * A sink that waits for its database, so that an operator sees it: the gauge {@code waiting} is 1 meanwhile, and the log has a
 * line with the reason when it begins, when the reason changes, and when it is over. Used by the task thread only.
 */
final class DatabaseWait {

    private static final long MIN_BACKOFF_MILLIS = 100;
    private static final long MAX_BACKOFF_MILLIS = 5_000;

    private final String database;
    private final Logger log;
    private volatile String reason;
    private long beganMillis;
    private long backoffMillis = MIN_BACKOFF_MILLIS;

    DatabaseWait(String database, MetricGroup metrics, Logger log) {
        this.database = database;
        this.log = log;
        metrics.gauge("waiting", (Gauge<Integer>) () -> reason == null ? 0 : 1);
    }

    /** Waits a while longer each time, for this reason. */
    void pause(String newReason) throws InterruptedException {
        begin(newReason);
        Thread.sleep(backoffMillis);
        backoffMillis = Math.min(2 * backoffMillis, MAX_BACKOFF_MILLIS);
    }

    /** Notes that the sink waits from now on, without waiting here. */
    void begin(String newReason) {
        if (reason == null) {
            beganMillis = System.currentTimeMillis();
        }
        if (!newReason.equals(reason)) {
            log.warn("{} accepts no rows, retrying; no rows are lost: {}", database, newReason);
        }
        reason = newReason;
    }

    /** The database has stored rows. */
    void over() {
        if (reason != null) {
            log.info("{} accepts rows again, after {} s", database, (System.currentTimeMillis() - beganMillis) / 1000);
            reason = null;
        }
        backoffMillis = MIN_BACKOFF_MILLIS;
    }
}
