package io.github.eventdedup.proof.system;

import java.io.IOException;
import java.time.Duration;
import java.util.Optional;

/** Waiting for a system that is being started, stopped or repaired. */
public final class Await {

    private static final Duration POLL = Duration.ofMillis(200);

    private Await() {}

    /** Something that may not be there yet, or that fails for as long as something else is unavailable. */
    public interface Attempt<T> {

        /** Returns what was found; empty where it is not there yet. */
        Optional<T> get() throws IOException, InterruptedException;
    }

    /**
     * Attempts it again and again, until it succeeds.
     *
     * @param failure what is wrong where it does not succeed in time
     * @throws ProofException where it does not, with the reason of the last attempt
     */
    public static <T> T success(Duration patience, String failure, Attempt<T> attempt) throws InterruptedException {
        long deadline = System.nanoTime() + patience.toNanos();
        String reason = "";
        while (System.nanoTime() < deadline) {
            try {
                Optional<T> result = attempt.get();
                if (result.isPresent()) {
                    return result.get();
                }
            } catch (IOException | ProofException e) {
                reason = ": " + e.getMessage();
            }
            poll();
        }
        throw new ProofException(failure + reason);
    }

    /** The pause between two attempts. */
    public static void poll() throws InterruptedException {
        Thread.sleep(POLL.toMillis());
    }
}
