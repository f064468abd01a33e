package io.github.eventdedup.proof.load;

import java.util.concurrent.atomic.LongAdder;
import org.HdrHistogram.SingleWriterRecorder;

/** What a load has counted and timed so far. The sender writes; any thread may read. */
final class LoadCounters {

    /** Copies handed to a client, first tries only. */
    final LongAdder sent = new LongAdder();
    /** First copies among them. */
    final LongAdder distinct = new LongAdder();

    final LongAdder acknowledged = new LongAdder();
    /** First copies among them. */
    final LongAdder distinctAcknowledged = new LongAdder();

    final LongAdder invalid = new LongAdder();
    final LongAdder unknown = new LongAdder();
    /** Copies that took more than one try. */
    final LongAdder retried = new LongAdder();
    /** Tries that failed: no connection, no answer in time, an answer that says to come again. */
    final LongAdder refused = new LongAdder();
    /** Events that the schedule has left out because too many were overdue. */
    final LongAdder behind = new LongAdder();
    /** Valid copies that were refused for good, and invalid ones that were accepted. */
    final LongAdder wrong = new LongAdder();
    /** Answers in µs, from the time that the event was due. */
    final SingleWriterRecorder latency = new SingleWriterRecorder(3);

    private volatile String firstWrong = "";
    private volatile String lastFailure = "";
    private volatile long begin;
    private volatile long lastAnswer;

    /** Sending begins. */
    void begin(long now) {
        begin = now;
        lastAnswer = now;
    }

    /** When sending began. */
    long begin() {
        return begin;
    }

    /** An answer has decided something. */
    void answered(long now) {
        lastAnswer = now;
    }

    /** When the last answer came that decided something. */
    long lastAnswer() {
        return lastAnswer;
    }

    /** The ingest has answered what it must not answer. */
    void wrong(String what) {
        wrong.increment();
        if (firstWrong.isEmpty()) {
            firstWrong = what;
        }
    }

    /** A valid event that was refused, or an invalid one that was not: what the ingest said first, or empty. */
    String firstWrong() {
        return firstWrong;
    }

    /**
     * A try has failed.
     *
     * @param retriedNow copies for which it was the first one
     */
    void failed(String reason, int retriedNow) {
        lastFailure = reason;
        refused.increment();
        retried.add(retriedNow);
    }

    /** Why a request had to be sent again, the last time; or empty. */
    String lastFailure() {
        return lastFailure;
    }
}
