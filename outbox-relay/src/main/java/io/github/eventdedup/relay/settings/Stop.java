package io.github.eventdedup.relay.settings;

import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Whether the relay has been told to stop. Thread-safe. */
public final class Stop {

    /** For how long Kafka may still acknowledge the batch at hand. Not sent again for nothing, and soon enough. */
    private static final Duration GRACE = Duration.ofSeconds(5);

    private final CountDownLatch requested = new CountDownLatch(1);
    private volatile long requestedNanos;

    /** Tells the relay to stop. */
    public void request() {
        if (!isRequested()) {
            requestedNanos = System.nanoTime();
            requested.countDown();
        }
    }

    /** Whether {@link #request} was called. */
    public boolean isRequested() {
        return requested.getCount() == 0;
    }

    /** Whether the batch at hand has had its time to finish. */
    public boolean isOverdue() {
        return isRequested() && System.nanoTime() - requestedNanos > GRACE.toNanos();
    }

    /** Waits this long, or until the relay is told to stop. */
    public void await(Duration duration) {
        try {
            var unused = requested.await(duration.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            request();
        }
    }
}
