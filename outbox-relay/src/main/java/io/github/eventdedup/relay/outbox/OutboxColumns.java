package io.github.eventdedup.relay.outbox;

import io.github.eventdedup.event.Outbox;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The columns that an event is made of, each once, in the order that they are selected. Immutable. */
public final class OutboxColumns {

    private final List<String> names;
    private final List<Encoding> encodings;

    /** @param types the type of each column of the table; all that the outbox names are there and can be encoded */
    OutboxColumns(Outbox outbox, Map<String, String> types) {
        Map<String, Encoding> columns = new LinkedHashMap<>();
        outbox.fields().forEach(field -> columns.put(field.column(), Encoding.of(types.get(field.column()))));
        if (outbox.partitionBy() != null) {
            // Where no field is made of it, its text is all that is needed, whatever its type.
            columns.putIfAbsent(outbox.partitionBy(), Encoding.STRING);
        }
        names = List.copyOf(columns.keySet());
        encodings = List.copyOf(columns.values());
    }

    int count() {
        return names.size();
    }

    /** The name of a column. */
    public String name(int index) {
        return names.get(index);
    }

    /** How a column is written in JSON. */
    public Encoding encoding(int index) {
        return encodings.get(index);
    }

    /** The position of a column; negative for one that is not selected. */
    public int indexOf(String column) {
        return names.indexOf(column);
    }
}
