package io.github.eventdedup.proof.load;

import io.github.eventdedup.proof.load.Schedule.Batch;
import io.github.eventdedup.proof.system.ProofException;
import java.io.IOException;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.util.ArrayDeque;
import java.util.BitSet;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;

/**
 * A client: idle, connecting, waiting for an answer, or pausing before it tries again. It sends a request again until each
 * of its events was accepted, refused for good, or is too old. Not thread-safe.
 */
final class Client {

    private static final long FIRST_PAUSE_NANOS = TimeUnit.MILLISECONDS.toNanos(50);

    /** The clients that have nothing to do now. */
    record Waiting(Deque<Client> idle, Set<Client> pausing) {

        Waiting() {
            this(new ArrayDeque<>(), new HashSet<>());
        }
    }

    private final Sender.Settings settings;
    private final Copies copies;
    private final Fates fates;
    private final Waiting waiting;
    private final HttpConnection connection;
    private Batch batch;
    private long answerBy = Long.MAX_VALUE;
    private long resumeAt;

    /** @param waiting gets this one, which is idle */
    Client(
            Sender.Settings settings,
            HttpConnection.Target target,
            Selector selector,
            Copies copies,
            Fates fates,
            Waiting waiting) {
        this.settings = settings;
        this.copies = copies;
        this.fates = fates;
        this.waiting = waiting;
        connection = new HttpConnection(target, selector, this, settings.batch() * (copies.longest() + 1));
        waiting.idle.add(this);
    }

    /** Sends a batch, of which the client was free. */
    void begin(Batch toSend) {
        batch = toSend;
        fates.started(batch);
        batch.firstSent = System.nanoTime();
        send();
    }

    private void send() {
        answerBy = System.nanoTime() + settings.patience().answerNanos();
        try {
            connection.send(this::write);
        } catch (IOException e) {
            failed(e.toString());
        }
    }

    private int write(byte[] target, int bodyAt) {
        int at = bodyAt;
        for (int i = 0; i < batch.size; i++) {
            at = copies.write(batch.copies[i], target, at);
            if (settings.batch() > 1) {
                target[at++] = '\n';
            }
        }
        return at;
    }

    /** Does what the selector has found the connection ready for. */
    void proceed(SelectionKey key) {
        if (!key.isValid()) {
            return;
        }
        try {
            if (!connection.proceed(key)) {
                return;
            }
            if (batch == null) {
                throw new IOException("an answer without a request");
            }
            if (connection.answer().isComplete()) {
                answered(connection.answer());
            }
        } catch (IOException e) {
            failed(e.toString());
        }
    }

    private void answered(HttpAnswer answer) throws IOException {
        long now = System.nanoTime();
        answerBy = Long.MAX_VALUE;
        int status = answer.status();
        int pauseSeconds = answer.retryAfterSeconds();
        String failure = "the ingest answers " + status;
        if (status == 202 || status == 207 || status == 400) {
            decide(answer, now);
        } else if (status != 408 && status != 429 && status < 500) {
            throw new ProofException(failure + ": " + answer.text());
        }
        if (answer.closes()) {
            connection.disconnect();
        }
        if (batch.size > 0) {
            tryAgain(failure, pauseSeconds, now);
        } else {
            free();
        }
    }

    /** Takes the events that are accepted or refused for good from the batch. */
    private void decide(HttpAnswer answer, long now) throws IOException {
        int status = answer.status();
        fates.answered(now);
        List<HttpAnswer.Result> results = answer.results();
        if (results.isEmpty() && settings.batch() == 1 && status == 400) {
            fates.refused(batch, batch.copies[0], answer.text());
            batch.size = 0;
            return;
        }
        if (results.size() != batch.size) {
            throw new ProofException("the ingest answers " + status + " with " + results.size() + " results for "
                    + batch.size + " events: " + answer.text());
        }
        int left = 0;
        BitSet decided = new BitSet();
        for (HttpAnswer.Result result : results) {
            if (result.index() < 0 || result.index() >= batch.size || decided.get(result.index())) {
                throw new ProofException("the ingest answers about event " + result.index() + " of " + batch.size
                        + ", or twice: " + answer.text());
            }
            decided.set(result.index());
            long copy = batch.copies[result.index()];
            if (result.fingerprint() != null) {
                fates.acknowledged(batch, copy, result, now);
            } else if (result.retry()) {
                // Results come in the order of the events, so this overwrites only what is decided.
                batch.copies[left++] = copy;
            } else {
                fates.refused(batch, copy, result.error());
            }
        }
        batch.size = left;
    }

    /** The connection is of no more use. */
    private void failed(String reason) {
        connection.disconnect();
        if (batch != null) {
            tryAgain(reason, 0, System.nanoTime());
        }
    }

    private void tryAgain(String reason, int pauseSeconds, long now) {
        answerBy = Long.MAX_VALUE;
        fates.failed(batch, reason);
        if (now - batch.firstSent > settings.patience().giveUpNanos()) {
            fates.unknown(batch);
            free();
            return;
        }
        // At random, or all clients would come back at the same moment.
        long longest =
                Math.min(settings.patience().longestPauseNanos(), FIRST_PAUSE_NANOS << Math.min(batch.tries, 20));
        resumeAt = now
                + Math.max(
                        TimeUnit.SECONDS.toNanos(pauseSeconds),
                        ThreadLocalRandom.current().nextLong(longest));
        waiting.pausing.add(this);
    }

    /** When a client that pauses tries again. */
    long resumeAt() {
        return resumeAt;
    }

    /** Tries again, after the pause. */
    void resume() {
        waiting.pausing.remove(this);
        send();
    }

    private void free() {
        batch = null;
        connection.answer().clear();
        waiting.idle.add(this);
    }

    /** Fails the try whose answer is late. */
    void checkAnswerTime(long now) {
        if (now > answerBy) {
            failed("no answer in "
                    + TimeUnit.NANOSECONDS.toSeconds(settings.patience().answerNanos()) + " s");
        }
    }

    /** What is under way is given up, and the connection closed. */
    void end() {
        if (batch != null) {
            waiting.pausing.remove(this);
            fates.unknown(batch);
            free();
        }
        connection.disconnect();
    }
}
