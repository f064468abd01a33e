package io.github.eventdedup.proof.load;

import io.github.eventdedup.proof.ledger.Ledger;
import io.github.eventdedup.proof.load.Schedule.Batch;
import io.github.eventdedup.proof.system.ProofException;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * Posts the copies of a {@link LoadPlan} over keep-alive connections, all of them driven by one thread:
 *
 * <pre>
 * {@link Schedule}  what is due ──▶ {@link Client}, tries again ──▶ {@link HttpConnection} ──▶ ingest
 *                                   └──▶ {@link Fates}: ledger, counters, rows to look for
 * </pre>
 *
 * To be run once. The counters and {@link #stop} are for any thread.
 */
final class Sender {

    /**
     * How to send.
     *
     * @param rate copies a second on a schedule, or 0 for as many as are taken
     * @param copies how many in all
     * @param nanos for how long
     * @param batch events in a request; a request of one event is no batch
     * @param connections clients, each with one request at a time
     * @param patience of each client
     */
    record Settings(double rate, long copies, long nanos, int batch, int connections, Patience patience) {

        /** With a client's patience. */
        Settings(double rate, long copies, long nanos, int batch, int connections) {
            this(rate, copies, nanos, batch, connections, Patience.DEFAULT);
        }
    }

    /**
     * How long a client waits for what.
     *
     * @param answerNanos how long an answer may take
     * @param giveUpNanos how long to send an event again and again
     * @param longestPauseNanos between two tries
     */
    record Patience(long answerNanos, long giveUpNanos, long longestPauseNanos) {

        static final Patience DEFAULT =
                new Patience(TimeUnit.SECONDS.toNanos(15), TimeUnit.MINUTES.toNanos(5), TimeUnit.SECONDS.toNanos(5));
    }

    private static final long NANOS_BETWEEN_CHECKS = TimeUnit.MILLISECONDS.toNanos(200);
    private static final long NANOS_TO_END = TimeUnit.SECONDS.toNanos(2);

    private final LoadCounters counters = new LoadCounters();
    private final Schedule schedule;
    private final Fates fates;
    private final Selector selector;
    private final List<Client> clients = new ArrayList<>();
    private final Client.Waiting waiting = new Client.Waiting();

    /**
     * @param path where events are posted
     * @param probes learns of the events to look for
     * @param ledger learns of what becomes of each copy
     */
    Sender(
            InetSocketAddress address,
            String path,
            Settings settings,
            Copies copies,
            VisibilityTracker probes,
            Ledger ledger)
            throws IOException {
        schedule = new Schedule(settings, copies, counters);
        fates = new Fates(copies, counters, probes, ledger);
        selector = Selector.open();
        HttpConnection.Target target =
                HttpConnection.Target.of(address, path, "application/" + (settings.batch == 1 ? "json" : "x-ndjson"));
        for (int i = 0; i < settings.connections; i++) {
            clients.add(new Client(settings, target, selector, copies, fates, waiting));
        }
    }

    LoadCounters counters() {
        return counters;
    }

    /** Ends the load early: what has no answer soon is unknown. */
    void stop() {
        schedule.stop();
        selector.wakeup();
    }

    boolean isStopped() {
        return schedule.isStopped();
    }

    /**
     * Sends, and returns once the fate of each copy is in the ledger.
     *
     * @throws ProofException where the ingest refuses requests as such, so that going on is of no use
     */
    void run() throws IOException {
        long begin = System.nanoTime();
        schedule.begin(begin);
        fates.begin(begin);
        long nextCheck = begin;
        long stopAt = Long.MAX_VALUE;
        try {
            while (true) {
                long now = System.nanoTime();
                if (isStopped() && stopAt == Long.MAX_VALUE) {
                    stopAt = now + NANOS_TO_END;
                }
                boolean more = sendDue(now);
                if (!more && waiting.idle().size() == clients.size()) {
                    return;
                }
                if (now >= stopAt) {
                    return;
                }
                if (now >= nextCheck) {
                    nextCheck = now + NANOS_BETWEEN_CHECKS;
                    for (Client client : clients) {
                        client.checkAnswerTime(now);
                    }
                    fates.flush();
                }
                select(now);
            }
        } finally {
            for (Client client : clients) {
                // Also where the load fails: what was sent may be in the topic.
                client.end();
            }
            selector.close();
        }
    }

    /**
     * Sends what is due, as far as clients are free.
     *
     * @return whether there will be more to send
     */
    private boolean sendDue(long now) {
        schedule.skipOverdue(now);
        while (!schedule.isOver(now)) {
            Batch batch = schedule.poll(now, waiting.idle().size(), clients.size());
            if (batch == null) {
                return true;
            }
            waiting.idle().remove().begin(batch);
        }
        return false;
    }

    private void select(long now) throws IOException {
        long until = now + NANOS_BETWEEN_CHECKS;
        for (Client client : waiting.pausing()) {
            until = Math.min(until, client.resumeAt());
        }
        if (!waiting.idle().isEmpty()) {
            until = Math.min(until, schedule.nextDue());
        }
        // An event may be up to a millisecond late, and counts as late: to look more often would take the processor
        // from what is measured.
        selector.select(Math.max(1, (until - now) / 1_000_000));
        for (SelectionKey key : selector.selectedKeys()) {
            ((Client) key.attachment()).proceed(key);
        }
        selector.selectedKeys().clear();
        long after = System.nanoTime();
        for (Client client : List.copyOf(waiting.pausing())) {
            if (client.resumeAt() <= after) {
                client.resume();
            }
        }
    }
}
