package io.github.eventdedup.event;

import java.io.Serializable;

/**
 * A column that is filled from a field of the event.
 *
 * @param name the column in the table
 * @param field the top-level field of the JSON object
 * @param type what the column holds
 */
public record Column(String name, String field, ColumnType type) implements Serializable {}
