package io.github.eventdedup.proof.prove;

import io.github.eventdedup.proof.system.Databases;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.NavigableMap;
import java.util.Random;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.AtomicLong;

/**
 * The application whose table {@code user_logins} the relay empties: inserts a few rows several times a second, has some of
 * them sent again now and then, and looks once a second which are in ClickHouse. What it inserts is decided by the seed.
 * While Postgres is unavailable it waits. Ends when it is closed.
 */
final class LoginLoad implements AutoCloseable {

    private static final Duration BETWEEN_INSERTS = Duration.ofMillis(250);
    private static final Duration BETWEEN_SAMPLES = Duration.ofSeconds(1);
    private static final int INSERTS_FOR_ONE_REPEAT = 8;
    private static final int REPEATED_ROWS = 20;

    /** A run may last for days. */
    private static final int REPEATED_AMONG = 10_000;

    private static final String INSERT = "INSERT INTO user_logins (username, event_type, event_time) VALUES"
            + " (?, ?, timestamp '2026-01-01 00:00:00' + ? * interval '1 second') RETURNING id";

    private final Databases databases;
    private final Random random;
    private final Path csv;
    private final List<Integer> ids = new ArrayList<>();

    /** When each row was committed that has not been seen in ClickHouse, by id. */
    private final NavigableMap<Integer, Long> unseen = new ConcurrentSkipListMap<>();

    private final AtomicLong inserted = new AtomicLong();
    private final AtomicLong repeated = new AtomicLong();
    private final List<Thread> threads;
    private volatile boolean stopping;
    private volatile String failure = "";
    private long seen;

    /** @param csv where the samples go, as those of the load */
    LoginLoad(Databases databases, long seed, Path csv) {
        this.databases = databases;
        this.random = new Random(seed);
        this.csv = csv;
        threads = List.of(thread("insert-logins", this::insertAll), thread("sample-logins", this::sampleAll));
    }

    private Thread thread(String name, Runnable task) {
        Thread thread = new Thread(task, name);
        thread.setDaemon(true);
        thread.setUncaughtExceptionHandler((unused, e) -> failure = e.toString());
        return thread;
    }

    void start() {
        threads.forEach(Thread::start);
    }

    /** Rows that Postgres has committed. More can be there: of some it died before it could say so. */
    long inserted() {
        return inserted.get();
    }

    /** Why it ended before it was closed, or empty. */
    String failure() {
        return failure;
    }

    /** Rows that were made unsent again. */
    long repeated() {
        return repeated.get();
    }

    private void insertAll() {
        while (!stopping) {
            try (Connection connection = databases.postgres()) {
                for (int n = 1; !stopping; n++) {
                    insert(connection);
                    if (n % INSERTS_FOR_ONE_REPEAT == 0) {
                        repeat(connection);
                    }
                    pause(BETWEEN_INSERTS);
                }
            } catch (SQLException e) {
                // Postgres is unavailable, or the statement that died with it may be committed or not: on with the
                // next.
                pause(BETWEEN_INSERTS);
            }
        }
    }

    private void insert(Connection connection) throws SQLException {
        int rows = 10 + random.nextInt(41);
        List<Integer> of = new ArrayList<>();
        connection.setAutoCommit(false);
        try (PreparedStatement insert = connection.prepareStatement(INSERT)) {
            for (int i = 0; i < rows; i++) {
                insert.setString(1, "user " + random.nextInt(500) + " \u2713");
                insert.setString(2, random.nextInt(3) == 0 ? "logout" : "login");
                insert.setInt(3, random.nextInt(10_000_000));
                try (ResultSet id = insert.executeQuery()) {
                    id.next();
                    of.add(id.getInt(1));
                }
            }
        }
        connection.commit();
        connection.setAutoCommit(true);
        long now = System.currentTimeMillis();
        ids.addAll(of);
        ids.subList(0, Math.max(0, ids.size() - REPEATED_AMONG)).clear();
        of.forEach(id -> unseen.put(id, now));
        inserted.addAndGet(rows);
    }

    private void repeat(Connection connection) throws SQLException {
        Integer[] some = new Integer[REPEATED_ROWS];
        for (int i = 0; i < some.length; i++) {
            some[i] = ids.get(random.nextInt(ids.size()));
        }
        try (PreparedStatement update =
                connection.prepareStatement("UPDATE user_logins SET sent_to_kafka = FALSE WHERE id = ANY (?)")) {
            update.setArray(1, connection.createArrayOf("integer", some));
            repeated.addAndGet(update.executeUpdate());
        }
    }

    private void sampleAll() {
        try (Writer writer = Files.newBufferedWriter(csv, StandardCharsets.UTF_8)) {
            writer.write("epoch_ms,acknowledged,repeated,rows,lag_ms\n");
            while (!stopping) {
                findStored();
                long now = System.currentTimeMillis();
                var oldest = unseen.firstEntry();
                writer.write("%d,%d,%d,%d,%d%n"
                        .formatted(
                                now,
                                inserted.get(),
                                repeated.get(),
                                seen,
                                oldest == null ? 0 : Math.max(0, now - oldest.getValue())));
                writer.flush();
                pause(BETWEEN_SAMPLES);
            }
        } catch (IOException e) {
            throw new UncheckedIOException("cannot write " + csv, e);
        }
    }

    /** Queries ClickHouse for the rows that have not been seen there. */
    private void findStored() {
        var oldest = unseen.firstEntry();
        if (oldest == null) {
            return;
        }
        String query = "SELECT id FROM user_logins WHERE id >= " + oldest.getKey();
        try {
            seen += databases
                    .clickHouse(query, Duration.ofSeconds(5))
                    .lines()
                    .map(Integer::valueOf)
                    .filter(id -> unseen.remove(id) != null)
                    .count();
        } catch (IOException e) {
            // ClickHouse is unavailable: nothing more is seen.
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static void pause(Duration duration) {
        try {
            Thread.sleep(duration.toMillis());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Returns when nothing is inserted any more. */
    @Override
    public void close() {
        stopping = true;
        try {
            for (Thread thread : threads) {
                thread.join(70_000);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
