package io.github.eventdedup.relay.outbox;

import io.github.eventdedup.config.Identifiers;
import io.github.eventdedup.event.Outbox;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** The SQL of {@link OutboxTable} and {@link RowFlags}. */
final class OutboxStatements {

    /** No id is lower. */
    static final long MIN_ID = Long.MIN_VALUE;

    static final String LOCK = "SELECT pg_try_advisory_xact_lock(?, ?::regclass::oid::int)";

    static final String PARK =
            "INSERT INTO outbox_set_aside (table_name, row_id, reason) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";

    private OutboxStatements() {}

    /**
     * The next rows of a batch. From the inside out: the unsent rows that no other transaction has locked, in order, which
     * the partial index returns without reading those sent; the size of each, which Postgres knows without fetching it; the
     * size of all before it; and of these as many as a batch holds, without the values of a row that is too long by itself.
     */
    static String select(Outbox outbox, OutboxColumns columns) {
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
                + ") AS locked) AS sized) AS batch WHERE before < " + OutboxTable.BATCH_BYTES + " ORDER BY row_id";
    }

    /** The highest ids. The sequence is that of an identity or serial column, or one that the column's default uses. */
    static String ids(Outbox outbox) {
        String column =
                "(SELECT attrelid, attnum FROM pg_attribute WHERE attrelid = ?::regclass AND attname = ?) AS id";
        return "SELECT (SELECT coalesce(max(" + Identifiers.postgres(outbox.id()) + "), " + MIN_ID + ") FROM "
                + Identifiers.postgresTable(outbox.table()) + "), max(coalesce(pg_sequence_last_value(seqrelid), "
                + MIN_ID + "))"
                + " FROM " + column
                + ", pg_sequence WHERE seqincrement > 0 AND has_sequence_privilege(seqrelid, 'SELECT')"
                + " AND (EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = seqrelid"
                + " AND refclassid = 'pg_class'::regclass AND refobjid = attrelid AND refobjsubid = attnum)"
                + " OR EXISTS (SELECT FROM pg_attrdef JOIN pg_depend ON classid = 'pg_attrdef'::regclass"
                + " AND objid = pg_attrdef.oid WHERE adrelid = attrelid AND adnum = attnum"
                + " AND refclassid = 'pg_class'::regclass AND refobjid = seqrelid))";
    }

    static String flag(Outbox outbox) {
        return "UPDATE " + Identifiers.postgresTable(outbox.table()) + " SET " + Identifiers.postgres(outbox.sent())
                + " = TRUE WHERE " + Identifiers.postgres(outbox.id()) + " = ANY (?)";
    }

    /** Of the given rows those that are not flagged. */
    static String unflagged(Outbox outbox) {
        return "SELECT " + Identifiers.postgres(outbox.id()) + " FROM " + Identifiers.postgresTable(outbox.table())
                + " WHERE " + Identifiers.postgres(outbox.id()) + " = ANY (?) AND "
                + Identifiers.postgres(outbox.sent()) + " IS NOT TRUE";
    }
}
