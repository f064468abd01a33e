package io.github.eventdedup.proof.load;

import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.Fingerprint;
import io.github.eventdedup.event.InvalidEventException;
import io.github.eventdedup.proof.load.LoadPlan.Kind;
import io.github.eventdedup.proof.system.ProofException;
import java.util.Arrays;

/** The copies of a {@link LoadPlan} as bytes and fingerprints. Not thread-safe. */
final class Copies {

    private final LoadPlan plan;
    private final ViewEvents events;
    private final EventReader reader;
    private final byte[] scratch;

    Copies(LoadPlan plan, ViewEvents events, EventReader reader) {
        this.plan = plan;
        this.events = events;
        this.reader = reader;
        scratch = new byte[events.longest()];
    }

    Kind kind(long copy) {
        return plan.kind(copy);
    }

    /** The most bytes that a copy can have. */
    int longest() {
        return events.longest();
    }

    /**
     * Writes a copy, as it is sent.
     *
     * @return the index after its last byte
     */
    int write(long copy, byte[] target, int at) {
        return plan.kind(copy) == Kind.INVALID
                ? events.writeInvalid(copy, target, at)
                : events.write(plan.event(copy), target, at);
    }

    /** The fingerprint of a valid copy. */
    Fingerprint fingerprint(long copy) {
        int length = events.write(plan.event(copy), scratch, 0);
        try {
            return reader.read(Arrays.copyOf(scratch, length)).fingerprint();
        } catch (InvalidEventException e) {
            throw new ProofException(
                    "the stream's definition does not fit the events of this load: " + e.getMessage(), e);
        }
    }
}
