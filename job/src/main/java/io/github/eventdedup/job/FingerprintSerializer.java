package io.github.eventdedup.job;

import io.github.eventdedup.event.Fingerprint;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;

/** A name that savepoints of earlier versions have: what it names is in the package {@code model} today. */
public final class FingerprintSerializer {

    private FingerprintSerializer() {}

    /** Read by Flink, by this name; nothing writes it any more. */
    public static final class Snapshot extends SimpleTypeSerializerSnapshot<Fingerprint> {
        /** For Flink. */
        public Snapshot() {
            super(() -> io.github.eventdedup.job.model.FingerprintSerializer.INSTANCE);
        }
    }
}
