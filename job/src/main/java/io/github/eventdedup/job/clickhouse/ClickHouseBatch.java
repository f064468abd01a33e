package io.github.eventdedup.job.clickhouse;

import io.github.eventdedup.job.model.IdentifiedEvent;
import io.github.eventdedup.job.model.IdentifiedEventSerializer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataOutputSerializer;

/**
 * Rows that are inserted together. They are part of a completed checkpoint before they are inserted for the first time,
 * so an insert that is repeated after a failure is the same, byte for byte, under the same token.
 *
 * @param header what stands before the rows in an insert ({@code ClickHouseRowFormat.header})
 * @param events the events, one after the other as {@link IdentifiedEventSerializer} writes them
 * @param reasons empty until the batch is inserted; then the events are those that ClickHouse rejected, and this has
 *     the reason of each
 */
public record ClickHouseBatch(byte[] header, byte[] events, List<String> reasons) {

    /** Rows to be inserted. */
    static ClickHouseBatch of(byte[] header, List<IdentifiedEvent> events) {
        return new ClickHouseBatch(header, bytes(events), List.of());
    }

    /** What is left of this batch once it is inserted. */
    ClickHouseBatch inserted(List<IdentifiedEvent> refused, List<String> reasons) {
        return new ClickHouseBatch(header, bytes(refused), reasons);
    }

    private static byte[] bytes(List<IdentifiedEvent> events) {
        try {
            DataOutputSerializer out = new DataOutputSerializer(256 * (1 + events.size()));
            for (IdentifiedEvent event : events) {
                IdentifiedEventSerializer.INSTANCE.serialize(event, out);
            }
            return out.getCopyOfBuffer();
        } catch (IOException e) {
            throw new UncheckedIOException("writing to memory does no I/O", e);
        }
    }

    /** Every event, in its order. The header describes their rows. */
    List<IdentifiedEvent> read() {
        try {
            List<IdentifiedEvent> read = new ArrayList<>();
            DataInputDeserializer in = new DataInputDeserializer(events);
            while (in.available() > 0) {
                read.add(IdentifiedEventSerializer.INSTANCE.deserialize(in));
            }
            return read;
        } catch (IOException e) {
            throw new UncheckedIOException("reading from memory does no I/O", e);
        }
    }

    /**
     * The token by which ClickHouse recognises the batch when it is inserted again. A digest of all of it, positions in
     * the raw topic included: two batches that differ must never share a token, because ClickHouse would silently drop
     * the second.
     */
    String token() {
        try {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            digest.update(header);
            digest.update(events);
            return HexFormat.of().formatHex(digest.digest());
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }

    /** How batches are kept in checkpoints. */
    public static final class Serializer implements SimpleVersionedSerializer<ClickHouseBatch> {

        @Override
        public int getVersion() {
            return 1;
        }

        @Override
        public byte[] serialize(ClickHouseBatch batch) throws IOException {
            DataOutputSerializer out =
                    new DataOutputSerializer(batch.header.length + batch.events.length + 3 * Integer.BYTES);
            out.writeInt(batch.header.length);
            out.write(batch.header);
            out.writeInt(batch.events.length);
            out.write(batch.events);
            out.writeInt(batch.reasons.size());
            for (String reason : batch.reasons) {
                out.writeUTF(reason);
            }
            return out.getCopyOfBuffer();
        }

        @Override
        public ClickHouseBatch deserialize(int version, byte[] serialized) throws IOException {
            if (version != getVersion()) {
                throw new IOException("batches of version " + version + " are of a later release than this one");
            }
            DataInputDeserializer in = new DataInputDeserializer(serialized);
            byte[] header = new byte[in.readInt()];
            in.readFully(header);
            byte[] events = new byte[in.readInt()];
            in.readFully(events);
            List<String> reasons = new ArrayList<>();
            for (int i = in.readInt(); i > 0; i--) {
                reasons.add(in.readUTF());
            }
            return new ClickHouseBatch(header, events, List.copyOf(reasons));
        }
    }
}
