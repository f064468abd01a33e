package io.github.eventdedup.event;

import java.util.List;

/**
 * A valid event as its stream sees it.
 *
 * @param fingerprint what makes it the same as another
 * @param columns the values of the mapped columns in the order of {@link Table#columns()}; an element is null
 *     where the field is absent or null, otherwise of the class that its {@link ColumnType} names. Unmodifiable.
 */
public record Event(Fingerprint fingerprint, List<Object> columns) {}
