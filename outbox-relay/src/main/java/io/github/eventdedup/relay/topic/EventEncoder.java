package io.github.eventdedup.relay.topic;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.io.SerializedString;
import io.github.eventdedup.event.Outbox;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.relay.outbox.Encoding;
import io.github.eventdedup.relay.outbox.OutboxColumns;
import io.github.eventdedup.relay.outbox.UnsendableRowException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import org.apache.kafka.common.utils.Utils;

/** Encodes rows as events. Not thread-safe. */
final class EventEncoder {

    private static final JsonFactory JSON = new JsonFactory();

    private final Outbox outbox;
    private final OutboxColumns columns;
    private final SerializedString[] names;
    private final int[] fields;
    private final Encoding[] encodings;
    private final ByteArrayOutputStream buffer = new ByteArrayOutputStream(1024);

    EventEncoder(StreamDefinition stream, OutboxColumns columns) {
        outbox = stream.outbox();
        this.columns = columns;
        List<Outbox.Field> all = outbox.fields();
        names = all.stream().map(field -> new SerializedString(field.name())).toArray(SerializedString[]::new);
        fields = all.stream().mapToInt(field -> columns.indexOf(field.column())).toArray();
        encodings = new Encoding[fields.length];
        for (int i = 0; i < fields.length; i++) {
            Encoding encoding = columns.encoding(fields[i]);
            encodings[i] = stream.fingerprint().contains(all.get(i).name()) ? encoding.inFingerprint() : encoding;
        }
    }

    /**
     * The event, one JSON object.
     *
     * @param row the texts of {@link OutboxColumns}, in their order; null for NULL
     */
    byte[] json(byte[][] row) throws UnsendableRowException {
        buffer.reset();
        try (JsonGenerator json = JSON.createGenerator(buffer)) {
            json.writeStartObject();
            for (int i = 0; i < fields.length; i++) {
                json.writeFieldName(names[i]);
                write(fields[i], encodings[i], row[fields[i]], json);
            }
            json.writeEndObject();
        } catch (IOException e) {
            throw new UncheckedIOException("writing to an array does no I/O", e);
        }
        return buffer.toByteArray();
    }

    private void write(int column, Encoding encoding, byte[] text, JsonGenerator json)
            throws IOException, UnsendableRowException {
        if (text == null) {
            json.writeNull();
            return;
        }
        try {
            encoding.write(text, json);
        } catch (UnsendableRowException e) {
            throw new UnsendableRowException("column " + columns.name(column) + " " + e.getMessage());
        }
    }

    /**
     * The partition for the row, as Kafka's own partitioner chooses it for a key with these bytes; null where the record's
     * key decides.
     */
    Integer partition(byte[][] row, int partitions) {
        byte[] text = outbox.partitionBy() == null ? null : row[columns.indexOf(outbox.partitionBy())];
        return text == null ? null : (Integer) (Utils.toPositive(Utils.murmur2(text)) % partitions);
    }
}
