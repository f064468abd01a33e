package io.github.eventdedup.job.model;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.eventdedup.event.Fingerprint;
import io.github.eventdedup.event.FingerprintFunction;
import java.util.List;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataOutputSerializer;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.header.internals.RecordHeaders;
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

        assertThat(read(written(event))).usingRecursiveComparison().isEqualTo(event);
    }

    @Test
    void keyHeadersAndReplaySurviveTheWayToo() throws Exception {
        byte[] headers = HeaderBytes.write(
                new RecordHeaders().add("a", new byte[] {1, 2}).add("без значения", null));
        for (byte[] key : new byte[][] {null, {}, {9}, fingerprint.bytes()}) {
            for (Replay replay :
                    new Replay[] {null, new Replay(1, 2, 3, true, null), new Replay(1, 2, 3, false, "s")}) {
                for (byte[] some : new byte[][] {null, headers}) {
                    SourceRecord source = new SourceRecord(new byte[] {1}, 3, 4, 5, key, some);
                    IdentifiedEvent event = new IdentifiedEvent(fingerprint, source, new byte[] {4}, replay);
                    assertThat(read(written(event))).usingRecursiveComparison().isEqualTo(event);
                }
            }
        }
        assertThat(HeaderBytes.read(headers))
                .containsExactly(new RecordHeader("a", new byte[] {1, 2}), new RecordHeader("без значения", null));
    }

    /** Batches in savepoints hold events as earlier versions wrote them. */
    @Test
    void anEventThatAnEarlierVersionWroteIsRead() throws Exception {
        DataOutputSerializer out = new DataOutputSerializer(64);
        FingerprintSerializer.INSTANCE.serialize(fingerprint, out);
        out.writeInt(3);
        out.writeLong(1L << 40);
        out.writeLong(5);
        out.writeInt(1);
        out.write(new byte[] {4});
        out.writeInt(2);
        out.write(new byte[] {1, 2});

        assertThat(read(out.getCopyOfBuffer()))
                .usingRecursiveComparison()
                .isEqualTo(new IdentifiedEvent(
                        fingerprint, new SourceRecord(new byte[] {1, 2}, 3, 1L << 40, 5), new byte[] {4}));
    }

    private static byte[] written(IdentifiedEvent event) throws Exception {
        DataOutputSerializer out = new DataOutputSerializer(64);
        IdentifiedEventSerializer.INSTANCE.serialize(event, out);
        return out.getCopyOfBuffer();
    }

    private static IdentifiedEvent read(byte[] written) throws Exception {
        return IdentifiedEventSerializer.INSTANCE.deserialize(new DataInputDeserializer(written));
    }
}
