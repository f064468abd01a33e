package io.github.eventdedup.proof.load;

import io.github.eventdedup.event.Fingerprint;
import io.github.eventdedup.proof.system.Endpoints;
import java.sql.Array;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.concurrent.Executor;

/**
 * Looks for the rows of {@link VisibilityTracker}, over one connection that is made anew where it breaks. A thread of its own runs
 * it until it is interrupted.
 */
final class RowPoller implements Runnable {

    private static final int MILLIS_BETWEEN = 10;
    private static final int MILLIS_AFTER_FAILURE = 500;
    private static final int TIMEOUT_SECONDS = 10;

    private final Endpoints endpoints;
    private final VisibilityTracker probes;
    private volatile long backend;
    private volatile String failure = "";

    RowPoller(Endpoints endpoints, VisibilityTracker probes) {
        this.endpoints = endpoints;
        this.probes = probes;
    }

    /** The pid of Postgres' process that serves this prober, or 0: its work is none of the system's. */
    long backend() {
        return backend;
    }

    /** Why Postgres does not answer, or empty. */
    String failure() {
        return failure;
    }

    @Override
    public void run() {
        DriverManager.setLoginTimeout(TIMEOUT_SECONDS);
        try {
            while (true) {
                try (Connection connection = endpoints.postgres().connect()) {
                    Executor sameThread = Runnable::run;
                    connection.setNetworkTimeout(sameThread, TIMEOUT_SECONDS * 1000);
                    poll(connection);
                } catch (SQLException e) {
                    failure = e.getMessage();
                    backend = 0;
                    Thread.sleep(MILLIS_AFTER_FAILURE);
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void poll(Connection connection) throws SQLException, InterruptedException {
        try (Statement statement = connection.createStatement()) {
            // The plan is made once, maybe while the table is so small that reading all of it looks best.
            statement.execute("SET enable_seqscan = off");
            try (ResultSet row = statement.executeQuery("SELECT pg_backend_pid()")) {
                row.next();
                backend = row.getLong(1);
            }
        }
        try (PreparedStatement select =
                connection.prepareStatement("SELECT fingerprint FROM view_events WHERE fingerprint = ANY(?)")) {
            while (true) {
                List<Fingerprint> outstanding = probes.outstanding();
                long begin = System.nanoTime();
                if (!outstanding.isEmpty()) {
                    look(connection, select, outstanding);
                }
                failure = "";
                Thread.sleep(pauseMillis((System.nanoTime() - begin) / 1_000_000));
            }
        }
    }

    /**
     * Thousands are outstanding when the job is away: to look for them must not keep the database busy. But a database
     * that was stopped for a while must not be left alone for ten times as long.
     */
    static long pauseMillis(long tookMillis) {
        return Math.min(MILLIS_AFTER_FAILURE, Math.max(MILLIS_BETWEEN, 10 * tookMillis));
    }

    private void look(Connection connection, PreparedStatement select, List<Fingerprint> outstanding)
            throws SQLException {
        Array array = connection.createArrayOf(
                "bytea", outstanding.stream().map(Fingerprint::bytes).toArray(byte[][]::new));
        select.setArray(1, array);
        try (ResultSet rows = select.executeQuery()) {
            long now = System.nanoTime();
            while (rows.next()) {
                probes.visible(Fingerprint.of(rows.getBytes(1)), now);
            }
        }
    }
}
