package io.github.eventdedup.job.model;

import io.github.eventdedup.event.Column;
import io.github.eventdedup.event.InvalidEventException;
import java.io.Serializable;
import java.util.List;

/** The form in which the sink hands rows to its database. Thread-safe. */
public interface RowFormat extends Serializable {

    /** The columns that fields fill, with the types that values are read as. */
    List<Column> columns();

    /**
     * The values of the mapped columns as they stand in a row.
     *
     * @param values one for each of {@link #columns}, of the class that its type names, or null
     * @throws InvalidEventException where a value does not fit the database's column
     */
    byte[] encode(List<Object> values) throws InvalidEventException;
}
