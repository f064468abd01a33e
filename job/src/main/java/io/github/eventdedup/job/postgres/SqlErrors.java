package io.github.eventdedup.job.postgres;

import java.sql.SQLException;
import java.util.Set;
import org.postgresql.util.PSQLException;

/** What a failed statement means for the rows it carried, by SQLSTATE (PostgreSQL manual, appendix A). */
enum SqlErrors {

    /**
     * The row itself is the cause, and would be rejected again: data exception, integrity constraint, WITH CHECK
     * OPTION, program limit (such as a value too large for an index), an error that a trigger raises, a row that a
     * trigger drops.
     */
    ROW,

    /**
     * The server accepts nothing now: shutting down or starting, disk full, no connection left, read-only, password
     * wrong. The rows are not the cause.
     */
    OUTAGE,

    /** The connection is gone. Either the server or the network is at fault, or a row that makes the server crash. */
    CONNECTION_LOST,

    /** The transaction met another one: deadlock, serialization failure. The same again is likely to work. */
    CONFLICT,

    /** The batch takes longer than a limit of the server's allows; a smaller one may not. */
    TIMEOUT,

    /** Anything else. Only other rows show whether the cause is the row or the table. */
    UNKNOWN;

    private static final String DISK_FULL = "53100";
    private static final Set<String> ROW_CLASSES = Set.of("22", "23", "44", "54", "P0");

    /**
     * Invalid binary representation, bad COPY format: in most cases the job and the table no longer agree on the columns,
     * which no row is to blame for.
     */
    private static final Set<String> DISAGREEMENTS = Set.of("22P03", "22P04");

    /** Disk full, too many connections; shutting down, starting, database dropped; read-only transaction. */
    private static final Set<String> OUTAGES = Set.of(DISK_FULL, "53300", "57P03", "57P04", "25006");

    /** Shut down by an administrator, or because another backend has crashed; idle for too long. */
    private static final Set<String> CONNECTIONS_LOST = Set.of("57P01", "57P02", "57P05", "25P03", "25P04");

    /** Statement canceled, lock not available. */
    private static final Set<String> TIMEOUTS = Set.of("57014", "55P03");

    private static final String UNIQUE_VIOLATION = "23505";

    /** What the error means. */
    static SqlErrors of(SQLException e) {
        String state = e.getSQLState() == null ? "" : e.getSQLState();
        String stateClass = state.length() < 2 ? "" : state.substring(0, 2);
        if (e instanceof RowDroppedException) {
            return ROW;
        }
        if (OUTAGES.contains(state) || stateClass.equals("28")) {
            return OUTAGE;
        }
        if (stateClass.equals("08") || CONNECTIONS_LOST.contains(state)) {
            return CONNECTION_LOST;
        }
        if (stateClass.equals("40")) {
            return CONFLICT;
        }
        if (TIMEOUTS.contains(state)) {
            return TIMEOUT;
        }
        return ROW_CLASSES.contains(stateClass) && !DISAGREEMENTS.contains(state) ? ROW : UNKNOWN;
    }

    /** Whether a row is in the table already. */
    static boolean isUniqueViolation(SQLException e) {
        return UNIQUE_VIOLATION.equals(e.getSQLState());
    }

    /** Whether the connection, and the temporary table that was made with it, serve the next batch. */
    static boolean keepsConnection(SQLException e) {
        return switch (of(e)) {
            case ROW, CONFLICT, TIMEOUT -> true;
            case UNKNOWN -> !DISAGREEMENTS.contains(e.getSQLState() == null ? "" : e.getSQLState());
            case OUTAGE, CONNECTION_LOST -> false;
        };
    }

    static boolean isDiskFull(SQLException e) {
        return DISK_FULL.equals(e.getSQLState());
    }

    /** The server's own words, without the details that could repeat the whole row. */
    static String reason(SQLException e) {
        String message = e instanceof PSQLException p && p.getServerErrorMessage() != null
                ? p.getServerErrorMessage().getMessage()
                : e.getMessage();
        return e.getSQLState() == null ? message : message + " (SQLSTATE " + e.getSQLState() + ")";
    }
}
