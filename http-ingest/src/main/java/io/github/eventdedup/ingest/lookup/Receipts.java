package io.github.eventdedup.ingest.lookup;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import com.zaxxer.hikari.util.Credentials;
import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.config.Identifiers;
import io.github.eventdedup.event.Fingerprint;
import io.github.eventdedup.event.PostgresTable;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.ingest.lookup.DeadLetters.Letter;
import io.github.eventdedup.ingest.response.ProblemException;
import io.github.eventdedup.ingest.settings.IngestSettings.Postgres;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.HexFormat;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import org.eclipse.jetty.http.HttpStatus;
import org.postgresql.ds.PGSimpleDataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Looks up the row of an event in the table of its stream, by the primary key. Dropped copies of the event are not in
 * the row, and so not in the response; copies that deduplication let through are, as {@code escapes}.
 *
 * <p>Thread-safe. JDBC blocks, so it has its own threads here, as few as connections, with a short queue before them. A
 * caller never waits, and gets a result after {@link #TIMEOUT} at the latest, whatever the database does. The database
 * need not be available: connections are made on demand.
 */
public final class Receipts implements AutoCloseable {

    /** From the question to the answer; what the database has not said by then is 503. */
    static final Duration TIMEOUT = Duration.ofSeconds(2);

    static final int CONNECTIONS = 4;

    /** Lookups that wait for a connection. A lookup takes about a millisecond; more than these mean a fault. */
    static final int WAITING = 64;

    private static final Logger LOG = LoggerFactory.getLogger(Receipts.class);

    /** Shorter than {@link #TIMEOUT}, so that the log has the reason of the driver rather than that time is over. */
    private static final Duration CONNECTION_TIMEOUT = Duration.ofMillis(1500);

    private final Map<String, Lookup> lookups = new TreeMap<>();
    private final HikariDataSource pool;
    private final DeadLetters deadLetters;
    private final ThreadPoolExecutor executor;

    /**
     * How to find the row of an event.
     *
     * @param sql null where the stream's table keeps no fingerprints
     * @param failing whether the last lookup failed; logged when that begins and when it ends
     */
    private record Lookup(String stream, String sql, AtomicBoolean failing) {}

    /**
     * The event is stored.
     *
     * @param receivedAt when Kafka took the copy that is stored
     * @param topic with the partition and the offset, where that copy is in Kafka
     * @param escapes copies that deduplication let through and the table's key caught; 0 unless something is wrong
     */
    record Receipt(Fingerprint fingerprint, Instant receivedAt, String topic, int partition, long offset, int escapes) {

        /** For the client. Nothing in it needs escaping. */
        String json() {
            return "{\"status\":\"stored\",\"fingerprint\":\"" + fingerprint + "\",\"receivedAt\":\"" + receivedAt
                    + "\",\"topic\":\"" + topic + "\",\"partition\":" + partition + ",\"offset\":" + offset
                    + ",\"escapes\":" + escapes + "}";
        }
    }

    private Receipts(Map<String, StreamDefinition> streams, HikariDataSource pool, DeadLetters deadLetters) {
        streams.forEach((name, stream) -> lookups.put(name, new Lookup(name, sqlOrNull(stream), new AtomicBoolean())));
        this.pool = pool;
        this.deadLetters = deadLetters;
        executor = new ThreadPoolExecutor(
                CONNECTIONS, CONNECTIONS, 1, TimeUnit.MINUTES, new ArrayBlockingQueue<>(WAITING), task -> {
                    Thread thread = new Thread(task, "receipts");
                    thread.setDaemon(true);
                    return thread;
                });
        executor.allowCoreThreadTimeOut(true);
    }

    /**
     * Gets ready, without asking the database anything yet.
     *
     * @param streams by name
     * @param postgres the database, or null where there is none and so no receipts
     * @param deadLetters where events are looked for that are not stored
     * @throws ConfigurationException where the database's URL cannot be used
     */
    public static Receipts connect(Map<String, StreamDefinition> streams, Postgres postgres, DeadLetters deadLetters)
            throws ConfigurationException {
        return new Receipts(streams, postgres == null ? null : pool(postgres), deadLetters);
    }

    private static HikariDataSource pool(Postgres postgres) throws ConfigurationException {
        PGSimpleDataSource server = new PGSimpleDataSource();
        try {
            server.setUrl(postgres.url());
        } catch (IllegalArgumentException e) {
            throw new ConfigurationException("DEDUP_POSTGRES_URL is no URL of a Postgres database: " + postgres.url());
        }
        // After the URL, which may have other ideas. Seconds.
        server.setConnectTimeout(1);
        server.setSocketTimeout(2);
        server.setTcpKeepAlive(true);
        server.setApplicationName("http-ingest");

        HikariConfig config = new HikariConfig();
        config.setPoolName("receipts");
        config.setDataSource(server);
        // Asked for each connection that is made, so that a changed password needs no restart.
        config.setCredentialsProvider(() -> Credentials.of(postgres.user(), password(postgres)));
        config.setMaximumPoolSize(CONNECTIONS);
        // Without requests for receipts no connection is held, and while the database is unavailable nothing retries
        // and
        // again to make one.
        config.setMinimumIdle(0);
        config.setInitializationFailTimeout(-1);
        config.setConnectionTimeout(CONNECTION_TIMEOUT.toMillis());
        config.setValidationTimeout(1000);
        // The server gives a statement up before the client gives the connection up. And whatever the role may do, this
        // only reads.
        config.setConnectionInitSql("SET statement_timeout = '1s'; SET default_transaction_read_only = on");
        return new HikariDataSource(config);
    }

    private static String password(Postgres postgres) {
        try {
            return postgres.password().read();
        } catch (IOException e) {
            throw new UncheckedIOException("cannot read the password: " + e, e);
        }
    }

    private static String sqlOrNull(StreamDefinition stream) {
        if (!(stream.table() instanceof PostgresTable table)) {
            return null;
        }
        return "SELECT received_at, kafka_partition, kafka_offset, escapes FROM "
                + Identifiers.postgresTable(table.name()) + " WHERE fingerprint = ?";
    }

    /**
     * Looks for an event.
     *
     * @param stream the stream's name, as the client wrote it
     * @param fingerprint the event's, as the client wrote it
     * @return the answer's JSON, or failed with the {@link ProblemException} to answer: 404 where the event is neither stored (yet)
     *     nor a dead letter, 503 where the database or Kafka does not say so in time. Completed on a thread that must not be held up
     * @throws ProblemException at once: 404 where the stream is not there or has no receipts, 400 where the fingerprint is none, 503
     *     where too many wait already
     */
    public CompletableFuture<String> find(String stream, String fingerprint) {
        Lookup lookup = lookups.get(stream);
        if (lookup == null) {
            throw ProblemException.noSuchStream(stream, lookups.keySet());
        }
        Fingerprint wanted = parse(fingerprint);
        if (lookup.sql() == null || pool == null) {
            return CompletableFuture.completedFuture(deadLetter(lookup, wanted));
        }
        CompletableFuture<String> receipt = new CompletableFuture<>();
        try {
            executor.execute(() -> {
                // Who waited in the queue for too long has been answered.
                if (!receipt.isDone()) {
                    answer(lookup, wanted, receipt);
                }
            });
        } catch (RejectedExecutionException e) {
            throw ProblemException.unavailable("too many receipts are being waited for; try again");
        }
        return receipt.orTimeout(TIMEOUT.toMillis(), TimeUnit.MILLISECONDS).exceptionally(failure -> {
            if (failure instanceof TimeoutException) {
                throw failed(lookup, "no answer within " + TIMEOUT.toMillis() + " ms");
            }
            throw failure instanceof ProblemException problem ? problem : new IllegalStateException(failure);
        });
    }

    /** For an event of which no row was found, or for which none can be looked. */
    private String deadLetter(Lookup lookup, Fingerprint fingerprint) {
        boolean rowsCanBeFound = lookup.sql() != null && pool != null;
        boolean upToDate = deadLetters.isUpToDate(lookup.stream());
        Letter letter = deadLetters.find(lookup.stream(), fingerprint);
        if (letter != null) {
            return letter.json(fingerprint, rowsCanBeFound);
        }
        if (!upToDate) {
            throw ProblemException.unavailable((rowsCanBeFound ? "the event is not stored, and whether" : "whether")
                    + " it is a dead letter is not known: " + lookup.stream()
                    + ".dead-letters cannot be read at the moment, or has not been read to its end; try again");
        }
        String notADeadLetter = "is not among the newest " + DeadLetters.MOST_LETTERS + " dead letters";
        if (lookup.sql() == null) {
            throw new ProblemException(
                    HttpStatus.NOT_FOUND_404,
                    "there are no receipts for the stream '" + lookup.stream() + "': its table keeps no fingerprints;"
                            + " the event " + notADeadLetter);
        }
        if (pool == null) {
            throw new ProblemException(
                    HttpStatus.NOT_FOUND_404,
                    "there are no receipts here: the service was not told of a database, DEDUP_POSTGRES_URL is not set;"
                            + " the event " + notADeadLetter);
        }
        throw new ProblemException(
                HttpStatus.NOT_FOUND_404,
                "the event is not stored, and " + notADeadLetter
                        + ": it was not accepted here, or is still on its way (usually for a second or two); ask again");
    }

    private static Fingerprint parse(String fingerprint) {
        if (fingerprint.length() == 2 * Fingerprint.BYTES) {
            try {
                return Fingerprint.of(HexFormat.of().parseHex(fingerprint));
            } catch (IllegalArgumentException e) {
                // Said below, as for one that is too short.
            }
        }
        throw new ProblemException(
                HttpStatus.BAD_REQUEST_400,
                "the fingerprint is not one; send the " + 2 * Fingerprint.BYTES
                        + " hexadecimal digits that the event was answered with");
    }

    private void answer(Lookup lookup, Fingerprint fingerprint, CompletableFuture<String> receipt) {
        try {
            Receipt found = select(lookup, fingerprint);
            if (lookup.failing().compareAndSet(true, false)) {
                LOG.info("Receipts for {} are available again", lookup.stream());
            }
            receipt.complete(found != null ? found.json() : deadLetter(lookup, fingerprint));
        } catch (SQLException e) {
            // The pool's own message is only that it waited in vain.
            Throwable reason = e.getCause() == null ? e : e.getCause();
            receipt.completeExceptionally(failed(lookup, reason.getMessage()));
        } catch (RuntimeException e) {
            receipt.completeExceptionally(e);
        }
    }

    private Receipt select(Lookup lookup, Fingerprint fingerprint) throws SQLException {
        try (Connection connection = pool.getConnection();
                PreparedStatement statement = connection.prepareStatement(lookup.sql())) {
            statement.setBytes(1, fingerprint.bytes());
            try (ResultSet row = statement.executeQuery()) {
                return row.next()
                        ? new Receipt(
                                fingerprint,
                                row.getObject(1, OffsetDateTime.class).toInstant(),
                                lookup.stream(),
                                row.getInt(2),
                                row.getLong(3),
                                row.getInt(4))
                        : null;
            }
        }
    }

    private static ProblemException failed(Lookup lookup, String reason) {
        if (lookup.failing().compareAndSet(false, true)) {
            LOG.warn("No receipts for {}, Postgres unavailable, retrying: {}", lookup.stream(), reason);
        }
        return ProblemException.unavailable(
                "the database cannot be asked at the moment; events are taken all the same; try again");
    }

    /** Lets go of the connections. What is still being looked for is not found any more. */
    @Override
    public void close() {
        executor.shutdownNow();
        if (pool != null) {
            pool.close();
        }
    }
}
