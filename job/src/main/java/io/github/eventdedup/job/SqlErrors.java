package io.github.eventdedup.job;

import java.sql.SQLException;
import java.util.Set;

/** What a failed statement means for the rows it carried, by SQLSTATE (PostgreSQL manual, appendix A). */
final class SqlErrors {

    /**
     * The row itself is at fault: data exception, integrity constraint, WITH CHECK OPTION, program limit (a value too
     * large for an index, say), and what a trigger raises.
     */
    private static final Set<String> REFUSAL_CLASSES = Set.of("22", "23", "44", "54", "P0");

    /**
     * The server cannot take it now: connection lost, transaction rolled back by the server, out of disk, memory or
     * connections, lock not available, shutting down or starting, I/O error.
     */
    private static final Set<String> OUTAGE_CLASSES = Set.of("08", "40", "53", "55", "57", "58");

    /** A standby that is not promoted yet takes connections, but no writes. */
    private static final String READ_ONLY = "25006";

    /**
     * Invalid binary representation, bad COPY format: the job and the table no longer agree on the columns, which no row
     * is to blame for.
     */
    private static final Set<String> DISAGREEMENTS = Set.of("22P03", "22P04");

    private static final String UNIQUE_VIOLATION = "23505";

    private SqlErrors() {}

    /** Whether the same row would be refused again, however often it is sent. */
    static boolean isRefusal(SQLException e) {
        return REFUSAL_CLASSES.contains(stateClass(e)) && !DISAGREEMENTS.contains(e.getSQLState());
    }

    /** Whether a row is in the table already. */
    static boolean isUniqueViolation(SQLException e) {
        return UNIQUE_VIOLATION.equals(e.getSQLState());
    }

    /** Whether it is worth waiting and trying again. */
    static boolean isOutage(SQLException e) {
        return OUTAGE_CLASSES.contains(stateClass(e)) || READ_ONLY.equals(e.getSQLState());
    }

    private static String stateClass(SQLException e) {
        return e.getSQLState() == null ? "" : e.getSQLState().substring(0, 2);
    }
}
