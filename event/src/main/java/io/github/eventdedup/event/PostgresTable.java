package io.github.eventdedup.event;

import java.io.Serializable;
import java.util.List;
import java.util.Set;

/**
 * The Postgres table that the unique events of a stream are stored in.
 *
 * @param name the table, {@code name} or {@code schema.name}
 * @param columns the columns filled from fields, in the order declared
 * @param document the column that keeps the whole event, or null where none does
 */
public record PostgresTable(String name, List<Column> columns, Document document) implements Table {

    /** The columns every table has, which the job fills and no field may be mapped to. */
    public static final Set<String> OWN_COLUMNS =
            Set.of("fingerprint", "kafka_partition", "kafka_offset", "received_at", "escapes");

    /** Takes an unmodifiable copy of the columns. */
    public PostgresTable {
        columns = List.copyOf(columns);
    }

    /**
     * The column that keeps the whole event.
     *
     * @param column its name
     * @param type {@code json}, which keeps the bytes as they were sent, or {@code jsonb}
     */
    public record Document(String column, Type type) implements Serializable {

        /** The Postgres type of a document column. */
        public enum Type {
            /** Text that is valid JSON: half the CPU to write. */
            JSON,
            /** Binary JSON: can be indexed, costs more than twice the CPU to write. */
            JSONB
        }
    }
}
