package io.github.eventdedup.proof.audit.tables;

import io.github.eventdedup.event.Column;
import io.github.eventdedup.event.InvalidEventException;
import io.github.eventdedup.proof.audit.records.BucketedRecords;
import io.github.eventdedup.proof.audit.records.RecordLayout;
import io.github.eventdedup.proof.audit.records.RowDigest;
import io.github.eventdedup.proof.audit.records.StreamReport;
import io.github.eventdedup.proof.system.Progress;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;

/** The table that a stream is stored in: what an event must have become there, and what is there. Not thread-safe. */
public sealed interface Rows permits PostgresRows, ClickHouseRows {

    /** The columns that fields fill, with the types that events are read by. */
    List<Column> columns();

    /**
     * Appends what the row of an event must be: two digests of {@link RowDigest#BYTES} and a tag for each column.
     *
     * @param values of the columns
     * @param event as it was sent
     * @throws InvalidEventException where no row of the table can hold the values
     */
    void putExpected(List<Object> values, byte[] event, ByteBuffer target) throws InvalidEventException;

    /** Reads the whole table into buckets in the directory, in the form of {@link RecordLayout}. */
    BucketedRecords read(Path directory, StreamReport report, Progress progress);
}
