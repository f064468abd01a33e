package io.github.eventdedup.relay.outbox;

import io.github.eventdedup.config.Identifiers;
import io.github.eventdedup.event.Outbox;
import java.net.SocketTimeoutException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.postgresql.PGConnection;

/**
 * The outbox, over a connection of its own. A batch is a transaction: {@link #tryLock}, {@link #select}, {@link #flag}, then
 * the rows go to Kafka, {@link #park}, {@link #commit}. Not thread-safe.
 */
public final class OutboxTable implements AutoCloseable {

    /** How many rows are in a batch at most. */
    public static final int BATCH_ROWS = 2000;

    /** A batch ends with the row that reaches this many bytes of text: memory is bounded. */
    static final int BATCH_BYTES = 8 << 20;

    /** Distinguishes the locks of relays from other advisory locks: "outb". */
    public static final int LOCK_CLASS = 0x6F757462;

    /** The longest that a row waits which became unsent behind the position of a relay that is catching up. */
    private static final Duration LONGEST_PASS = Duration.ofSeconds(10);

    /** The statement took too long. */
    private static final String QUERY_CANCELED = "57014";

    private final Connection connection;
    private final String name;
    private final String idColumn;
    private final OutboxColumns columns;
    private final PreparedStatement lock;
    private final PreparedStatement select;
    private final PreparedStatement park;
    private final PreparedStatement ids;
    private final RowFlags flags;

    /** Only rows with higher ids are selected. */
    private long after = OutboxStatements.MIN_ID;

    private long passBeganNanos = System.nanoTime();

    /**
     * An unsent row, locked until the transaction ends.
     *
     * @param id the row's id
     * @param bytes the size of its columns as text
     * @param texts those of {@link OutboxColumns}; null for NULL, and where the row was too long to be fetched
     */
    public record Row(long id, long bytes, byte[][] texts) {}

    /** Owns the connection: closes it, also where this throws. */
    public OutboxTable(Connection connection, Outbox outbox, OutboxColumns columns) throws SQLException {
        this.connection = connection;
        this.columns = columns;
        name = outbox.table();
        idColumn = outbox.id();
        try {
            connection.setAutoCommit(false);
            // A batch must see what the one before it, of another relay, has committed.
            connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
            lock = connection.prepareStatement(OutboxStatements.LOCK);
            select = connection.prepareStatement(OutboxStatements.select(outbox, columns));
            park = connection.prepareStatement(OutboxStatements.PARK);
            ids = connection.prepareStatement(OutboxStatements.ids(outbox));
            flags = new RowFlags(connection, outbox);
        } catch (SQLException | RuntimeException e) {
            connection.close();
            throw e;
        }
    }

    /** Has Postgres notify of new rows, where the table has a trigger that does. */
    public void listen() throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute("LISTEN " + Identifiers.postgres(name));
        }
        connection.commit();
    }

    /** Waits until Postgres notifies of new rows, or this long. */
    public void awaitNotification(Duration timeout) throws SQLException {
        var unused = connection.unwrap(PGConnection.class).getNotifications((int) timeout.toMillis());
    }

    /**
     * Begins a batch, unless another relay is sending one of this table. The lock ends with the transaction, so that of a
     * relay that dies is free at once.
     */
    public boolean tryLock() throws SQLException {
        lock.setInt(1, LOCK_CLASS);
        lock.setString(2, Identifiers.postgresTable(name));
        try (ResultSet result = lock.executeQuery()) {
            result.next();
            return result.getBoolean(1);
        }
    }

    /**
     * The unsent rows with the lowest ids, locked.
     *
     * @param maxBytes longer rows come without their texts
     * @param maxRows at most {@link #BATCH_ROWS}
     */
    public List<Row> select(long maxBytes, int maxRows) throws SQLException {
        int parameter = 1;
        for (int i = 0; i < columns.count(); i++) {
            select.setLong(parameter++, maxBytes);
        }
        select.setLong(parameter++, after);
        select.setString(parameter++, name);
        select.setInt(parameter, maxRows);
        List<Row> rows = new ArrayList<>(BATCH_ROWS);
        try (ResultSet result = select.executeQuery()) {
            while (result.next()) {
                byte[][] texts = new byte[columns.count()][];
                for (int i = 0; i < texts.length; i++) {
                    // Of a text this is what came over the wire, UTF-8: no String is made.
                    texts[i] = result.getBytes(i + 3);
                }
                rows.add(new Row(result.getLong(1), result.getLong(2), texts));
            }
        }
        return rows;
    }

    /**
     * Makes the next batch begin behind this one, which is committed, as long as batches are full. The next batch would find
     * the right rows anyway. But until a vacuum the index also leads to every row that has been flagged since, and while a
     * transaction holds an old snapshot, to each version of that row. A pass that is complete, or has lasted long, is
     * followed by one from the start: lower ids may have been committed, unlocked or reset meanwhile.
     *
     * @param maxRows how many were requested
     * @return whether there may be more rows
     */
    public boolean advance(List<Row> rows, int maxRows) {
        boolean full =
                rows.size() == maxRows || rows.stream().mapToLong(Row::bytes).sum() >= BATCH_BYTES;
        boolean more = full || after != OutboxStatements.MIN_ID;
        if (full && System.nanoTime() - passBeganNanos < LONGEST_PASS.toNanos()) {
            after = rows.get(rows.size() - 1).id();
        } else {
            after = OutboxStatements.MIN_ID;
            passBeganNanos = System.nanoTime();
        }
        return more;
    }

    /**
     * The highest id of the table.
     *
     * @param highest the highest id of a row or of the sequence that assigns ids
     * @param hasSequence whether there is such a sequence that can be read; without one, highest may be lower than it was,
     *     because rows were deleted
     */
    public record Ids(long highest, boolean hasSequence) {}

    /** The highest id that the table has, or has given out. */
    public Ids ids() throws SQLException {
        ids.setString(1, Identifiers.postgresTable(name));
        ids.setString(2, idColumn);
        try (ResultSet row = ids.executeQuery()) {
            row.next();
            long highest = row.getLong(1);
            long sequence = row.getLong(2);
            return row.wasNull() ? new Ids(highest, false) : new Ids(Math.max(highest, sequence), true);
        }
    }

    /**
     * Flags rows as sent, in this transaction; before they are sent: see {@link RowFlags#flag}.
     *
     * @return the rows that cannot be flagged although others can, and why
     * @throws UnflaggableException where none of the rows can be flagged
     */
    public Map<Long, String> flag(List<Long> rowIds) throws SQLException, UnflaggableException {
        return flags.flag(rowIds);
    }

    /** Whether a statement took too long, and fewer rows may not. */
    public static boolean isTimeout(SQLException e) {
        return QUERY_CANCELED.equals(e.getSQLState()) || e.getCause() instanceof SocketTimeoutException;
    }

    /** Parks rows that cannot be sent, with the reasons: they are not selected again. */
    public void park(Map<Long, String> reasons) throws SQLException {
        if (reasons.isEmpty()) {
            return;
        }
        for (Map.Entry<Long, String> row : reasons.entrySet()) {
            park.setString(1, name);
            park.setLong(2, row.getKey());
            park.setString(3, row.getValue());
            park.addBatch();
        }
        park.executeBatch();
    }

    /** Ends a batch. */
    public void commit() throws SQLException {
        connection.commit();
    }

    /** Abandons a batch: nothing is flagged or parked. */
    public void rollback() throws SQLException {
        connection.rollback();
    }

    /** The server rolls back what is not committed, even where the close does not reach it. */
    @Override
    public void close() {
        try {
            connection.close();
        } catch (SQLException e) {
            // Nothing depends on it: the server rolls back what is not committed.
        }
    }
}
