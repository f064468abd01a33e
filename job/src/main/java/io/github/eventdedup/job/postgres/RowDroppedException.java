package io.github.eventdedup.job.postgres;

import java.sql.SQLException;

/** Postgres has reported success, and has not stored every row. */
final class RowDroppedException extends SQLException {

    private static final long serialVersionUID = 1L;

    RowDroppedException() {
        super("a trigger or a rule of the table has dropped the row without an error");
    }
}
