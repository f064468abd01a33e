package io.github.eventdedup.job;

import io.github.eventdedup.event.PostgresTable;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyIn;
import org.postgresql.copy.CopyManager;

/**
 * Stores batches over one connection, each in one transaction: all of a batch is there, or nothing. Connects when it is
 * first needed, and anew after an error. Not thread-safe.
 */
final class PostgresBatchWriter implements AutoCloseable {

    private static final int INITIAL_BUFFER = 1 << 20;

    private final PostgresLogin login;
    private final PostgresTable table;
    private final UpsertSql sql;
    private final long windowMillis;
    private final CopyEncoder encoder = new CopyEncoder(INITIAL_BUFFER);

    /** Whether rows are likely to be in the table already, as they are after a recovery: the last batch had some. */
    private boolean expectKnown = true;

    private Connection connection;
    private CopyManager copyManager;
    private PreparedStatement upsert;

    PostgresBatchWriter(PostgresLogin login, PostgresTable table, Duration window) {
        this.login = login;
        this.table = table;
        sql = new UpsertSql(table);
        windowMillis = window.toMillis();
    }

    /**
     * What became of a batch. The rest of it are replays, which changed nothing.
     *
     * @param stored rows that are new
     * @param escapes duplicates that deduplication let through and the table's key caught
     */
    record Outcome(long stored, long escapes) {}

    /**
     * Stores events whose fingerprints all differ.
     *
     * @throws SQLException where nothing of the batch was stored, or, after a lost connection, perhaps all of it; to
     *     store it again is right in both cases
     */
    Outcome store(List<IdentifiedEvent> events) throws SQLException {
        try {
            if (connection == null) {
                connect();
            }
            encode(events);
            Outcome outcome = expectKnown ? upsert() : insert(events.size());
            connection.commit();
            expectKnown = outcome.stored < events.size();
            return outcome;
        } catch (SQLException e) {
            abandon(e);
            throw e;
        }
    }

    private void connect() throws SQLException {
        connection = login.connect();
        connection.setAutoCommit(false);
        try (Statement statement = connection.createStatement()) {
            // Less than the socket's timeout, which would leave a session behind that still waits for its lock.
            statement.execute("SET lock_timeout = '30s'");
            for (String create : sql.createStage()) {
                statement.execute(create);
            }
        }
        connection.commit();
        copyManager = connection.unwrap(PGConnection.class).getCopyAPI();
        upsert = connection.prepareStatement(sql.upsert());
        upsert.setLong(1, windowMillis);
        upsert.setLong(2, windowMillis);
    }

    /** The cheap way: a third less work for the server. Any row that is known fails all of it, and the upsert takes over. */
    private Outcome insert(int rows) throws SQLException {
        try {
            copy(sql.copyIntoTable());
            return new Outcome(rows, 0);
        } catch (SQLException e) {
            if (!SqlErrors.isUniqueViolation(e)) {
                throw e;
            }
            connection.rollback();
            return upsert();
        }
    }

    private Outcome upsert() throws SQLException {
        copy(sql.copyIntoStage());
        try (ResultSet counts = upsert.executeQuery()) {
            counts.next();
            return new Outcome(counts.getLong(1), counts.getLong(2));
        }
    }

    private void encode(List<IdentifiedEvent> events) {
        encoder.begin();
        for (IdentifiedEvent event : events) {
            encoder.putRow(event, table);
        }
        encoder.end();
    }

    private void copy(String statement) throws SQLException {
        CopyIn copy = copyManager.copyIn(statement);
        copy.writeToCopy(encoder.bytes(), 0, encoder.length());
        copy.endCopy();
    }

    /** After a refusal the connection is still good; after anything else a new one is made. */
    private void abandon(SQLException cause) {
        try {
            if (connection != null && SqlErrors.isRefusal(cause)) {
                connection.rollback();
                return;
            }
        } catch (SQLException e) {
            cause.addSuppressed(e);
        }
        try {
            close();
        } catch (SQLException e) {
            cause.addSuppressed(e);
        }
    }

    @Override
    public void close() throws SQLException {
        Connection closing = connection;
        connection = null;
        if (closing != null) {
            closing.close();
        }
    }
}
