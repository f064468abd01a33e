package io.github.eventdedup.ingest.benchmark;

import io.github.eventdedup.ingest.testing.RawClient;
import io.github.eventdedup.ingest.testing.RawClient.Answer;
import io.github.eventdedup.ingest.testing.TestEvents;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;

/** A few clients that post events without a pause, each over one connection, until they are told that it closes. */
public final class Load implements AutoCloseable {

    /** What became of one event; the answer is null where the connection ended without one. */
    public record Outcome(String id, Answer answer) {}

    private final AtomicInteger ids = new AtomicInteger();
    private final Queue<Outcome> outcomes = new ConcurrentLinkedQueue<>();
    private final List<Thread> threads = new ArrayList<>();
    private volatile boolean stopped;

    public Load(int port, int clients) {
        for (int i = 0; i < clients; i++) {
            Thread thread = new Thread(() -> post(port), "load-" + i);
            thread.setDaemon(true);
            threads.add(thread);
            thread.start();
        }
    }

    private void post(int port) {
        try (RawClient client = new RawClient(port)) {
            while (!stopped) {
                String id = "load-" + ids.incrementAndGet();
                client.sendPost(TestEvents.PATH, TestEvents.event(id, 3000).getBytes(StandardCharsets.UTF_8));
                Answer answer = readOrNull(client);
                outcomes.add(new Outcome(id, answer));
                if (answer == null || answer.closes()) {
                    return;
                }
            }
        } catch (IOException e) {
            // Not connected, or not sent in full: no promise was made about that request.
        }
    }

    private static Answer readOrNull(RawClient client) {
        try {
            return client.read();
        } catch (IOException e) {
            return null;
        }
    }

    public List<Outcome> outcomes() {
        return List.copyOf(outcomes);
    }

    public long count(int status) {
        return outcomes.stream()
                .filter(outcome -> outcome.answer() != null && outcome.answer().status() == status)
                .count();
    }

    /** Waits until every client has the answer to its last event. */
    public void join() {
        try {
            for (Thread thread : threads) {
                thread.join();
            }
        } catch (InterruptedException e) {
            throw new IllegalStateException("the test was interrupted", e);
        }
    }

    @Override
    public void close() {
        stopped = true;
        join();
    }
}
