package io.github.eventdedup.proof.load;

import io.github.eventdedup.proof.ledger.Ledger;
import io.github.eventdedup.proof.load.LoadPlan.Kind;
import io.github.eventdedup.proof.load.Schedule.Batch;
import java.util.concurrent.TimeUnit;

/**
 * Notes what becomes of each copy: in the ledger, in the counters, and for those whose rows are looked for in the
 * {@link VisibilityTracker}. Not thread-safe.
 */
final class Fates {

    private static final long NANOS_BETWEEN_PROBES = TimeUnit.MILLISECONDS.toNanos(10);

    private final Copies copies;
    private final LoadCounters counters;
    private final VisibilityTracker probes;
    private final Ledger ledger;
    private long lastProbe;
    private long firstsSinceProbe;

    Fates(Copies copies, LoadCounters counters, VisibilityTracker probes, Ledger ledger) {
        this.copies = copies;
        this.counters = counters;
        this.probes = probes;
        this.ledger = ledger;
    }

    /** Sending begins. */
    void begin(long now) {
        counters.begin(now);
        lastProbe = now - NANOS_BETWEEN_PROBES;
    }

    /** The copies are handed to a client. */
    void started(Batch batch) {
        counters.sent.add(batch.size);
        for (int i = 0; i < batch.size; i++) {
            if (copies.kind(batch.copies[i]) == Kind.FIRST) {
                counters.distinct.increment();
                firstsSinceProbe++;
                if (batch.probe == null && batch.due - lastProbe >= NANOS_BETWEEN_PROBES) {
                    lastProbe = batch.due;
                    batch.probeCopy = batch.copies[i];
                    batch.probe = copies.fingerprint(batch.probeCopy);
                    probes.sent(batch.probe, batch.due, firstsSinceProbe);
                    firstsSinceProbe = 0;
                }
            }
        }
    }

    /** An answer has come that decides something. */
    void answered(long now) {
        counters.answered(now);
    }

    void acknowledged(Batch batch, long copy, HttpAnswer.Result result, long now) {
        counters.acknowledged.increment();
        counters.latency.recordValue((now - batch.due) / 1000);
        Kind kind = copies.kind(copy);
        // What was sent, not what the answer says: an answer about another event must not hide that this one is lost.
        String fingerprint = result.fingerprint();
        if (kind == Kind.INVALID) {
            counters.wrong("what is no event was accepted as " + fingerprint);
        } else {
            fingerprint = copies.fingerprint(copy).toString();
            if (!fingerprint.equals(result.fingerprint())) {
                counters.wrong("event " + fingerprint + " was acknowledged as " + result.fingerprint());
            }
        }
        ledger.acknowledged(fingerprint, result.partition(), result.offset());
        if (kind == Kind.FIRST) {
            counters.distinctAcknowledged.increment();
        }
        if (copy == batch.probeCopy) {
            probes.acknowledged(batch.probe, now);
        }
    }

    /** The ingest has refused a copy for good. */
    void refused(Batch batch, long copy, String error) {
        ledger.invalid();
        counters.invalid.increment();
        if (copies.kind(copy) != Kind.INVALID) {
            counters.wrong("a valid event was refused: " + error);
        }
        if (copy == batch.probeCopy) {
            probes.givenUp(batch.probe);
        }
    }

    /** A try has failed, and the copies that are left will be sent again, or given up. */
    void failed(Batch batch, String reason) {
        counters.failed(reason, batch.tries++ == 0 ? batch.size : 0);
    }

    /** The copies that are left are given up. */
    void unknown(Batch batch) {
        for (int i = 0; i < batch.size; i++) {
            if (copies.kind(batch.copies[i]) == Kind.INVALID) {
                // It has no fingerprint, and was not accepted.
                ledger.invalid();
                counters.invalid.increment();
            } else {
                ledger.unknown(copies.fingerprint(batch.copies[i]).toString());
                counters.unknown.increment();
            }
            if (batch.copies[i] == batch.probeCopy) {
                probes.givenUp(batch.probe);
            }
        }
        batch.size = 0;
    }

    /** Hands the lines of the ledger to the operating system. */
    void flush() {
        ledger.flush();
    }
}
