package io.github.eventdedup.relay;

import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.InvalidEventException;
import io.github.eventdedup.event.StreamDefinition;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.errors.AuthorizationException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Takes rows from the outbox to the topic, batch by batch. For one thread.
 *
 * <p>Why the order of a partition's rows holds whatever dies: every relay sends from the first row that is not flagged, in
 * the order of the ids, and leaves none out. So a row's first copy comes after the first copies of all before it: they are
 * either in front of it in what the same relay has sent, or were flagged, and so in the topic, before that relay began.
 */
final class Relay implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(Relay.class);

    /** How often to look for new rows where no trigger tells of them, and for the turn of this relay. */
    private static final Duration POLL = Duration.ofMillis(200);

    private static final Duration FIRST_BACKOFF = Duration.ofMillis(200);
    private static final Duration LAST_BACKOFF = Duration.ofSeconds(5);
    private static final Duration REPORT_EVERY = Duration.ofSeconds(10);
    private static final Duration ASK_AGAIN = Duration.ofMinutes(1);
    private static final int MAX_LOGGED_ROWS = 10;

    private final RelaySettings settings;
    private final StreamDefinition stream;
    private final Stop stop;
    private final PrintStream output;

    /** All are made again after a failure; null in between. */
    private OutboxTable table;

    private EventEncoder encoder;

    /** By the types of the destination, as far as they are known. */
    private EventReader reader;

    /** When to ask for the types of the destination again, {@link System#nanoTime}; null where they are known. */
    private Long askAgainNanos;

    private String unknownSaid;

    private SentRows sentRows;

    /** Whether nobody else can have sent rows since the topic was read. */
    private boolean topicRead;

    /** Whether it was said that ids start again, and the rows are sent all the same. */
    private boolean restartSaid;

    private TopicWriter writer;

    /** Rows that Kafka has refused, to be set aside by the batch that comes next. */
    private final Map<Long, String> refused = new LinkedHashMap<>();

    /** How many rows a batch has: fewer where Postgres took too long for more. */
    private int batchRows = OutboxTable.BATCH_ROWS;

    private String trouble;
    private Duration backoff = FIRST_BACKOFF;
    private boolean standingBy;
    private long unreported;
    private long reportedNanos = System.nanoTime();

    private enum Outcome {
        /** Another relay is at work. */
        LOCKED,
        /** There may be more. */
        MORE,
        /** There is nothing left, but for what others have locked. */
        DONE
    }

    /**
     * @param connection taken over
     * @param writer taken over
     */
    Relay(
            RelaySettings settings,
            StreamDefinition stream,
            Connection connection,
            TopicWriter writer,
            Stop stop,
            PrintStream output)
            throws NeighbourException, ConfigurationException {
        this.settings = settings;
        this.stream = stream;
        this.writer = writer;
        this.stop = stop;
        this.output = output;
        open(connection);
    }

    /** Also looks at the table: it may have been altered, or another database restored, since the last time. */
    private void open(Connection connection) throws NeighbourException, ConfigurationException {
        try {
            Destination destination = Destination.of(stream, settings);
            OutboxColumns columns = OutboxPreflight.check(connection, stream, settings.postgresUser(), destination);
            reader = new EventReader(stream, destination.columns());
            note(destination);
            encoder = new EventEncoder(stream, columns);
            if (sentRows == null) {
                sentRows = new SentRows(stream, columns);
            }
            topicRead = false;
            table = new OutboxTable(connection, stream.outbox(), columns);
            if (!settings.once()) {
                table.listen();
            }
        } catch (SQLException e) {
            close(connection);
            throw new NeighbourException("Postgres: " + e.getMessage());
        } catch (ConfigurationException e) {
            close(connection);
            throw e;
        }
    }

    /** The relay does not wait for a destination that is unavailable: its rows can be in Kafka meanwhile. */
    private void note(Destination destination) {
        String unknown = destination.unknown();
        boolean canBeAsked = unknown != null && settings.clickHouse() != null;
        askAgainNanos = canBeAsked ? System.nanoTime() + ASK_AGAIN.toNanos() : null;
        if (canBeAsked && !unknown.equals(unknownSaid)) {
            LOG.warn(
                    "The columns of {} are not compared with those of ClickHouse's {} for now: {}",
                    stream.outbox().table(),
                    stream.table().name(),
                    unknown);
        } else if (unknown != null && !settings.once() && unknownSaid == null) {
            LOG.info(
                    "The columns of {} are not compared with those of ClickHouse's {}: {}",
                    stream.outbox().table(),
                    stream.table().name(),
                    unknown);
        }
        unknownSaid = unknown;
    }

    private static void close(Connection connection) {
        try {
            connection.close();
        } catch (SQLException e) {
            // There is nothing left that could fail to be let go.
        }
    }

    /**
     * Sends what there is, and says each row on the output once it is flagged.
     *
     * @return whether everything was sent; false where it was told to stop before
     * @throws NeighbourException where a neighbour is away; what was not flagged is sent by the next run
     */
    boolean once() throws NeighbourException {
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

    /** Sends rows as they come until it is told to stop; neighbours that go away are waited for. */
    void follow() {
        while (!stop.isRequested()) {
            try {
                Outcome outcome = sendBatch();
                recovered();
                switch (outcome) {
                    case LOCKED -> stop.await(POLL);
                    case MORE -> report();
                    case DONE -> {
                        report();
                        table.awaitNotification(POLL);
                    }
                }
            } catch (NeighbourException e) {
                // Also where Kafka is away: a session that listens and does not read fills the server's queue of
                // notifications.
                closeTable();
                waitAfter(e.getMessage());
            } catch (SQLException e) {
                closeTable();
                waitAfter("Postgres: " + e.getMessage());
            }
        }
        reportedNanos -= REPORT_EVERY.toNanos();
        report();
    }

    private void reopen() throws NeighbourException {
        if (askAgainNanos != null && System.nanoTime() - askAgainNanos > 0) {
            closeTable();
        }
        if (writer == null) {
            writer = TopicWriter.connect(settings.kafkaBootstrapServers(), stream.stream());
        }
        if (table == null) {
            Connection connection = OutboxTable.connect(settings);
            try {
                open(connection);
            } catch (ConfigurationException e) {
                throw new NeighbourException(e.getMessage());
            }
        }
    }

    private Outcome sendBatch() throws NeighbourException {
        reopen();
        try {
            // Before the transaction begins: with Kafka away, none is left open.
            int partitions = writer.partitions();
            if (!table.tryLock()) {
                table.rollback();
                topicRead = false;
                standBy(true);
                return Outcome.LOCKED;
            }
            standBy(false);
            List<OutboxTable.Row> rows = table.select(maxEventBytes(), batchRows);
            Map<Long, String> unsendable = new LinkedHashMap<>();
            List<Message> messages = messages(rows, partitions, unsendable);
            checkIds(messages);
            messages = flag(messages, unsendable);
            ByteArrayOutputStream lines = new ByteArrayOutputStream();
            for (Message message : messages) {
                writer.send(message.id(), message.partition(), message.key(), message.event());
                if (settings.once()) {
                    writeLine(message.event(), lines);
                }
            }
            writer.awaitAcknowledgements(stop);
            table.setAside(unsendable);
            table.commit();
            refused.keySet().removeAll(unsendable.keySet());
            report(unsendable);
            note(messages);
            output.writeBytes(lines.toByteArray());
            unreported += messages.size();
            boolean more = table.moveOn(rows, batchRows);
            batchRows = Math.min(OutboxTable.BATCH_ROWS, batchRows + batchRows / 8 + 1);
            return more ? Outcome.MORE : Outcome.DONE;
        } catch (UnflaggableException e) {
            // Nothing was sent.
            rollback();
            throw new NeighbourException("Postgres: rows of '" + stream.outbox().table() + "' cannot be flagged as"
                    + " sent, so none is sent: correct what keeps column '"
                    + stream.outbox().sent() + "' from being set to TRUE (" + e.getMessage() + ")");
        } catch (NeighbourException e) {
            refused.putAll(writer.refused());
            boolean again = !writer.refused().isEmpty();
            abandonWriter();
            rollback();
            if (again) {
                // The batch goes through without the row that Kafka will never take.
                return Outcome.MORE;
            }
            throw e;
        } catch (SQLException e) {
            // What is under way to Kafka must not be followed by anything: it will be sent again in front of it.
            abandonWriter();
            closeTable();
            if (OutboxTable.isTimeout(e) && batchRows > 1) {
                LOG.info("Postgres took too long for {} rows at once; trying half as many", batchRows);
                batchRows /= 2;
                return Outcome.MORE;
            }
            throw new NeighbourException("Postgres: " + e.getMessage());
        }
    }

    /** A row on its way. */
    private record Message(long id, Integer partition, byte[] key, byte[] event) {}

    /** The events of the rows, but for those that cannot become one. */
    private List<Message> messages(List<OutboxTable.Row> rows, int partitions, Map<Long, String> unsendable) {
        List<Message> messages = new ArrayList<>(rows.size());
        for (OutboxTable.Row row : rows) {
            try {
                messages.add(message(row, partitions));
            } catch (UnsendableRowException e) {
                unsendable.put(row.id(), e.getMessage());
            }
        }
        return messages;
    }

    private Message message(OutboxTable.Row row, int partitions) throws UnsendableRowException {
        String refusal = refused.get(row.id());
        if (refusal != null) {
            throw new UnsendableRowException(refusal);
        }
        checkLength(row.bytes());
        byte[] event = encoder.json(row.texts());
        checkLength(event.length);
        try {
            byte[] key = reader.read(event).fingerprint().bytes();
            return new Message(row.id(), encoder.partition(row.texts(), partitions), key, event);
        } catch (InvalidEventException e) {
            throw new UnsendableRowException("the event would be a dead letter: it " + e.getMessage());
        }
    }

    private void checkLength(long bytes) throws UnsendableRowException {
        if (bytes > maxEventBytes()) {
            throw new UnsendableRowException("the event is too large: at least " + bytes + " bytes, at most "
                    + maxEventBytes() + " are taken"
                    + (maxEventBytes() < EventReader.MAX_EVENT_BYTES ? " by the topic, max.message.bytes" : ""));
        }
    }

    /** What both the topic and the job take. */
    private int maxEventBytes() {
        return Math.min(writer.maxEventBytes(), EventReader.MAX_EVENT_BYTES);
    }

    /** Flags the rows of these messages, and gives the messages whose rows could be flagged. */
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

    /**
     * Looks whether ids start again: rows with ids that the topic has already would be dropped as duplicates. An id below
     * those that were sent does not tell, for it may have been committed late or its flag set back; but ids given out never
     * sink, unless the sequence was restarted or the database restored.
     */
    private void checkIds(List<Message> messages) throws SQLException, NeighbourException {
        if (!sentRows.idsMatter() || messages.isEmpty()) {
            return;
        }
        if (!topicRead) {
            readTopic();
        }
        OptionalLong highest = sentRows.highest();
        if (highest.isEmpty() || messages.get(0).id() > highest.getAsLong()) {
            return;
        }
        OutboxTable.Ids ids = table.ids();
        if (ids.highest() >= highest.getAsLong()) {
            restartSaid = false;
            return;
        }
        String found = "the ids of '" + stream.outbox().table() + "' start again: within the window of the stream row "
                + highest.getAsLong() + " was sent, and the table is not that far";
        if (ids.hasSequence() && !stream.outbox().sendRestartedIds()) {
            rollback();
            throw new NeighbourException(
                    found + "; the job would drop its rows as duplicates, so none is sent. Continue the"
                            + " ids behind " + highest.getAsLong() + ", or make a time part of the fingerprint, or set"
                            + " outbox.restarted-ids to send (docs/limits.md, 'Ids that start again')");
        }
        if (!restartSaid) {
            LOG.warn(
                    "Perhaps {}; the job drops rows whose ids were sent before as duplicates"
                            + " (docs/limits.md, 'Ids that start again')",
                    found);
            restartSaid = true;
        }
    }

    private void readTopic() throws NeighbourException {
        try {
            sentRows.readTopic(settings.kafkaBootstrapServers());
        } catch (AuthorizationException e) {
            LOG.warn(
                    "Topic '{}' may not be read, so ids that start again are only recognised while this relay runs:"
                            + " grant READ on it ({})",
                    stream.stream(),
                    e.getMessage());
        } catch (KafkaException e) {
            throw new NeighbourException("Kafka at " + settings.kafkaBootstrapServers()
                    + " does not let the end of topic '" + stream.stream() + "' be read (" + e.getMessage() + ")");
        }
        topicRead = true;
    }

    /** Remembers what was sent, and says which rows were sent before as another event that looks the same to the job. */
    private void note(List<Message> messages) {
        List<Long> changed = messages.stream()
                .filter(message -> sentRows.wasOther(message.id(), message.key(), message.event()))
                .map(Message::id)
                .toList();
        if (!changed.isEmpty()) {
            LOG.warn(
                    "{} rows of {} were sent before with other values and the same fingerprint; the job drops them as"
                            + " duplicates within the window: {}",
                    changed.size(),
                    stream.outbox().table(),
                    changed.subList(0, Math.min(MAX_LOGGED_ROWS, changed.size())));
        }
        messages.forEach(message -> sentRows.note(message.id(), message.key(), message.event()));
    }

    private void report(Map<Long, String> unsendable) {
        unsendable.entrySet().stream()
                .limit(MAX_LOGGED_ROWS)
                .forEach(row -> LOG.warn(
                        "Set aside: row {} of {} cannot be sent: {}",
                        row.getKey(),
                        stream.outbox().table(),
                        row.getValue()));
        if (unsendable.size() > MAX_LOGGED_ROWS) {
            LOG.warn(
                    "Set aside: {} more rows of {}; outbox_set_aside has the reasons",
                    unsendable.size() - MAX_LOGGED_ROWS,
                    stream.outbox().table());
        }
    }

    /** One line a row: in a document that was stored as it came there may be line ends, between its values. */
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

    private void standBy(boolean now) {
        if (now && !standingBy) {
            LOG.info(
                    "Another relay is sending rows of {}; standing by",
                    stream.outbox().table());
        }
        standingBy = now;
    }

    private void waitAfter(String reason) {
        if (!reason.equals(trouble) && !stop.isRequested()) {
            LOG.warn("Waiting, nothing is lost: {}", reason);
        }
        trouble = reason;
        stop.await(backoff);
        backoff = backoff.multipliedBy(2);
        if (backoff.compareTo(LAST_BACKOFF) > 0) {
            backoff = LAST_BACKOFF;
        }
    }

    private void recovered() {
        if (trouble != null) {
            LOG.info("Going on");
            trouble = null;
        }
        backoff = FIRST_BACKOFF;
    }

    /** Says how many rows were sent, now and then. */
    private void report() {
        long now = System.nanoTime();
        if (unreported > 0 && now - reportedNanos >= REPORT_EVERY.toNanos()) {
            LOG.info("Sent {} rows of {}", unreported, stream.outbox().table());
            unreported = 0;
            reportedNanos = now;
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
