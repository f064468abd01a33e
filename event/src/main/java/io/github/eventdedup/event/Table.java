package io.github.eventdedup.event;

import java.io.Serializable;
import java.util.List;

/** Where the unique events of a stream are stored. Immutable. */
public sealed interface Table extends Serializable permits PostgresTable, ClickHouseTable {

    /** The table, alone or after its schema (Postgres) or database (ClickHouse) and a dot. */
    String name();

    /** The columns filled from fields, in the order declared. Unmodifiable. */
    List<Column> columns();
}
