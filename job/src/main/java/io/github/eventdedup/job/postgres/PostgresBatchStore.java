package io.github.eventdedup.job.postgres;

import io.github.eventdedup.event.PostgresTable;
import io.github.eventdedup.job.model.IdentifiedEvent;
import io.github.eventdedup.job.settings.PostgresLogin;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyIn;
import org.postgresql.copy.CopyManager;

/**
 * Stores batches over one connection, each in one transaction: all of a batch is there, or nothing. Connects when first
 * needed, and again after an error. Not thread-safe.
 */
public final class PostgresBatchStore implements AutoCloseable {

    private static final int INITIAL_BUFFER = 1 << 20;

    private final PostgresLogin login;
    private final PostgresTable table;
    private final UpsertSql sql;
    private final long windowMillis;
    private final CopyBuffer encoder = new CopyBuffer(INITIAL_BUFFER);

    /** Whether rows are likely to be in the table already, as they are after a recovery: the last batch had some. */
    private boolean expectKnown = true;

    /** The fingerprints of the encoded events that are replays of dead letters. */
    private byte[][] replayed = {};

    private Connection connection;
    private CopyManager copyManager;
    private PreparedStatement upsert;

    public PostgresBatchStore(PostgresLogin login, PostgresTable table, Duration window) {
        this.login = login;
        this.table = table;
        sql = new UpsertSql(table);
        windowMillis = window.toMillis();
    }

    /**
     * The result of a batch. The other rows were read again after a recovery, and changed nothing.
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
    public Outcome store(List<IdentifiedEvent> events) throws SQLException {
        try {
            if (connection == null) {
                connect();
            }
            encode(events);
            Outcome outcome = expectKnown ? upsert(events.size()) : insert(events.size());
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
    }

    /**
     * Takes the whole path of a batch, without a row: it fails where no row could be stored.
     *
     * @throws SQLException that says why
     */
    void probe() throws SQLException {
        try {
            if (connection == null) {
                connect();
            }
            List<String> findings = new ArrayList<>();
            new PostgresPreflight(table, login, findings).checkTable(connection);
            if (!findings.isEmpty()) {
                throw new SQLException(String.join("; ", findings));
            }
            encode(List.of());
            copy(sql.copyIntoTable());
            copy(sql.copyIntoStage());
            upsert.setArray(2, connection.createArrayOf("bytea", replayed));
            upsert.executeQuery().close();
            connection.rollback();
        } catch (SQLException e) {
            closeAfter(e);
            throw e;
        }
    }

    /**
     * The cheap path: a third less work for the server. Any known row fails the whole batch, and the upsert takes over.
     */
    private Outcome insert(int rows) throws SQLException {
        try {
            if (copy(sql.copyIntoTable()) != rows) {
                throw new RowDroppedException();
            }
            return new Outcome(rows, 0);
        } catch (SQLException e) {
            if (!SqlErrors.isUniqueViolation(e)) {
                throw e;
            }
            connection.rollback();
            return upsert(rows);
        }
    }

    private Outcome upsert(int rows) throws SQLException {
        copy(sql.copyIntoStage());
        Outcome outcome;
        upsert.setArray(2, connection.createArrayOf("bytea", replayed));
        try (ResultSet counts = upsert.executeQuery()) {
            counts.next();
            outcome = new Outcome(counts.getLong(1), counts.getLong(2));
        }
        if (outcome.stored + outcome.escapes < rows) {
            requireAllAreThere();
        }
        return outcome;
    }

    /** Tells replays, which change nothing, from rows that a trigger has dropped. */
    private void requireAllAreThere() throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet missing = statement.executeQuery(sql.anyMissing())) {
            missing.next();
            if (missing.getBoolean(1)) {
                throw new RowDroppedException();
            }
        }
    }

    private void encode(List<IdentifiedEvent> events) {
        replayed = events.stream()
                .filter(event -> event.replay() != null)
                .map(event -> event.fingerprint().bytes())
                .toArray(byte[][]::new);
        encoder.begin();
        for (IdentifiedEvent event : events) {
            encoder.putRow(event, table);
        }
        encoder.end();
    }

    private long copy(String statement) throws SQLException {
        CopyIn copy = copyManager.copyIn(statement);
        copy.writeToCopy(encoder.bytes(), 0, encoder.length());
        return copy.endCopy();
    }

    /** Keeps the connection and its statements where the error leaves them usable. */
    private void abandon(SQLException cause) {
        try {
            if (connection != null && SqlErrors.keepsConnection(cause)) {
                connection.rollback();
                return;
            }
        } catch (SQLException e) {
            cause.addSuppressed(e);
        }
        closeAfter(cause);
    }

    private void closeAfter(SQLException cause) {
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
