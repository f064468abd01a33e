package io.github.eventdedup.job;

import io.github.eventdedup.event.Fingerprint;
import java.io.IOException;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/**
 * Writes an event for the way between two subtasks. Flink's own serializer for records would build each one by
 * reflection; every event passes here.
 */
public final class IdentifiedEventSerializer extends ImmutableSerializer<IdentifiedEvent> {

    private static final long serialVersionUID = 1L;

    static final IdentifiedEventSerializer INSTANCE = new IdentifiedEventSerializer();

    @Override
    public IdentifiedEvent createInstance() {
        return new IdentifiedEvent(
                FingerprintSerializer.INSTANCE.createInstance(), new SourceRecord(new byte[0], 0, 0, 0), new byte[0]);
    }

    @Override
    public int getLength() {
        return -1;
    }

    @Override
    public void serialize(IdentifiedEvent event, DataOutputView target) throws IOException {
        FingerprintSerializer.INSTANCE.serialize(event.fingerprint(), target);
        target.writeInt(event.source().partition());
        target.writeLong(event.source().offset());
        target.writeLong(event.source().timestamp());
        writeBytes(event.columns(), target);
        writeBytes(event.source().value(), target);
    }

    @Override
    public IdentifiedEvent deserialize(DataInputView source) throws IOException {
        Fingerprint fingerprint = FingerprintSerializer.INSTANCE.deserialize(source);
        int partition = source.readInt();
        long offset = source.readLong();
        long timestamp = source.readLong();
        byte[] columns = readBytes(source);
        byte[] value = readBytes(source);
        return new IdentifiedEvent(fingerprint, new SourceRecord(value, partition, offset, timestamp), columns);
    }

    private static void writeBytes(byte[] bytes, DataOutputView target) throws IOException {
        target.writeInt(bytes.length);
        target.write(bytes);
    }

    private static byte[] readBytes(DataInputView source) throws IOException {
        byte[] bytes = new byte[source.readInt()];
        source.readFully(bytes);
        return bytes;
    }

    @Override
    public TypeSerializerSnapshot<IdentifiedEvent> snapshotConfiguration() {
        return new Snapshot();
    }

    /**
     * For Flink, which asks for one; with aligned checkpoints (flink-conf/config.yaml) no state of its own holds events. The
     * format is kept all the same, in the batches of {@link ClickHouseBatch}: it must not change.
     */
    public static final class Snapshot extends SimpleTypeSerializerSnapshot<IdentifiedEvent> {
        /** For Flink. */
        public Snapshot() {
            super(() -> INSTANCE);
        }
    }
}
