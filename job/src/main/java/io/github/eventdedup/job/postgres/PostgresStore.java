package io.github.eventdedup.job.postgres;

import io.github.eventdedup.job.model.IdentifiedEvent;
import java.io.IOException;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Stores or rejects each event, whatever error its batch causes. One event never stops the others, and an error that
 * hits every event loses none:
 *
 * <ul>
 *   <li>An error that a row is known to cause: the batch is halved until the row is alone, and the row is rejected.
 *   <li>A timeout: the batch is halved, and batches stay small until they have been stored for a while.
 *   <li>Any other error: a probe without rows tests whether the table accepts rows at all. If not, all rows wait until
 *       it does. Otherwise the batch is halved. A single row that keeps failing while others are stored is rejected.
 *   <li>Where every row that is tried fails, they wait together, and are rejected when {@link Patience} is exhausted.
 * </ul>
 *
 * <p>Used by the task thread only, but for {@link #isWaiting}.
 */
final class PostgresStore implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(PostgresStore.class);

    /** If so many rows fail and none is stored, the cause is likely the table rather than the rows. */
    static final int MANY = 16;

    private static final long RETRY_PAUSE_MILLIS = 200;

    private static final int CONFLICT_TRIES = 5;
    private static final int CONNECTION_TRIES = 3;
    private static final int SINGLE_ROW_TRIES = 3;

    /** A row may wait for a lock that another transaction holds, and that is no fault of the row. */
    private static final int TIMEOUT_TRIES = 5;

    /** So many batches are stored before larger ones are tried again: each try may cost a whole timeout. */
    private static final int STORED_BEFORE_GROWTH = 10;

    /**
     * How long rows wait that all fail, where the cause may be the rows or the table.
     *
     * @param few for fewer than {@link #MANY} failing rows
     * @param many for {@link #MANY} or more, and for connections that are lost and statements that time out
     * @param maxPause the longest pause between two tries
     */
    record Patience(Duration few, Duration many, Duration maxPause) {
        /** Long enough to notice a mistake in a trigger; less than the timeout of a checkpoint. */
        static final Patience DEFAULT =
                new Patience(Duration.ofSeconds(20), Duration.ofMinutes(5), Duration.ofSeconds(5));
    }

    /** Takes the events that Postgres rejects. */
    interface Rejections {
        void reject(IdentifiedEvent event, SQLException reason) throws IOException, InterruptedException;
    }

    private record Suspect(IdentifiedEvent event, SQLException failure) {}

    private final String stream;
    private final PostgresBatchStore postgres;
    private final Rejections rejections;
    private final Patience patience;
    private final int maxRows;

    private int limit;
    private int storedAtLimit;
    private long escapes;
    private int pauses;

    /** Whether the rows that failed last, each by itself, did so for a reason that is more often the server's. */
    private boolean isServerSuspect;

    private volatile boolean waiting;
    private long waitingSince;
    private String waitingFor = "";

    PostgresStore(String stream, PostgresBatchStore postgres, Rejections rejections, int maxRows, Patience patience) {
        this.stream = stream;
        this.postgres = postgres;
        this.rejections = rejections;
        this.patience = patience;
        this.maxRows = maxRows;
        limit = maxRows;
    }

    /** Whether it waits until Postgres accepts rows; for any thread. */
    boolean isWaiting() {
        return waiting;
    }

    /**
     * Returns when each event is stored or rejected.
     *
     * @param events whose fingerprints all differ
     * @return how many were escapes
     */
    long store(List<IdentifiedEvent> events) throws IOException, InterruptedException {
        escapes = 0;
        List<IdentifiedEvent> undecided = events;
        long deadline = Long.MAX_VALUE;
        while (!undecided.isEmpty()) {
            undecided = storeOrReject(undecided, System.nanoTime() > deadline);
            if (!undecided.isEmpty()) {
                if (deadline == Long.MAX_VALUE) {
                    Duration wait = undecided.size() < MANY && !isServerSuspect ? patience.few : patience.many;
                    deadline = System.nanoTime() + wait.toNanos();
                }
                pause();
            }
        }
        endOfWait();
        return escapes;
    }

    /**
     * Tries each event, by itself if necessary.
     *
     * @param isLastTry whether events that fail are rejected even where nothing is stored
     * @return those that are neither stored nor rejected, because every event that was tried fails
     */
    private List<IdentifiedEvent> storeOrReject(List<IdentifiedEvent> events, boolean isLastTry)
            throws IOException, InterruptedException {
        List<Suspect> suspects = new ArrayList<>();
        boolean anyFailed = false;
        // Since a failure: earlier stored rows prove nothing about the rows that have failed.
        boolean anyStored = false;
        Deque<List<IdentifiedEvent>> parts = new ArrayDeque<>();
        parts.push(events);
        while (!parts.isEmpty()) {
            List<IdentifiedEvent> part = parts.pop();
            if (part.size() > limit) {
                parts.push(part.subList(limit, part.size()));
                part = part.subList(0, limit);
            }
            SQLException failure = tryToStore(part, anyStored);
            if (failure == null) {
                anyStored = anyFailed;
                continue;
            }
            anyFailed = true;
            if (part.size() > 1) {
                int half = part.size() / 2;
                if (SqlErrors.of(failure) == SqlErrors.TIMEOUT) {
                    shrinkTo(half, failure);
                }
                parts.push(part.subList(half, part.size()));
                parts.push(part.subList(0, half));
            } else if (SqlErrors.of(failure) == SqlErrors.ROW) {
                rejections.reject(part.get(0), failure);
            } else {
                suspects.add(new Suspect(part.get(0), failure));
                if (suspects.size() >= MANY && !anyStored && !isLastTry) {
                    break;
                }
            }
        }
        if (suspects.isEmpty()) {
            return List.of();
        }
        if (anyStored) {
            suspects = tryAgain(suspects);
        }
        if (anyStored || isLastTry) {
            for (Suspect suspect : suspects) {
                rejections.reject(suspect.event, suspect.failure);
            }
            return List.of();
        }
        List<IdentifiedEvent> undecided = new ArrayList<>();
        suspects.forEach(suspect -> undecided.add(suspect.event));
        parts.forEach(undecided::addAll);
        SQLException failure = suspects.get(0).failure;
        SqlErrors kind = SqlErrors.of(failure);
        isServerSuspect = kind == SqlErrors.CONNECTION_LOST || kind == SqlErrors.TIMEOUT;
        waitFor("every row that was tried fails, so the cause is likely the table, such as a trigger", failure);
        return undecided;
    }

    /** The last tries of rows that fail alone while others are stored; returns those that still fail. */
    private List<Suspect> tryAgain(List<Suspect> suspects) throws InterruptedException {
        List<Suspect> failing = suspects;
        for (int tries = 1; !failing.isEmpty() && tries < maxTries(failing); tries++) {
            Thread.sleep(Math.min(tries * RETRY_PAUSE_MILLIS, patience.maxPause.toMillis()));
            List<Suspect> stillFailing = new ArrayList<>();
            for (Suspect suspect : failing) {
                boolean isOver = tries >= maxTries(List.of(suspect));
                SQLException failure = isOver ? suspect.failure : tryToStore(List.of(suspect.event), false);
                if (failure != null) {
                    stillFailing.add(new Suspect(suspect.event, failure));
                }
            }
            failing = stillFailing;
        }
        return failing;
    }

    private static int maxTries(List<Suspect> suspects) {
        boolean anyTimeout = suspects.stream().anyMatch(suspect -> SqlErrors.of(suspect.failure) == SqlErrors.TIMEOUT);
        return anyTimeout ? TIMEOUT_TRIES : SINGLE_ROW_TRIES;
    }

    /**
     * Returns the failure where it may be that of a row, or null where all are stored; waits where nothing can be stored.
     *
     * @param othersAreStored whether other rows were stored meanwhile: an unknown error then needs no probe
     */
    private SQLException tryToStore(List<IdentifiedEvent> events, boolean othersAreStored) throws InterruptedException {
        for (int tries = 1; ; tries++) {
            if (Thread.interrupted()) {
                // Statements do not notice an interrupt: a cancelled job would continue with the remaining parts of the
                // batch.
                throw new InterruptedException("the task was cancelled");
            }
            SQLException failure;
            try {
                escapes += postgres.store(events).escapes();
                stored(events.size());
                return null;
            } catch (SQLException e) {
                failure = e;
            }
            SqlErrors kind = SqlErrors.of(failure);
            if (kind == SqlErrors.ROW || (kind == SqlErrors.UNKNOWN && othersAreStored)) {
                return failure;
            }
            awaitProbe();
            if (SqlErrors.isDiskFull(failure)) {
                // Small rows may still fit, so stored rows prove nothing about these.
                waitFor(failure);
                pause();
            } else if (kind == SqlErrors.CONNECTION_LOST && tries < CONNECTION_TRIES) {
                if (tries > 1) {
                    pause();
                }
            } else if (kind != SqlErrors.CONFLICT || tries >= CONFLICT_TRIES) {
                return failure;
            }
        }
    }

    /** Returns as soon as Postgres would accept rows. */
    private void awaitProbe() throws InterruptedException {
        while (true) {
            try {
                postgres.probe();
                return;
            } catch (SQLException e) {
                waitFor(e);
                pause();
            }
        }
    }

    private void waitFor(SQLException failure) {
        waitFor(
                switch (SqlErrors.of(failure)) {
                    case OUTAGE, CONNECTION_LOST -> "it is unavailable";
                    case TIMEOUT -> "the table is locked";
                    default -> "the table or the role is not as the job needs it";
                },
                failure);
    }

    /** Says so once, and again where the reason has become another one. */
    private void waitFor(String what, SQLException failure) {
        if (!waiting) {
            waitingSince = System.nanoTime();
            waiting = true;
        }
        if (!waitingFor.equals(what)) {
            waitingFor = what;
            LOG.warn(
                    "Postgres accepts no rows of stream '{}', retrying; no rows are lost: {}: {}",
                    stream,
                    what,
                    SqlErrors.reason(failure));
        }
    }

    private void pause() throws InterruptedException {
        long millis = Math.min(100L << Math.min(pauses++, 10), patience.maxPause.toMillis());
        Thread.sleep(millis);
    }

    private void stored(int rows) {
        pauses = 0;
        endOfWait();
        if (rows == limit && limit < maxRows && ++storedAtLimit >= STORED_BEFORE_GROWTH) {
            storedAtLimit = 0;
            limit = Math.min(maxRows, 2 * limit);
            if (limit == maxRows) {
                LOG.info("Batches of stream '{}' have {} rows again", stream, limit);
            }
        }
    }

    private void endOfWait() {
        if (waiting) {
            waiting = false;
            waitingFor = "";
            LOG.info(
                    "Postgres accepts rows of stream '{}' again, after {} s",
                    stream,
                    Duration.ofNanos(System.nanoTime() - waitingSince).toSeconds());
        }
    }

    private void shrinkTo(int rows, SQLException failure) {
        if (limit == maxRows) {
            LOG.warn(
                    "Postgres takes longer for a batch of stream '{}' than its limits allow; batches become smaller: {}",
                    stream,
                    SqlErrors.reason(failure));
        }
        storedAtLimit = 0;
        limit = Math.min(limit, rows);
    }

    @Override
    public void close() throws SQLException {
        postgres.close();
    }
}
