package io.github.eventdedup.relay.topic;

import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.relay.outbox.OutboxColumns;
import io.github.eventdedup.relay.outbox.OutboxTable;
import io.github.eventdedup.relay.settings.UnavailableException;
import java.sql.SQLException;
import java.util.List;
import java.util.OptionalLong;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.errors.AuthorizationException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Finds ids that start again, as after a restore: the job would drop new rows with ids that the topic already has as
 * duplicates. Not thread-safe.
 */
public final class RestartedIds {

    private static final Logger LOG = LoggerFactory.getLogger(RestartedIds.class);

    private static final int MAX_LOGGED_ROWS = 10;

    private final StreamDefinition stream;
    private final String brokers;
    private final SentRows sentRows;

    /** Whether no other relay can have sent rows since the topic was read. */
    private boolean topicRead;

    /** Whether it was logged that ids start again, and the rows are sent all the same. */
    private boolean restartLogged;

    /** Knows of no row yet; reads the topic of the stream when it has to. */
    public RestartedIds(StreamDefinition stream, OutboxColumns columns, String brokers) {
        this.stream = stream;
        this.brokers = brokers;
        sentRows = new SentRows(stream, columns);
    }

    /** Another relay may have sent rows: the end of the topic is read again before the next check. */
    public void readTopicAgain() {
        topicRead = false;
    }

    /**
     * Checks that these rows, in the order of their ids, do not reuse ids. An id below those that were sent proves nothing:
     * it may have been committed late, or its flag set back. But the highest id given out never sinks, unless the sequence
     * was restarted or the database restored.
     *
     * @throws UnavailableException where ids start again and must not be sent, or the topic cannot be read
     */
    public void check(List<Message> messages, OutboxTable table) throws SQLException, UnavailableException {
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
            restartLogged = false;
            return;
        }
        String found = "the ids of '" + stream.outbox().table() + "' start again: within the window of the stream row "
                + highest.getAsLong() + " was sent, and the table has not reached it";
        if (ids.hasSequence() && !stream.outbox().sendRestartedIds()) {
            throw new UnavailableException(
                    found + "; the job would drop its rows as duplicates, so none is sent. Continue the"
                            + " ids after " + highest.getAsLong() + ", or add a time to the fingerprint, or set"
                            + " outbox.restarted-ids to send (docs/limits.md, 'Ids that start again')");
        }
        if (!restartLogged) {
            LOG.warn(
                    "Perhaps {}; the job drops rows whose ids were sent before as duplicates"
                            + " (docs/limits.md, 'Ids that start again')",
                    found);
            restartLogged = true;
        }
    }

    private void readTopic() throws UnavailableException {
        try {
            sentRows.readTopic(brokers);
        } catch (AuthorizationException e) {
            LOG.warn(
                    "No permission to read topic '{}': ids that start again are recognised only while this relay runs;"
                            + " grant READ on it ({})",
                    stream.stream(),
                    e.getMessage());
        } catch (KafkaException e) {
            throw new UnavailableException("Kafka at " + brokers + ": cannot read the end of topic '" + stream.stream()
                    + "' (" + e.getMessage() + ")");
        }
        topicRead = true;
    }

    /** Remembers rows that were sent, and logs those that were sent before as another event with the same fingerprint. */
    public void addSent(List<Message> messages) {
        List<Long> changed =
                messages.stream().filter(sentRows::wasOther).map(Message::id).toList();
        if (!changed.isEmpty()) {
            LOG.warn(
                    "{} rows of {} were sent before with other values and the same fingerprint; the job drops them as"
                            + " duplicates within the window: {}",
                    changed.size(),
                    stream.outbox().table(),
                    changed.subList(0, Math.min(MAX_LOGGED_ROWS, changed.size())));
        }
        messages.forEach(sentRows::add);
    }
}
