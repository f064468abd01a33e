package io.github.eventdedup.relay;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.io.SerializedString;
import io.github.eventdedup.event.Fingerprint;
import io.github.eventdedup.event.FingerprintFunction;
import io.github.eventdedup.event.Outbox;
import io.github.eventdedup.event.StreamDefinition;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.utils.Utils;

/** Makes events of rows. Not thread-safe. */
final class EventEncoder {

    private static final JsonFactory JSON = new JsonFactory();

    private final Outbox outbox;
    private final OutboxColumns columns;
    private final FingerprintFunction fingerprintFunction;
    private final SerializedString[] names;
    private final int[] fields;
    private final List<Integer> fingerprint;
    private final ByteArrayOutputStream buffer = new ByteArrayOutputStream(1024);

    EventEncoder(StreamDefinition stream, OutboxColumns columns) {
        outbox = stream.outbox();
        this.columns = columns;
        fingerprintFunction = new FingerprintFunction(stream.stream());
        names = outbox.fields().stream()
                .map(field -> new SerializedString(field.name()))
                .toArray(SerializedString[]::new);
        fields = outbox.fields().stream()
                .mapToInt(field -> columns.indexOf(field.column()))
                .toArray();
        fingerprint = stream.fingerprint().stream()
                .map(name -> columns.indexOf(outbox.fields().stream()
                        .filter(field -> field.name().equals(name))
                        .findFirst()
                        .orElseThrow()
                        .column()))
                .toList();
    }

    /**
     * The event's fingerprint.
     *
     * @param row the texts of {@link OutboxColumns}, in their order; null for NULL
     */
    Fingerprint fingerprint(byte[][] row) throws UnsendableRowException {
        List<String> texts = new ArrayList<>(fingerprint.size());
        for (int column : fingerprint) {
            if (row[column] == null) {
                throw new UnsendableRowException(
                        "column " + columns.name(column) + " is NULL, and the fingerprint needs it");
            }
            texts.add(new String(row[column], StandardCharsets.UTF_8));
        }
        return fingerprintFunction.apply(texts);
    }

    /** The event, one JSON object. */
    byte[] json(byte[][] row) throws UnsendableRowException {
        buffer.reset();
        try (JsonGenerator json = JSON.createGenerator(buffer)) {
            json.writeStartObject();
            for (int i = 0; i < fields.length; i++) {
                json.writeFieldName(names[i]);
                write(fields[i], row[fields[i]], json);
            }
            json.writeEndObject();
        } catch (IOException e) {
            throw new UncheckedIOException("writing to an array does no I/O", e);
        }
        return buffer.toByteArray();
    }

    private void write(int column, byte[] text, JsonGenerator json) throws IOException, UnsendableRowException {
        if (text == null) {
            json.writeNull();
            return;
        }
        try {
            columns.encoding(column).write(text, json);
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
