package io.github.eventdedup.proof.system;

import java.io.PrintStream;
import java.time.Duration;
import java.time.Instant;
import java.util.function.Supplier;

/** Says every 10 s what is being done, so that a long audit does not look hung. Not thread-safe. */
public final class Progress {

    private static final Duration INTERVAL = Duration.ofSeconds(10);

    private final PrintStream out;
    private Instant next = Instant.now().plusSeconds(2);

    public Progress(PrintStream out) {
        this.out = out;
    }

    /** Says it where it is time to. */
    public void say(Supplier<String> words) {
        Instant now = Instant.now();
        if (now.isAfter(next)) {
            out.println(words.get());
            next = now.plus(INTERVAL);
        }
    }

    /** Says how much of something is done, where it is time to. */
    public void report(String what, long done, long all) {
        say(() -> what + ": " + done + (all > 0 ? " of " + all + ", " + 100 * done / all + " %" : ""));
    }
}
