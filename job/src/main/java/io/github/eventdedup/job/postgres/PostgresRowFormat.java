package io.github.eventdedup.job.postgres;

import io.github.eventdedup.event.Column;
import io.github.eventdedup.job.model.RowFormat;
import java.util.List;

/**
 * Rows for Postgres, in the binary format of COPY.
 *
 * @param columns the columns that fields fill
 */
public record PostgresRowFormat(List<Column> columns) implements RowFormat {

    private static final long serialVersionUID = 1L;

    @Override
    public byte[] encode(List<Object> values) {
        return CopyBuffer.columns(values);
    }
}
