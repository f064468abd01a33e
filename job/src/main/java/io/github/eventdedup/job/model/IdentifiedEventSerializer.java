package io.github.eventdedup.job.model;

import io.github.eventdedup.event.Fingerprint;
import java.io.IOException;
import java.util.Arrays;
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

    public static final IdentifiedEventSerializer INSTANCE = new IdentifiedEventSerializer();

    /** The record's key is the fingerprint, as the ingest writes it: it is not written again. */
    private static final int USUAL_KEY = 1;

    private static final int KEY = 1 << 1;
    private static final int HEADERS = 1 << 2;
    private static final int REPLAY = 1 << 3;
    private static final int STATE_ID = 1 << 4;

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
        byte[] value = event.source().value();
        // A length is never negative: its complement says that more follows than an earlier version wrote.
        target.writeInt(~value.length);
        target.write(value);
        writeRest(event, target);
    }

    private static void writeRest(IdentifiedEvent event, DataOutputView target) throws IOException {
        byte[] key = event.source().key();
        byte[] headers = event.source().headers();
        Replay replay = event.replay();
        boolean usualKey = key != null && Arrays.equals(key, event.fingerprint().bytes());
        target.writeByte((usualKey ? USUAL_KEY : key != null ? KEY : 0)
                | (headers != null ? HEADERS : 0)
                | (replay != null ? REPLAY : 0)
                | (replay != null && replay.stateId() != null ? STATE_ID : 0));
        if (key != null && !usualKey) {
            writeBytes(key, target);
        }
        if (headers != null) {
            writeBytes(headers, target);
        }
        if (replay != null) {
            target.writeInt(replay.partition());
            target.writeLong(replay.offset());
            target.writeInt(replay.attempt());
            target.writeBoolean(replay.rejected());
            if (replay.stateId() != null) {
                target.writeUTF(replay.stateId());
            }
        }
    }

    @Override
    public IdentifiedEvent deserialize(DataInputView source) throws IOException {
        Fingerprint fingerprint = FingerprintSerializer.INSTANCE.deserialize(source);
        int partition = source.readInt();
        long offset = source.readLong();
        long timestamp = source.readLong();
        byte[] columns = readBytes(source);
        int length = source.readInt();
        byte[] value = new byte[length < 0 ? ~length : length];
        source.readFully(value);
        int rest = length < 0 ? source.readUnsignedByte() : 0;
        byte[] key = (rest & USUAL_KEY) != 0 ? fingerprint.bytes() : (rest & KEY) != 0 ? readBytes(source) : null;
        byte[] headers = (rest & HEADERS) != 0 ? readBytes(source) : null;
        Replay replay = (rest & REPLAY) == 0
                ? null
                : new Replay(
                        source.readInt(),
                        source.readLong(),
                        source.readInt(),
                        source.readBoolean(),
                        (rest & STATE_ID) != 0 ? source.readUTF() : null);
        return new IdentifiedEvent(
                fingerprint, new SourceRecord(value, partition, offset, timestamp, key, headers), columns, replay);
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
     * format is kept all the same, in the batches of {@code ClickHouseBatch}: what an earlier version wrote must stay readable.
     */
    public static final class Snapshot extends SimpleTypeSerializerSnapshot<IdentifiedEvent> {
        /** For Flink. */
        public Snapshot() {
            super(() -> INSTANCE);
        }
    }
}
