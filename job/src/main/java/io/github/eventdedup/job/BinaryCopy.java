package io.github.eventdedup.job;

import io.github.eventdedup.event.Column;
import java.util.List;

/**
 * Rows for Postgres, in the binary format of COPY.
 *
 * @param columns the columns that fields fill
 */
record BinaryCopy(List<Column> columns) implements RowFormat {

    private static final long serialVersionUID = 1L;

    @Override
    public byte[] encode(List<Object> values) {
        return CopyEncoder.columns(values);
    }
}
