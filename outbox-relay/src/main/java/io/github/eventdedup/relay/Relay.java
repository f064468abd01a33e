package io.github.eventdedup.relay;

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

    /** Also where no trigger tells of new rows, or a row that somebody had locked was let go. */
    private static final Duration POLL = Duration.ofSeconds(1);

    private static final Duration LOCK_POLL = Duration.ofMillis(200);
    private static final Duration FIRST_BACKOFF = Duration.ofMillis(200);
    private static final Duration LAST_BACKOFF = Duration.ofSeconds(5);
    private static final Duration REPORT_EVERY = Duration.ofSeconds(10);

    private final RelaySettings settings;
    private final StreamDefinition stream;
    private final OutboxColumns columns;
    private final EventEncoder encoder;
    private final Stop stop;
    private final PrintStream output;

    /** Both are opened again after a failure; null in between. */
    private OutboxTable table;

    private TopicWriter writer;

    /** Rows that Kafka has refused, to be set aside by the batch that comes next. */
    private final Map<Long, String> refused = new LinkedHashMap<>();

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
            OutboxColumns columns,
            Connection connection,
            TopicWriter writer,
            Stop stop,
            PrintStream output)
            throws NeighbourException {
        this.settings = settings;
        this.stream = stream;
        this.columns = columns;
        this.writer = writer;
        this.stop = stop;
        this.output = output;
        encoder = new EventEncoder(stream, columns);
        open(connection);
    }

    private void open(Connection connection) throws NeighbourException {
        try {
            table = new OutboxTable(connection, stream.outbox(), columns);
            if (!settings.once()) {
                table.listen();
            }
        } catch (SQLException e) {
            closeTable();
            throw new NeighbourException("Postgres: " + e.getMessage());
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
                case LOCKED -> stop.await(LOCK_POLL);
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
                reopen();
                Outcome outcome = sendBatch();
                recovered();
                switch (outcome) {
                    case LOCKED -> stop.await(LOCK_POLL);
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
        if (writer == null) {
            writer = TopicWriter.connect(settings.kafkaBootstrapServers(), stream.stream());
        }
        if (table == null) {
            open(OutboxTable.connect(settings));
        }
    }

    private Outcome sendBatch() throws NeighbourException {
        if (writer == null) {
            reopen();
        }
        try {
            // Before the transaction begins: with Kafka away, none is left open.
            int partitions = writer.partitions();
            if (!table.tryLock()) {
                table.rollback();
                standBy(true);
                return Outcome.LOCKED;
            }
            standBy(false);
            List<OutboxTable.Row> rows = table.select(writer.maxEventBytes());
            List<Long> sent = new ArrayList<>(rows.size());
            Map<Long, String> unsendable = new LinkedHashMap<>();
            ByteArrayOutputStream lines = new ByteArrayOutputStream();
            for (OutboxTable.Row row : rows) {
                try {
                    byte[] event = send(row, partitions);
                    sent.add(row.id());
                    if (settings.once()) {
                        writeLine(event, lines);
                    }
                } catch (UnsendableRowException e) {
                    unsendable.put(row.id(), e.getMessage());
                }
            }
            writer.awaitAcknowledgements(stop);
            table.flag(sent);
            table.setAside(unsendable);
            table.commit();
            refused.keySet().removeAll(unsendable.keySet());
            unsendable.forEach((id, reason) -> LOG.warn(
                    "Set aside: row {} of {} cannot be sent: {}",
                    id,
                    stream.outbox().table(),
                    reason));
            output.writeBytes(lines.toByteArray());
            unreported += sent.size();
            return table.moveOn(rows) ? Outcome.MORE : Outcome.DONE;
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
            throw new NeighbourException("Postgres: " + e.getMessage());
        }
    }

    private byte[] send(OutboxTable.Row row, int partitions) throws UnsendableRowException, NeighbourException {
        String refusal = refused.get(row.id());
        if (refusal != null) {
            throw new UnsendableRowException(refusal);
        }
        checkLength(row.bytes());
        byte[] key = encoder.fingerprint(row.texts()).bytes();
        byte[] event = encoder.json(row.texts());
        checkLength(event.length);
        writer.send(row.id(), encoder.partition(row.texts(), partitions), key, event);
        return event;
    }

    private void checkLength(long bytes) throws UnsendableRowException {
        if (bytes > writer.maxEventBytes()) {
            throw new UnsendableRowException("the event is larger than the topic takes, max.message.bytes: at least "
                    + bytes + " bytes, at most " + writer.maxEventBytes() + " are taken");
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
