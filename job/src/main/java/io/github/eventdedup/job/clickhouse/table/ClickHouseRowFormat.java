package io.github.eventdedup.job.clickhouse.table;

import io.github.eventdedup.config.Identifiers;
import io.github.eventdedup.event.Column;
import io.github.eventdedup.event.InvalidEventException;
import io.github.eventdedup.job.model.RowFormat;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.stream.Collectors;
import org.apache.flink.core.memory.DataOutputSerializer;

/**
 * Rows for ClickHouse, in its format RowBinaryWithNamesAndTypes: the header names every column and its type, so ClickHouse
 * refuses rows of a table that was altered after they were written, instead of misreading them.
 *
 * @param tableColumns the columns that are filled, as the table has them
 */
public record ClickHouseRowFormat(List<ClickHouseColumnWriter> tableColumns) implements RowFormat {

    private static final long serialVersionUID = 1L;

    @Override
    public List<Column> columns() {
        return tableColumns.stream().map(ClickHouseColumnWriter::column).toList();
    }

    @Override
    public byte[] encode(List<Object> values) throws InvalidEventException {
        try {
            DataOutputSerializer row = new DataOutputSerializer(64);
            for (int i = 0; i < tableColumns.size(); i++) {
                tableColumns.get(i).write(values.get(i), row);
            }
            return row.getCopyOfBuffer();
        } catch (IOException e) {
            throw new UncheckedIOException("writing to memory does no I/O", e);
        }
    }

    /**
     * What stands between INSERT INTO and FORMAT. Into a column with a DEFAULT, NULL is written by a SELECT only: rows on
     * their own have to have the types of the table, and NULL is none of them.
     */
    public String target(String table) {
        if (tableColumns.stream().noneMatch(ClickHouseColumnWriter::hasDefault)) {
            return table;
        }
        String names = tableColumns.stream()
                .map(it -> Identifiers.clickHouse(it.column().name()))
                .collect(Collectors.joining(", "));
        String structure = structure().replace("\\", "\\\\").replace("'", "\\'");
        return table + " (" + names + ") SELECT " + names + " FROM input('" + structure + "')";
    }

    /** The columns with their types, as a table's definition has them. */
    String structure() {
        return tableColumns.stream()
                .map(it -> Identifiers.clickHouse(it.column().name()) + " " + it.type())
                .collect(Collectors.joining(", "));
    }

    /** What stands before the rows of an insert. */
    public byte[] header() {
        try {
            DataOutputSerializer header = new DataOutputSerializer(256);
            ClickHouseColumnWriter.writeVarint(header, tableColumns.size());
            for (ClickHouseColumnWriter it : tableColumns) {
                ClickHouseColumnWriter.writeText(header, it.column().name());
            }
            for (ClickHouseColumnWriter it : tableColumns) {
                ClickHouseColumnWriter.writeText(header, it.type());
            }
            return header.getCopyOfBuffer();
        } catch (IOException e) {
            throw new UncheckedIOException("writing to memory does no I/O", e);
        }
    }
}
