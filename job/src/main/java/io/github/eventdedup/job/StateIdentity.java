package io.github.eventdedup.job;

import io.github.eventdedup.event.StreamDefinition;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.runtime.checkpoint.MasterTriggerRestoreHook;

/**
 * What the keys of a job's state mean. Kept in every checkpoint and savepoint: fingerprints over other fields, or of another
 * stream, are other keys, under which no duplicate of before would be found. The JobManager refuses such state when it
 * restores, however it is restored.
 *
 * @param stream the stream's name
 * @param fingerprint the fields that a fingerprint is made of, in order
 */
record StateIdentity(String stream, List<String> fingerprint) implements Serializable {

    private static final long serialVersionUID = 1L;

    static StateIdentity of(StreamDefinition stream) {
        return new StateIdentity(stream.stream(), List.copyOf(stream.fingerprint()));
    }

    /**
     * Checks that state is of use to a job with this identity.
     *
     * @param saved the identity found in it
     * @throws IllegalStateException where it is not; the message says what to do
     */
    void requireSame(StateIdentity saved) {
        if (!stream.equals(saved.stream)) {
            throw new IllegalStateException("This state belongs to stream '" + saved.stream + "', not to '" + stream
                    + "': restore the job with a savepoint or checkpoint of its own.");
        }
        if (!fingerprint.equals(saved.fingerprint)) {
            throw new IllegalStateException("This state of stream '" + stream + "' remembers fingerprints over "
                    + saved.fingerprint + "; the stream definition now says " + fingerprint
                    + ", and no duplicate of before would be recognised. Restore it with the fields it was made with, or"
                    + " begin without it: --fresh.");
        }
    }

    /** Puts the identity into each checkpoint and compares it when one is restored. Runs on the JobManager. */
    record Hook(StateIdentity identity) implements MasterTriggerRestoreHook<StateIdentity> {

        /** Written into every checkpoint and savepoint: it must stay. */
        static final String ID = "state-identity";

        @Override
        public String getIdentifier() {
            return ID;
        }

        @Override
        public CompletableFuture<StateIdentity> triggerCheckpoint(
                long checkpointId, long timestamp, Executor executor) {
            return CompletableFuture.completedFuture(identity);
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

    /** The format in checkpoints and savepoints: count, then strings, as {@link DataOutputStream} writes them. */
    static final class Serializer implements SimpleVersionedSerializer<StateIdentity> {

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
                return new StateIdentity(stream, List.copyOf(fingerprint));
            }
        }
    }
}
