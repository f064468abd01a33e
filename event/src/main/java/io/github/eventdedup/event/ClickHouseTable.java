package io.github.eventdedup.event;

import java.util.List;

/**
 * The ClickHouse table that the unique events of a stream are stored in.
 *
 * @param name the table, {@code name} or {@code database.name}
 * @param columns the columns filled from fields, in the order declared. A stream definition does not say their types,
 *     for the table does: they are {@link ColumnType#TEXT}, which accepts any column's values, until the writer of the
 *     table has asked it.
 */
public record ClickHouseTable(String name, List<Column> columns) implements Table {

    /** Takes an unmodifiable copy of the columns. */
    public ClickHouseTable {
        columns = List.copyOf(columns);
    }
}
