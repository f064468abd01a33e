package io.github.eventdedup.job;

import io.github.eventdedup.event.Column;
import io.github.eventdedup.event.InvalidEventException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import org.apache.flink.core.memory.DataOutputSerializer;

/**
 * Rows for ClickHouse, in its format RowBinaryWithNamesAndTypes: the header names every column and its type, so ClickHouse
 * refuses rows of a table that was altered after they were written, instead of misreading them.
 *
 * @param tableColumns the columns that are filled, as the table has them
 */
record RowBinary(List<ClickHouseColumn> tableColumns) implements RowFormat {

    private static final long serialVersionUID = 1L;

    @Override
    public List<Column> columns() {
        return tableColumns.stream().map(ClickHouseColumn::column).toList();
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

    /** What stands before the rows of an insert. */
    byte[] header() {
        try {
            DataOutputSerializer header = new DataOutputSerializer(256);
            ClickHouseColumn.writeVarint(header, tableColumns.size());
            for (ClickHouseColumn it : tableColumns) {
                ClickHouseColumn.writeText(header, it.column().name());
            }
            for (ClickHouseColumn it : tableColumns) {
                ClickHouseColumn.writeText(header, it.type());
            }
            return header.getCopyOfBuffer();
        } catch (IOException e) {
            throw new UncheckedIOException("writing to memory does no I/O", e);
        }
    }
}
