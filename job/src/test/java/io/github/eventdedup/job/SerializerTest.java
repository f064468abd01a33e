package io.github.eventdedup.job;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.eventdedup.event.Fingerprint;
import io.github.eventdedup.event.FingerprintFunction;
import java.util.List;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataOutputSerializer;
import org.junit.jupiter.api.Test;

class SerializerTest {

    private final Fingerprint fingerprint = new FingerprintFunction("view-events").apply(List.of("a", "b"));

    @Test
    void aFingerprintIsItsBytesAndNothingElse() throws Exception {
        DataOutputSerializer out = new DataOutputSerializer(64);
        FingerprintSerializer.INSTANCE.serialize(fingerprint, out);

        assertThat(out.getCopyOfBuffer()).isEqualTo(fingerprint.bytes());
        assertThat(FingerprintSerializer.INSTANCE.deserialize(new DataInputDeserializer(out.getCopyOfBuffer())))
                .isEqualTo(fingerprint);
    }

    @Test
    void theSnapshotOfTheKeySerializerIsReadBackAndCompatible() throws Exception {
        DataOutputSerializer out = new DataOutputSerializer(64);
        TypeSerializerSnapshot<Fingerprint> written = FingerprintSerializer.INSTANCE.snapshotConfiguration();
        TypeSerializerSnapshot.writeVersionedSnapshot(out, written);
        TypeSerializerSnapshot<Fingerprint> read = TypeSerializerSnapshot.readVersionedSnapshot(
                new DataInputDeserializer(out.getCopyOfBuffer()), getClass().getClassLoader());

        assertThat(read.restoreSerializer()).isEqualTo(FingerprintSerializer.INSTANCE);
        assertThat(written.resolveSchemaCompatibility(read).isCompatibleAsIs()).isTrue();
    }

    @Test
    void anEventSurvivesTheWayBetweenSubtasks() throws Exception {
        IdentifiedEvent event = new IdentifiedEvent(
                fingerprint, new SourceRecord(new byte[] {1, 2, 3}, 3, 1L << 40, 1_746_057_600_000L), new byte[] {4});
        DataOutputSerializer out = new DataOutputSerializer(64);
        IdentifiedEventSerializer.INSTANCE.serialize(event, out);
        IdentifiedEvent read =
                IdentifiedEventSerializer.INSTANCE.deserialize(new DataInputDeserializer(out.getCopyOfBuffer()));

        assertThat(read).usingRecursiveComparison().isEqualTo(event);
    }
}
