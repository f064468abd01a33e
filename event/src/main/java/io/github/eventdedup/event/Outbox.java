package io.github.eventdedup.event;

import java.io.Serializable;
import java.util.List;

/**
 * The Postgres table whose rows are the events of a stream: an application inserts them, a relay sends them to the raw
 * topic and marks them as sent.
 *
 * @param table the table, {@code name} or {@code schema.name}
 * @param id the column that orders the rows and tells them apart: an integer, the primary key
 * @param sent the boolean column that is true once Kafka has the row; false and NULL are unsent
 * @param partitionBy the column whose rows of equal value go to one partition of the topic, in the order of their ids; null
 *     where the fingerprint decides alone, and no order is kept
 * @param sendRestartedIds whether rows are sent although their ids start again, and the job may drop them as duplicates
 * @param fields the fields of the JSON object, in the order they are written
 */
public record Outbox(
        String table, String id, String sent, String partitionBy, boolean sendRestartedIds, List<Field> fields)
        implements Serializable {

    /** Takes an unmodifiable copy of the fields. */
    public Outbox {
        fields = List.copyOf(fields);
    }

    /**
     * A field of the event.
     *
     * @param name its name in the JSON object
     * @param column the column that it is filled from
     */
    public record Field(String name, String column) implements Serializable {}
}
