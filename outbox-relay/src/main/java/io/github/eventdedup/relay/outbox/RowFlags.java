package io.github.eventdedup.relay.outbox;

import io.github.eventdedup.event.Outbox;
import io.github.eventdedup.relay.settings.UnavailableException;
import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/** Sets the flags of rows, and finds the rows whose flags cannot be set. Not thread-safe. */
final class RowFlags {

    /** So many rows are tried one by one before all are taken to be unflaggable. */
    private static final int SAMPLES = 8;

    /** Connections, shutting down, resources, the system; deadlocks, locks, cancelled statements: not the fault of a row. */
    private static final Pattern OUTAGE = Pattern.compile("(08|53|57|58|40).*|55P03");

    private final Connection connection;
    private final PreparedStatement flag;
    private final PreparedStatement unflagged;

    RowFlags(Connection connection, Outbox outbox) throws SQLException {
        this.connection = connection;
        flag = connection.prepareStatement(OutboxStatements.flag(outbox));
        unflagged = connection.prepareStatement(OutboxStatements.unflagged(outbox));
    }

    /**
     * Flags rows as sent, in this transaction. To be called before they are sent: a row that is sent and cannot be flagged
     * would be sent for ever. Constraints and triggers that are deferred to the commit fire here.
     *
     * @return the rows that cannot be flagged although others can, and why
     * @throws UnflaggableException where none of the rows can be flagged
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
            failures.put(ids.get(0), "its flag cannot be set: " + UnavailableException.oneLine(failure.getMessage()));
            return;
        }
        bisect(ids.subList(0, ids.size() / 2), failures);
        bisect(ids.subList(ids.size() / 2, ids.size()), failures);
    }

    /**
     * Flags all of the rows or none.
     *
     * @return why it was none, or null
     * @throws SQLException for a reason that is not a row's
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

    /** The rows that are still there, and unsent: a trigger may also have moved a row elsewhere. */
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
}
