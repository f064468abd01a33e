package io.github.eventdedup.job.postgres;

import io.github.eventdedup.config.Identifiers;
import io.github.eventdedup.event.Column;
import io.github.eventdedup.event.PostgresTable;
import java.util.ArrayList;
import java.util.List;

/**
 * The statements that store a batch. Where all rows are new, COPY into the table does it. It fails on the first row
 * that is there already; then the rows are copied into a temporary table, with one upsert from there.
 *
 * <p>Names come from the stream definition, which allows lower-case identifiers only; they are quoted nevertheless,
 * because some identifiers are reserved words.
 */
final class UpsertSql {

    private static final String STAGE = "pg_temp.dedup_stage";

    private final String table;
    private final List<String> columns;
    private final String document;

    UpsertSql(PostgresTable table) {
        this.table = Identifiers.postgresTable(table.name());
        columns = columns(table).stream().map(Identifiers::postgres).toList();
        document = table.document() == null
                ? null
                : Identifiers.postgres(table.document().column());
    }

    /** The columns the job writes, in the order of a row. */
    static List<String> columns(PostgresTable table) {
        List<String> names = new ArrayList<>(List.of("fingerprint", "kafka_partition", "kafka_offset", "received_at"));
        table.columns().stream().map(Column::name).forEach(names::add);
        if (table.document() != null) {
            names.add(table.document().column());
        }
        return names;
    }

    /**
     * Creates the temporary table of a connection. Documents stay uncompressed and in the row there: compressing them
     * for a table that lives for milliseconds would cost more than all the rest.
     */
    List<String> createStage() {
        List<String> statements = new ArrayList<>();
        statements.add(
                "CREATE TEMPORARY TABLE dedup_stage WITH (toast_tuple_target = 8160) ON COMMIT DELETE ROWS AS SELECT "
                        + String.join(", ", columns) + " FROM " + table + " WITH NO DATA");
        if (document != null) {
            statements.add("ALTER TABLE " + STAGE + " ALTER COLUMN " + document + " SET STORAGE EXTERNAL");
        }
        return statements;
    }

    String copyIntoTable() {
        return copyInto(table);
    }

    String copyIntoStage() {
        return copyInto(STAGE);
    }

    private String copyInto(String target) {
        return "COPY " + target + " (" + String.join(", ", columns) + ") FROM STDIN (FORMAT binary)";
    }

    /**
     * Stores what was staged and yields one row: how many are new, and how many escaped. A row that is there already
     * keeps its first event. The same position in the topic again is a replay and changes nothing. Another position that
     * {@code DeduplicationWindow} calls a duplicate is an escape, which is counted in the row; after the window, the event
     * was rightly let through, and so is a dead letter that is sent again.
     *
     * <p>Parameters: the window in milliseconds; the fingerprints of dead letters that are sent again, a bytea[].
     */
    String upsert() {
        String list = String.join(", ", columns);
        return "WITH written AS (INSERT INTO " + table + " AS stored (" + list + ") SELECT " + list + " FROM " + STAGE
                + " ON CONFLICT (fingerprint) DO UPDATE SET escapes = stored.escapes + 1"
                + " WHERE (stored.kafka_partition, stored.kafka_offset) <> (excluded.kafka_partition, excluded.kafka_offset)"
                + " AND excluded.received_at < stored.received_at + ? * interval '1 millisecond'"
                + " AND excluded.fingerprint <> ALL (?)"
                + " RETURNING escapes)"
                + " SELECT count(*) FILTER (WHERE escapes = 0), count(*) FILTER (WHERE escapes > 0) FROM written";
    }

    /** Yields whether a row that was staged is not in the table. By the key for each: the stage has no statistics. */
    String anyMissing() {
        return "SELECT EXISTS (SELECT FROM " + STAGE + " AS staged WHERE (SELECT 1 FROM " + table
                + " AS stored WHERE stored.fingerprint = staged.fingerprint) IS NULL)";
    }
}
