package io.github.eventdedup.proof.load;

import io.github.eventdedup.proof.system.CpuTimes;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import org.HdrHistogram.Histogram;

/**
 * Looks at a load while it runs: a line for people on standard error, redrawn on a terminal and a new one every 10 s
 * elsewhere; a line a second for programs. Not thread-safe.
 */
final class LoadProgress {

    private static final long SECOND = TimeUnit.SECONDS.toNanos(1);
    private static final int SECONDS_BETWEEN_LINES = 10;
    private static final int BAR = 20;

    private final Sender.Settings settings;
    private final LoadCounters counters;
    private final VisibilityTracker probes;
    private final RowPoller prober;
    private final CpuTimes cpu;
    private final PrintWriter samples;
    private final boolean terminal = isTerminal();
    private final Histogram ack = new Histogram(3);
    private final long begin = System.nanoTime();

    private Histogram interval;
    private long last = begin;
    private long lastAcknowledged;
    private int seconds;
    private boolean over;

    LoadProgress(
            Sender.Settings settings,
            LoadCounters counters,
            VisibilityTracker probes,
            RowPoller prober,
            CpuTimes cpu,
            PrintWriter samples) {
        this.settings = settings;
        this.counters = counters;
        this.probes = probes;
        this.prober = prober;
        this.cpu = cpu;
        this.samples = samples;
        samples.println("epoch_ms,sent,acknowledged,refused,rows,lag_ms");
    }

    /** From Java 22 on there is a console also where there is no terminal; Linux knows where standard error goes. */
    @SuppressWarnings("SystemConsoleNull")
    private static boolean isTerminal() {
        Path standardError = Path.of("/proc/self/fd/2");
        try {
            return System.console() != null
                    && (!Files.exists(standardError)
                            || standardError.toRealPath().startsWith("/dev"));
        } catch (IOException e) {
            return false;
        }
    }

    /** To be called several times a second; does something once a second. */
    void tick(String what) {
        long now = System.nanoTime();
        if (now - last < SECOND) {
            return;
        }
        cpu.look(prober.backend());
        sample(now);
        long acknowledged = counters.acknowledged.sum();
        double perSecond = (acknowledged - lastAcknowledged) * 1e9 / (now - last);
        lastAcknowledged = acknowledged;
        last = now;
        interval = counters.latency.getIntervalHistogram(interval);
        ack.add(interval);
        seconds++;
        if (terminal || seconds % SECONDS_BETWEEN_LINES == 0) {
            String line = String.format(
                    Locale.ROOT,
                    "[%s] %,8.0f events/s  acknowledged %,d  refused %,d  p50 %.1f ms  p99 %.1f ms  rows %,d  lag %.1f s  %s",
                    bar(now),
                    perSecond,
                    acknowledged,
                    counters.refused.sum(),
                    interval.getValueAtPercentile(50) / 1e3,
                    interval.getValueAtPercentile(99) / 1e3,
                    rows(),
                    probes.lag(now) / 1e9,
                    what);
            // The rest of a longer line before it is wiped out.
            System.err.print(terminal ? "\r" + line + "\033[K" : line + System.lineSeparator());
            System.err.flush();
        }
    }

    private void sample(long now) {
        samples.printf(
                Locale.ROOT,
                "%d,%d,%d,%d,%d,%d%n",
                System.currentTimeMillis(),
                counters.sent.sum(),
                counters.acknowledged.sum(),
                counters.refused.sum(),
                rows(),
                probes.lag(now) / 1_000_000);
        samples.flush();
    }

    private String bar(long now) {
        double done =
                Math.max((double) counters.sent.sum() / settings.copies(), (double) (now - begin) / settings.nanos());
        int filled = (int) (BAR * Math.min(1, done));
        return "#".repeat(filled) + "-".repeat(BAR - filled);
    }

    /** Every copy's fate is known. */
    void sendingIsOver() {
        over = true;
    }

    /** The last look, when all rows are there. */
    void end() {
        cpu.look(prober.backend());
        sample(System.nanoTime());
        ack.add(counters.latency.getIntervalHistogram());
        if (terminal) {
            System.err.println();
        }
    }

    /** Of all answers so far, in µs. */
    Histogram ack() {
        return ack;
    }

    /** Rows of this load, as far as is known. */
    long rows() {
        // Those after the last event that is looked for are known by nothing else.
        return over && probes.outstanding().isEmpty() ? counters.distinctAcknowledged.sum() : probes.rows();
    }
}
