package io.github.eventdedup.relay;

import io.github.eventdedup.event.StreamDefinition;
import java.time.Duration;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What a relay logs: each state once, when it begins or ends, and how many rows it has sent. For one thread. */
final class RelayLog {

    // The name that operators filter by.
    private static final Logger LOG = LoggerFactory.getLogger(Relay.class);

    private static final Duration PROGRESS_EVERY = Duration.ofSeconds(10);
    private static final int MAX_LOGGED_ROWS = 10;

    private final StreamDefinition stream;
    private final String table;

    private String loggedUnknown;
    private String loggedReason;
    private boolean standingBy;
    private long unreported;
    private long reportedNanos = System.nanoTime();

    RelayLog(StreamDefinition stream) {
        this.stream = stream;
        table = stream.outbox().table();
    }

    /**
     * The types of the destination's columns.
     *
     * @param reason why they are not known; null where they are
     * @param queried whether they were queried, and will be again
     */
    void unknownTypes(String reason, boolean queried, boolean once) {
        if (queried && !reason.equals(loggedUnknown)) {
            LOG.warn(
                    "The columns of {} are not compared with those of ClickHouse's {} for now: {}",
                    table,
                    stream.table().name(),
                    reason);
        } else if (reason != null && !once && loggedUnknown == null) {
            LOG.info(
                    "The columns of {} are not compared with those of ClickHouse's {}: {}",
                    table,
                    stream.table().name(),
                    reason);
        }
        loggedUnknown = reason;
    }

    void standingBy(boolean now) {
        if (now && !standingBy) {
            LOG.info("Another relay is sending rows of {}; standing by", table);
        }
        standingBy = now;
    }

    /** A dependency is unavailable. */
    void waiting(String reason) {
        if (!reason.equals(loggedReason)) {
            LOG.warn("Cannot send, retrying; no rows are lost: {}", reason);
        }
        loggedReason = reason;
    }

    /** A batch has gone through. */
    void resuming() {
        if (loggedReason != null) {
            LOG.info("Resuming");
            loggedReason = null;
        }
    }

    void timedOut(int rows) {
        LOG.info("Postgres took too long for {} rows at once; trying half as many", rows);
    }

    /** Rows that cannot be sent, with their reasons. */
    void parked(Map<Long, String> reasons) {
        reasons.entrySet().stream()
                .limit(MAX_LOGGED_ROWS)
                .forEach(row ->
                        LOG.warn("Parked: row {} of {} cannot be sent: {}", row.getKey(), table, row.getValue()));
        if (reasons.size() > MAX_LOGGED_ROWS) {
            LOG.warn(
                    "Parked: {} more rows of {}; outbox_set_aside has the reasons",
                    reasons.size() - MAX_LOGGED_ROWS,
                    table);
        }
    }

    void sent(int rows) {
        unreported += rows;
    }

    /** Logs from time to time how many rows were sent. */
    void progress() {
        if (System.nanoTime() - reportedNanos >= PROGRESS_EVERY.toNanos()) {
            lastProgress();
        }
    }

    void lastProgress() {
        if (unreported > 0) {
            LOG.info("Sent {} rows of {}", unreported, table);
            unreported = 0;
            reportedNanos = System.nanoTime();
        }
    }
}
