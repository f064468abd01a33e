package io.github.eventdedup.relay;

import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.relay.outbox.Destination;
import io.github.eventdedup.relay.outbox.OutboxColumns;
import io.github.eventdedup.relay.outbox.OutboxConnection;
import io.github.eventdedup.relay.outbox.OutboxPreflight;
import io.github.eventdedup.relay.outbox.OutboxTable;
import io.github.eventdedup.relay.outbox.UnflaggableException;
import io.github.eventdedup.relay.settings.RelaySettings;
import io.github.eventdedup.relay.settings.Stop;
import io.github.eventdedup.relay.settings.UnavailableException;
import io.github.eventdedup.relay.topic.Message;
import io.github.eventdedup.relay.topic.MessageEncoder;
import io.github.eventdedup.relay.topic.RestartedIds;
import io.github.eventdedup.relay.topic.TopicWriter;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Sends rows from the outbox to the topic, batch by batch. For one thread.
 *
 * <p>Why the order of a partition's rows survives any crash: every relay sends from the first unflagged row, in the order
 * of the ids, and leaves none out. So a row's first copy comes after the first copies of all rows before it. Those were
 * either sent by the same relay earlier, or were flagged, and so in the topic, before that relay began.
 */
final class Relay implements AutoCloseable {

    /** How often to poll for new rows where no trigger notifies of them, and for the turn of this relay. */
    private static final Duration POLL = Duration.ofMillis(200);

    private static final Duration FIRST_BACKOFF = Duration.ofMillis(200);
    private static final Duration LAST_BACKOFF = Duration.ofSeconds(5);
    private static final Duration QUERY_TYPES_EVERY = Duration.ofMinutes(1);

    private final RelaySettings settings;
    private final StreamDefinition stream;
    private final Stop stop;
    private final PrintStream output;
    private final RelayLog log;

    /** Both are opened again after a failure; null in between. */
    private OutboxTable table;

    private TopicWriter writer;

    private MessageEncoder encoder;
    private RestartedIds restartedIds;

    /** When to query the types of the destination again, {@link System#nanoTime}; null where they are known. */
    private Long queryTypesNanos;

    /** Rows that Kafka has rejected, to be parked by the next batch. */
    private final Map<Long, String> rejected = new LinkedHashMap<>();

    /** How many rows a batch has: fewer where Postgres took too long for more. */
    private int batchRows = OutboxTable.BATCH_ROWS;

    private Duration backoff = FIRST_BACKOFF;

    private enum Outcome {
        /** Another relay is at work. */
        LOCKED,
        /** There may be more. */
        MORE,
        /** Nothing is left, except for rows that others have locked. */
        DONE
    }

    /**
     * @param connection closed by this relay
     * @param writer closed by this relay
     */
    Relay(
            RelaySettings settings,
            StreamDefinition stream,
            Connection connection,
            TopicWriter writer,
            Stop stop,
            PrintStream output)
            throws UnavailableException, ConfigurationException {
        this.settings = settings;
        this.stream = stream;
        this.writer = writer;
        this.stop = stop;
        this.output = output;
        log = new RelayLog(stream);
        open(connection);
    }

    /** Also checks the table: it may have been altered, or another database restored, since the last time. */
    private void open(Connection connection) throws UnavailableException, ConfigurationException {
        try {
            Destination destination = Destination.of(stream, settings);
            OutboxColumns columns = OutboxPreflight.check(connection, stream, settings.postgresUser(), destination);
            // The relay does not wait for a destination that is unavailable: its rows can be in Kafka meanwhile.
            boolean queried = destination.unknown() != null && settings.clickHouse() != null;
            queryTypesNanos = queried ? System.nanoTime() + QUERY_TYPES_EVERY.toNanos() : null;
            log.unknownTypes(destination.unknown(), queried, settings.once());
            encoder = new MessageEncoder(stream, destination, columns);
            if (restartedIds == null) {
                restartedIds = new RestartedIds(stream, columns, settings.kafkaBootstrapServers());
            }
            restartedIds.readTopicAgain();
            table = new OutboxTable(connection, stream.outbox(), columns);
            if (!settings.once()) {
                table.listen();
            }
        } catch (SQLException e) {
            close(connection);
            throw postgresFailed(e);
        } catch (ConfigurationException e) {
            close(connection);
            throw e;
        }
    }

    private static UnavailableException postgresFailed(SQLException e) {
        return new UnavailableException("Postgres: " + e.getMessage());
    }

    private static void close(Connection connection) {
        try {
            connection.close();
        } catch (SQLException e) {
            // Nothing depends on it: the server rolls back what is not committed.
        }
    }

    /**
     * Sends the rows that are there, and prints each one on the output once it is flagged.
     *
     * @return whether everything was sent; false where it was told to stop before
     * @throws UnavailableException where a dependency is unavailable; what was not flagged is sent by the next run
     */
    boolean once() throws UnavailableException {
        while (!stop.isRequested()) {
            switch (sendBatch()) {
                case LOCKED -> stop.await(POLL);
                case MORE -> {}
                case DONE -> {
                    return true;
                }
            }
        }
        return false;
    }

    /** Sends rows as they come until it is told to stop; waits for dependencies that are unavailable. */
    void follow() {
        while (!stop.isRequested()) {
            try {
                Outcome outcome = sendBatch();
                log.resuming();
                backoff = FIRST_BACKOFF;
                switch (outcome) {
                    case LOCKED -> stop.await(POLL);
                    case MORE -> log.progress();
                    case DONE -> {
                        log.progress();
                        table.awaitNotification(POLL);
                    }
                }
            } catch (UnavailableException e) {
                // Also where Kafka is unavailable: a session that listens and does not read fills the server's queue of
                // notifications.
                closeTable();
                waitAfter(e);
            } catch (SQLException e) {
                closeTable();
                waitAfter(postgresFailed(e));
            }
        }
        log.lastProgress();
    }

    private void waitAfter(UnavailableException e) {
        if (!stop.isRequested()) {
            log.waiting(e.getMessage());
        }
        stop.await(backoff);
        backoff = backoff.multipliedBy(2);
        if (backoff.compareTo(LAST_BACKOFF) > 0) {
            backoff = LAST_BACKOFF;
        }
    }

    private void reopen() throws UnavailableException {
        if (queryTypesNanos != null && System.nanoTime() - queryTypesNanos > 0) {
            closeTable();
        }
        if (writer == null) {
            writer = TopicWriter.connect(settings.kafkaBootstrapServers(), stream.stream());
        }
        if (table == null) {
            Connection connection = OutboxConnection.open(settings);
            try {
                open(connection);
            } catch (ConfigurationException e) {
                throw new UnavailableException(e.getMessage());
            }
        }
    }

    private Outcome sendBatch() throws UnavailableException {
        reopen();
        try {
            // Before the transaction begins: with Kafka unavailable, none is left open.
            int partitions = writer.partitions();
            if (!table.tryLock()) {
                table.rollback();
                restartedIds.readTopicAgain();
                log.standingBy(true);
                return Outcome.LOCKED;
            }
            log.standingBy(false);
            return sendRows(partitions) ? Outcome.MORE : Outcome.DONE;
        } catch (UnflaggableException e) {
            // Nothing was sent.
            rollback();
            throw new UnavailableException(
                    "Postgres: rows of '" + stream.outbox().table() + "' cannot be flagged as"
                            + " sent, so none is sent: correct what keeps column '"
                            + stream.outbox().sent() + "' from being set to TRUE (" + e.getMessage() + ")");
        } catch (UnavailableException e) {
            rejected.putAll(writer.rejected());
            boolean again = !writer.rejected().isEmpty();
            abandonWriter();
            rollback();
            if (again) {
                // The batch goes through without the row that Kafka will never accept.
                return Outcome.MORE;
            }
            throw e;
        } catch (SQLException e) {
            // Nothing may follow what is under way to Kafka: it will be sent again in front of it.
            abandonWriter();
            closeTable();
            if (OutboxTable.isTimeout(e) && batchRows > 1) {
                log.timedOut(batchRows);
                batchRows /= 2;
                return Outcome.MORE;
            }
            throw postgresFailed(e);
        }
    }

    /**
     * One batch, from the locked table to the commit.
     *
     * @return whether there may be more rows
     */
    private boolean sendRows(int partitions) throws SQLException, UnavailableException, UnflaggableException {
        List<OutboxTable.Row> rows = table.select(encoder.maxEventBytes(writer), batchRows);
        Map<Long, String> unsendable = new LinkedHashMap<>();
        List<Message> messages =
                encoder.messages(rows, partitions, encoder.maxEventBytes(writer), rejected, unsendable);
        restartedIds.check(messages, table);
        messages = flag(messages, unsendable);
        ByteArrayOutputStream lines = new ByteArrayOutputStream();
        for (Message message : messages) {
            writer.send(message);
            if (settings.once()) {
                writeLine(message.event(), lines);
            }
        }
        writer.awaitAcknowledgements(stop);
        table.park(unsendable);
        table.commit();
        rejected.keySet().removeAll(unsendable.keySet());
        log.parked(unsendable);
        restartedIds.addSent(messages);
        output.writeBytes(lines.toByteArray());
        log.sent(messages.size());
        boolean more = table.advance(rows, batchRows);
        batchRows = Math.min(OutboxTable.BATCH_ROWS, batchRows + batchRows / 8 + 1);
        return more;
    }

    /** Flags the rows of these messages, and returns the messages whose rows could be flagged. */
    private List<Message> flag(List<Message> messages, Map<Long, String> unsendable)
            throws SQLException, UnflaggableException {
        Map<Long, String> failures =
                table.flag(messages.stream().map(Message::id).toList());
        unsendable.putAll(failures);
        return failures.isEmpty()
                ? messages
                : messages.stream()
                        .filter(message -> !failures.containsKey(message.id()))
                        .toList();
    }

    /** One line a row: a document that is stored as text may hold line ends between its values. */
    private static void writeLine(byte[] event, ByteArrayOutputStream lines) {
        lines.writeBytes("Sent: ".getBytes(StandardCharsets.US_ASCII));
        for (byte b : event) {
            lines.write(b == '\n' || b == '\r' ? ' ' : b);
        }
        lines.write('\n');
    }

    private void abandonWriter() {
        writer.abort();
        writer = null;
    }

    private void rollback() {
        try {
            table.rollback();
        } catch (SQLException e) {
            closeTable();
        }
    }

    private void closeTable() {
        if (table != null) {
            table.close();
            table = null;
        }
    }

    @Override
    public void close() {
        if (writer != null) {
            writer.close();
        }
        closeTable();
    }
}
