package io.github.eventdedup.job.pipeline;

import io.github.eventdedup.event.StreamDefinition;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.runtime.checkpoint.MasterTriggerRestoreHook;

/**
 * The meaning and the owner of a job's state. Kept in every checkpoint and savepoint. Fingerprints over other fields,
 * or of another stream, are other keys, under which no earlier duplicate would be found; offsets in another topic are
 * those of other records. The JobManager refuses such state when it restores, however it is restored.
 *
 * @param stream the stream's name
 * @param fingerprint the fields that a fingerprint is made of, in order
 * @param stateId of the state's lineage: made when a job starts without state, and kept by every job that continues
 *     from it; null where an earlier version wrote the state
 * @param kafkaClusterId the Kafka cluster that the raw topic is in; null where it is unknown
 * @param topicId that Kafka gave the raw topic when it was created; null where it is unknown
 * @param tableId that ClickHouse gave the table when it was created; null where it is unknown, or the table is not
 *     there
 * @param sourceUid the uid of the source operator, which names its offsets within the state
 * @param takenAt when the checkpoint that holds this was triggered, in milliseconds of the JobManager's clock; 0
 *     outside of one, and where it is unknown
 */
public record StateIdentity(
        String stream,
        List<String> fingerprint,
        String stateId,
        String kafkaClusterId,
        String topicId,
        String tableId,
        String sourceUid,
        long takenAt)
        implements Serializable {

    private static final long serialVersionUID = 1L;

    /** The source's uid until its topic is replaced. Part of every earlier savepoint. */
    public static final String SOURCE_UID = "read";

    /** The identity of a job that starts without state, of which nothing else is known. */
    public static StateIdentity of(StreamDefinition stream) {
        return of(stream.stream(), List.copyOf(stream.fingerprint()));
    }

    /** The identity of a job that starts without state, of which nothing else is known. */
    public static StateIdentity of(String stream, List<String> fingerprint) {
        return new StateIdentity(stream, fingerprint, UUID.randomUUID().toString(), null, null, null, SOURCE_UID, 0);
    }

    /** This stream's identity with the lineage, the topic and the table of saved state; a new lineage where it has none. */
    public StateIdentity continuing(StateIdentity saved) {
        return new StateIdentity(
                stream,
                fingerprint,
                saved.stateId == null ? stateId : saved.stateId,
                saved.kafkaClusterId,
                saved.topicId,
                saved.tableId,
                saved.sourceUid,
                0);
    }

    /** The same with another source operator, which has no offsets yet. */
    public StateIdentity withSourceUid(String uid) {
        return new StateIdentity(stream, fingerprint, stateId, kafkaClusterId, topicId, tableId, uid, takenAt);
    }

    /** The same with these ids; null keeps the current one. */
    public StateIdentity attachedTo(String kafkaCluster, String topic, String table) {
        return new StateIdentity(
                stream,
                fingerprint,
                stateId,
                kafkaCluster == null ? kafkaClusterId : kafkaCluster,
                topic == null ? topicId : topic,
                table == null ? tableId : table,
                sourceUid,
                takenAt);
    }

    private StateIdentity takenAt(long millis) {
        return new StateIdentity(stream, fingerprint, stateId, kafkaClusterId, topicId, tableId, sourceUid, millis);
    }

    /**
     * Checks that a job with this identity can use the state.
     *
     * @param saved the identity found in it
     * @throws IllegalStateException where it is not; the message says what to do
     */
    public void requireSame(StateIdentity saved) {
        if (!stream.equals(saved.stream)) {
            throw new IllegalStateException("This state belongs to stream '" + saved.stream + "', not to '" + stream
                    + "': restore the job with a savepoint or checkpoint of its own.");
        }
        if (!fingerprint.equals(saved.fingerprint)) {
            throw new IllegalStateException("This state of stream '" + stream + "' remembers fingerprints over "
                    + saved.fingerprint + "; the stream definition now says " + fingerprint
                    + ", and no earlier duplicate would be recognised. Restore it with the fields it was made with, or"
                    + " begin without it: --fresh.");
        }
        if (sourceUid.equals(saved.sourceUid)
                && topicId != null
                && saved.topicId != null
                && !topicId.equals(saved.topicId)) {
            throw new IllegalStateException(
                    "This state of stream '" + stream + "' holds offsets in the topic with the id " + saved.topicId
                            + ", and the job reads the topic with the id " + topicId + ": submit the job again.");
        }
    }

    /** Puts the identity into each checkpoint and compares it when one is restored. Runs on the JobManager. */
    public record Hook(StateIdentity identity) implements MasterTriggerRestoreHook<StateIdentity> {

        /** Written into every checkpoint and savepoint: it must stay. */
        public static final String ID = "state-identity";

        @Override
        public String getIdentifier() {
            return ID;
        }

        @Override
        public CompletableFuture<StateIdentity> triggerCheckpoint(
                long checkpointId, long timestamp, Executor executor) {
            return CompletableFuture.completedFuture(identity.takenAt(timestamp));
        }

        @Override
        public void restoreCheckpoint(long checkpointId, StateIdentity saved) {
            // Null where the state has none; that is refused when it is submitted, and its operators are not ours.
            if (saved != null) {
                identity.requireSame(saved);
            }
        }

        @Override
        public SimpleVersionedSerializer<StateIdentity> createCheckpointDataSerializer() {
            return new Serializer();
        }
    }

    /**
     * The format in checkpoints and savepoints, as {@link DataOutputStream} writes it: stream, count of fields, fields;
     * then fields that the first release did not have. That release ignores them, so a job can be rolled back to it:
     * new fields are appended, and the version stays.
     */
    public static final class Serializer implements SimpleVersionedSerializer<StateIdentity> {

        private static final int VERSION = 1;

        @Override
        public int getVersion() {
            return VERSION;
        }

        @Override
        public byte[] serialize(StateIdentity identity) throws IOException {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            try (DataOutputStream out = new DataOutputStream(bytes)) {
                out.writeUTF(identity.stream);
                out.writeInt(identity.fingerprint.size());
                for (String field : identity.fingerprint) {
                    out.writeUTF(field);
                }
                writeNullable(out, identity.stateId);
                writeNullable(out, identity.kafkaClusterId);
                writeNullable(out, identity.topicId);
                writeNullable(out, identity.tableId);
                out.writeUTF(identity.sourceUid);
                out.writeLong(identity.takenAt);
            }
            return bytes.toByteArray();
        }

        @Override
        public StateIdentity deserialize(int version, byte[] serialized) throws IOException {
            if (version != VERSION) {
                throw new IOException("state identity of version " + version + ", from a newer job than this");
            }
            try (DataInputStream in = new DataInputStream(new ByteArrayInputStream(serialized))) {
                String stream = in.readUTF();
                int size = in.readInt();
                List<String> fingerprint = new ArrayList<>();
                for (int i = 0; i < size; i++) {
                    fingerprint.add(in.readUTF());
                }
                if (in.available() == 0) {
                    return new StateIdentity(stream, List.copyOf(fingerprint), null, null, null, null, SOURCE_UID, 0);
                }
                return new StateIdentity(
                        stream,
                        List.copyOf(fingerprint),
                        readNullable(in),
                        readNullable(in),
                        readNullable(in),
                        readNullable(in),
                        in.readUTF(),
                        in.readLong());
            }
        }

        /** None of these texts is ever empty. */
        private static void writeNullable(DataOutputStream out, String text) throws IOException {
            out.writeUTF(text == null ? "" : text);
        }

        private static String readNullable(DataInputStream in) throws IOException {
            String text = in.readUTF();
            return text.isEmpty() ? null : text;
        }
    }
}
