package io.github.eventdedup.relay;

import io.github.eventdedup.config.Identifiers;
import io.github.eventdedup.config.PostgresUrl;
import io.github.eventdedup.event.Outbox;
import java.io.IOException;
import java.net.SocketTimeoutException;
import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.postgresql.Driver;
import org.postgresql.PGConnection;

/**
 * The outbox, over a connection of its own. A batch is a transaction: {@link #tryLock}, {@link #select}, {@link #flag}, then
 * the rows go to Kafka, {@link #setAside}, {@link #commit}. Not thread-safe.
 */
final class OutboxTable implements AutoCloseable {

    /** How many rows are in a batch at most. */
    static final int BATCH_ROWS = 2000;

    /** A batch ends with the row that reaches this many bytes of text: what is in memory is bounded. */
    static final int BATCH_BYTES = 8 << 20;

    /** Tells the locks of relays from other advisory locks: "outb". */
    static final int LOCK_CLASS = 0x6F757462;

    /** No id is lower. */
    private static final long START = Long.MIN_VALUE;

    /** A row that became unsent behind the position of a relay that catches up waits no longer than this. */
    private static final Duration LONGEST_PASS = Duration.ofSeconds(10);

    /** Longer than any statement takes; a server from which no answer comes is given up after this. */
    private static final String SOCKET_TIMEOUT_SECONDS = "60";

    private static final int STATEMENT_TIMEOUT_SECONDS = 45;

    /** So many rows are tried one by one before it is believed that none can be flagged. */
    private static final int SAMPLES = 8;

    /** Connections, shutting down, resources, the system; deadlocks, locks, cancelled statements: not the fault of a row. */
    private static final Pattern OUTAGE = Pattern.compile("(08|53|57|58|40).*|55P03");

    /** The statement took too long. */
    private static final String QUERY_CANCELED = "57014";

    private final Connection connection;
    private final String name;
    private final String idColumn;
    private final OutboxColumns columns;
    private final PreparedStatement lock;
    private final PreparedStatement select;
    private final PreparedStatement flag;
    private final PreparedStatement unflagged;
    private final PreparedStatement setAside;
    private final PreparedStatement ids;

    /** Only rows with higher ids are selected. */
    private long after = START;

    private long passBeganNanos = System.nanoTime();

    /**
     * An unsent row, locked until the transaction ends.
     *
     * @param bytes what its columns take as text
     * @param texts those of {@link OutboxColumns}; null for NULL, and where the row was too long to be fetched
     */
    record Row(long id, long bytes, byte[][] texts) {}

    /** Takes the connection over, and closes it too where it throws. */
    OutboxTable(Connection connection, Outbox outbox, OutboxColumns columns) throws SQLException {
        this.connection = connection;
        this.columns = columns;
        name = outbox.table();
        idColumn = outbox.id();
        try {
            connection.setAutoCommit(false);
            // A batch must see what the one before it, of another relay, has committed.
            connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
            lock = connection.prepareStatement("SELECT pg_try_advisory_xact_lock(?, ?::regclass::oid::int)");
            select = connection.prepareStatement(selectSql(outbox, columns));
            flag = connection.prepareStatement(
                    "UPDATE " + Identifiers.postgresTable(name) + " SET " + Identifiers.postgres(outbox.sent())
                            + " = TRUE WHERE " + Identifiers.postgres(outbox.id()) + " = ANY (?)");
            unflagged = connection.prepareStatement("SELECT " + Identifiers.postgres(outbox.id()) + " FROM "
                    + Identifiers.postgresTable(name) + " WHERE " + Identifiers.postgres(outbox.id())
                    + " = ANY (?) AND " + Identifiers.postgres(outbox.sent()) + " IS NOT TRUE");
            setAside = connection.prepareStatement("INSERT INTO outbox_set_aside (table_name, row_id, reason)"
                    + " VALUES (?, ?, ?) ON CONFLICT DO NOTHING");
            ids = connection.prepareStatement(idsSql(outbox));
        } catch (SQLException | RuntimeException e) {
            connection.close();
            throw e;
        }
    }

    /** Logs in. What cannot be reached is given up after some seconds. */
    static Connection connect(RelaySettings settings) throws NeighbourException {
        try {
            Properties properties = PostgresUrl.properties(
                    settings.postgresUser(), settings.postgresPassword().read(), "outbox-relay");
            properties.setProperty("socketTimeout", SOCKET_TIMEOUT_SECONDS);
            Connection connection = new Driver().connect(settings.postgresUrl(), properties);
            if (connection == null) {
                throw new NeighbourException("not the URL of a Postgres database: " + settings.postgresAddress());
            }
            try (Statement statement = connection.createStatement()) {
                // The text of a point in time must not depend on where the relay runs. And the locks of a relay whose
                // machine has vanished without a word are let go; longer than Kafka may take for a batch. A limit that
                // the
                // role has for its statements is for others: one that is too slow is cancelled, and made smaller.
                statement.execute("SET TimeZone = 'UTC'; SET idle_in_transaction_session_timeout = '90s';"
                        + " SET statement_timeout = '" + STATEMENT_TIMEOUT_SECONDS + "s'");
            }
            return connection;
        } catch (SQLException e) {
            throw new NeighbourException(
                    "Postgres at " + settings.postgresAddress() + " cannot be used as user '" + settings.postgresUser()
                            + "': start it, or correct DEDUP_POSTGRES_URL, DEDUP_POSTGRES_USER or"
                            + " DEDUP_POSTGRES_PASSWORD (" + e.getMessage() + ")");
        } catch (IOException e) {
            throw new NeighbourException("cannot read the password, DEDUP_POSTGRES_PASSWORD_FILE: " + e);
        }
    }

    /**
     * From the inside out: the unsent rows that nobody else has locked, in order, which the partial index gives without a
     * look at those sent; how long each is, which Postgres knows without fetching it; how long all before it are; and of
     * these as many as a batch holds, without the values of one that is too long by itself.
     */
    private static String selectSql(Outbox outbox, OutboxColumns columns) {
        String id = Identifiers.postgres(outbox.id());
        String values = IntStream.range(0, columns.count())
                .mapToObj(i -> columns.encoding(i).select(Identifiers.postgres(columns.name(i))) + " AS c" + i)
                .collect(Collectors.joining(", "));
        String size = IntStream.range(0, columns.count())
                .mapToObj(i -> "coalesce(octet_length(c" + i + "), 0)::bigint")
                .collect(Collectors.joining(" + "));
        String fetched = IntStream.range(0, columns.count())
                .mapToObj(i -> ", CASE WHEN size <= ? THEN c" + i + " END")
                .collect(Collectors.joining());
        return "SELECT row_id, size" + fetched + " FROM ("
                + "SELECT *, sum(size) OVER (ORDER BY row_id) - size AS before FROM ("
                + "SELECT *, " + size + " AS size FROM ("
                + "SELECT " + id + " AS row_id, " + values + " FROM " + Identifiers.postgresTable(outbox.table())
                + " AS unsent"
                + " WHERE " + Identifiers.postgres(outbox.sent())
                + " IS NOT TRUE AND " + id
                + " > ? AND NOT EXISTS (SELECT FROM outbox_set_aside AS aside"
                + " WHERE aside.table_name = ? AND aside.row_id = unsent." + id + ")"
                + " ORDER BY " + id + " LIMIT ? FOR NO KEY UPDATE OF unsent SKIP LOCKED"
                + ") AS locked) AS sized) AS batch WHERE before < " + BATCH_BYTES + " ORDER BY row_id";
    }

    /** Has Postgres tell of new rows, where the table has a trigger that does. */
    void listen() throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute("LISTEN " + Identifiers.postgres(name));
        }
        connection.commit();
    }

    /** Waits until Postgres tells of new rows, or this long. */
    void awaitNotification(Duration timeout) throws SQLException {
        var unused = connection.unwrap(PGConnection.class).getNotifications((int) timeout.toMillis());
    }

    /**
     * Begins a batch, unless another relay has one of this table at hand. The lock goes with the transaction, so that of a
     * relay that dies is free at once.
     */
    boolean tryLock() throws SQLException {
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
    List<Row> select(long maxBytes, int maxRows) throws SQLException {
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
     * Has the next batch begin behind this one, which is committed, as long as batches are full. It would find those rows
     * by itself; but until a vacuum the index also leads to every row that has been flagged since, and while somebody has
     * an old snapshot to each version of it in the table. A pass that is over, or lasts, is followed by one from the start:
     * ids that are lower may have been committed, unlocked or reset meanwhile.
     *
     * @param maxRows how many were asked for
     * @return whether there may be more rows
     */
    boolean moveOn(List<Row> rows, int maxRows) {
        boolean full =
                rows.size() == maxRows || rows.stream().mapToLong(Row::bytes).sum() >= BATCH_BYTES;
        boolean more = full || after != START;
        if (full && System.nanoTime() - passBeganNanos < LONGEST_PASS.toNanos()) {
            after = rows.get(rows.size() - 1).id();
        } else {
            after = START;
            passBeganNanos = System.nanoTime();
        }
        return more;
    }

    /**
     * How far the ids of the table have come.
     *
     * @param highest the highest id, or that of the sequence which gives them out
     * @param hasSequence whether there is such a sequence that can be read; without one, highest may be lower than it was,
     *     because rows were deleted
     */
    record Ids(long highest, boolean hasSequence) {}

    Ids ids() throws SQLException {
        ids.setString(1, Identifiers.postgresTable(name));
        ids.setString(2, idColumn);
        try (ResultSet row = ids.executeQuery()) {
            row.next();
            long highest = row.getLong(1);
            long sequence = row.getLong(2);
            return row.wasNull() ? new Ids(highest, false) : new Ids(Math.max(highest, sequence), true);
        }
    }

    /** The sequence is that of an identity or serial column, or another that the column's default takes its values from. */
    private static String idsSql(Outbox outbox) {
        String column =
                "(SELECT attrelid, attnum FROM pg_attribute WHERE attrelid = ?::regclass AND attname = ?) AS id";
        return "SELECT (SELECT coalesce(max(" + Identifiers.postgres(outbox.id()) + "), " + START + ") FROM "
                + Identifiers.postgresTable(outbox.table()) + "), max(coalesce(pg_sequence_last_value(seqrelid), "
                + START + "))"
                + " FROM " + column
                + ", pg_sequence WHERE seqincrement > 0 AND has_sequence_privilege(seqrelid, 'SELECT')"
                + " AND (EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = seqrelid"
                + " AND refclassid = 'pg_class'::regclass AND refobjid = attrelid AND refobjsubid = attnum)"
                + " OR EXISTS (SELECT FROM pg_attrdef JOIN pg_depend ON classid = 'pg_attrdef'::regclass"
                + " AND objid = pg_attrdef.oid WHERE adrelid = attrelid AND adnum = attnum"
                + " AND refclassid = 'pg_class'::regclass AND refobjid = seqrelid))";
    }

    /**
     * Marks rows as sent, in this transaction. To be called before they are sent, so that none is sent that cannot be marked
     * and would be sent for ever; what fires only at the commit is made to fire here.
     *
     * @return the rows that cannot be marked although others can, and why
     * @throws UnflaggableException where none of the rows can be marked
     */
    Map<Long, String> flag(List<Long> ids) throws SQLException, UnflaggableException {
        Map<Long, String> failures = new LinkedHashMap<>();
        if (ids.isEmpty()) {
            return failures;
        }
        SQLException failure = tryToFlag(ids);
        if (failure != null) {
            if (ids.size() == 1 || !isAnyFlagged(ids)) {
                throw new UnflaggableException(failure.getMessage());
            }
            bisect(ids, failures);
        }
        for (Long id : unflagged(ids)) {
            failures.putIfAbsent(
                    id, "its flag stays as it is when it is set: a trigger, a rule or a policy of the table does that");
        }
        if (failures.size() == ids.size()) {
            throw new UnflaggableException(failures.get(ids.get(0)));
        }
        return failures;
    }

    /** Whether one of a few rows, spread over all of them, can be flagged. */
    private boolean isAnyFlagged(List<Long> ids) throws SQLException {
        int samples = Math.min(SAMPLES, ids.size());
        for (int i = 0; i < samples; i++) {
            int sample = (int) ((long) (ids.size() - 1) * i / Math.max(1, samples - 1));
            if (tryToFlag(ids.subList(sample, sample + 1)) == null) {
                return true;
            }
        }
        return false;
    }

    private void bisect(List<Long> ids, Map<Long, String> failures) throws SQLException {
        SQLException failure = tryToFlag(ids);
        if (failure == null) {
            return;
        }
        if (ids.size() == 1) {
            failures.put(ids.get(0), "its flag cannot be set: " + NeighbourException.oneLine(failure.getMessage()));
            return;
        }
        bisect(ids.subList(0, ids.size() / 2), failures);
        bisect(ids.subList(ids.size() / 2, ids.size()), failures);
    }

    /**
     * Flags all of the rows or none.
     *
     * @return why it was none, or null
     * @throws SQLException for a reason that says nothing about the rows
     */
    private SQLException tryToFlag(List<Long> ids) throws SQLException {
        Savepoint before = connection.setSavepoint();
        try {
            Array array = connection.createArrayOf("bigint", ids.toArray());
            flag.setArray(1, array);
            flag.executeUpdate();
            array.free();
            checkConstraints();
            connection.releaseSavepoint(before);
            return null;
        } catch (SQLException e) {
            if (e.getSQLState() == null || OUTAGE.matcher(e.getSQLState()).matches()) {
                throw e;
            }
            connection.rollback(before);
            return e;
        }
    }

    private void checkConstraints() throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute("SET CONSTRAINTS ALL IMMEDIATE");
        }
    }

    /** Those that are still there, and unsent: a trigger may also have moved a row elsewhere. */
    private List<Long> unflagged(List<Long> ids) throws SQLException {
        List<Long> found = new ArrayList<>();
        Array array = connection.createArrayOf("bigint", ids.toArray());
        unflagged.setArray(1, array);
        try (ResultSet rows = unflagged.executeQuery()) {
            while (rows.next()) {
                found.add(rows.getLong(1));
            }
        }
        array.free();
        return found;
    }

    /** Whether a statement took too long, and fewer rows may not. */
    static boolean isTimeout(SQLException e) {
        return QUERY_CANCELED.equals(e.getSQLState()) || e.getCause() instanceof SocketTimeoutException;
    }

    /** Notes which rows cannot be sent, and why: they are not selected again. */
    void setAside(Map<Long, String> reasons) throws SQLException {
        if (reasons.isEmpty()) {
            return;
        }
        for (Map.Entry<Long, String> row : reasons.entrySet()) {
            setAside.setString(1, name);
            setAside.setLong(2, row.getKey());
            setAside.setString(3, row.getValue());
            setAside.addBatch();
        }
        setAside.executeBatch();
    }

    void commit() throws SQLException {
        connection.commit();
    }

    void rollback() throws SQLException {
        connection.rollback();
    }

    /** What is not committed is rolled back by the server, whether or not it still hears of this. */
    @Override
    public void close() {
        try {
            connection.close();
        } catch (SQLException e) {
            // There is nothing left that could fail to be let go.
        }
    }
}
