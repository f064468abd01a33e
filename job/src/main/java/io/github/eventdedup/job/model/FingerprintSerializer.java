package io.github.eventdedup.job.model;

import io.github.eventdedup.event.Fingerprint;
import java.io.IOException;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** Writes a fingerprint as its 32 bytes. This is the key of all state, so the format must never change. */
public final class FingerprintSerializer extends ImmutableSerializer<Fingerprint> {

    private static final long serialVersionUID = 1L;

    public static final FingerprintSerializer INSTANCE = new FingerprintSerializer();

    @Override
    public Fingerprint createInstance() {
        return new Fingerprint(0, 0, 0, 0);
    }

    @Override
    public int getLength() {
        return Fingerprint.BYTES;
    }

    @Override
    public void serialize(Fingerprint fingerprint, DataOutputView target) throws IOException {
        target.writeLong(fingerprint.first());
        target.writeLong(fingerprint.second());
        target.writeLong(fingerprint.third());
        target.writeLong(fingerprint.fourth());
    }

    @Override
    public Fingerprint deserialize(DataInputView source) throws IOException {
        return new Fingerprint(source.readLong(), source.readLong(), source.readLong(), source.readLong());
    }

    @Override
    public TypeSerializerSnapshot<Fingerprint> snapshotConfiguration() {
        return new Snapshot();
    }

    /** Written into every checkpoint and savepoint by this name: it must stay where it is. */
    public static final class Snapshot extends SimpleTypeSerializerSnapshot<Fingerprint> {
        /** For Flink, which reads it back from a savepoint. */
        public Snapshot() {
            super(() -> INSTANCE);
        }
    }
}
