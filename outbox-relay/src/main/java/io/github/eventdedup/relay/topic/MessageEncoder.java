package io.github.eventdedup.relay.topic;

import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.InvalidEventException;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.relay.outbox.Destination;
import io.github.eventdedup.relay.outbox.OutboxColumns;
import io.github.eventdedup.relay.outbox.OutboxTable;
import io.github.eventdedup.relay.outbox.UnsendableRowException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Turns rows into records, and finds those rows that the job would not accept. Not thread-safe. */
public final class MessageEncoder {

    private final EventEncoder events;

    /** By the types of the destination, as far as they are known. */
    private final EventReader reader;

    /** Encodes rows with these columns for a job that writes to this destination. */
    public MessageEncoder(StreamDefinition stream, Destination destination, OutboxColumns columns) {
        events = new EventEncoder(stream, columns);
        reader = new EventReader(stream, destination.columns());
    }

    /** The size of the largest event that both the topic and the job accept. */
    public int maxEventBytes(TopicWriter writer) {
        return Math.min(writer.maxEventBytes(), EventReader.MAX_EVENT_BYTES);
    }

    /**
     * The records of the rows that can be sent.
     *
     * @param maxEventBytes that of {@link #maxEventBytes(TopicWriter)}
     * @param rejected rows that Kafka has rejected, with the reasons
     * @param unsendable gains the other rows, with the reasons
     */
    public List<Message> messages(
            List<OutboxTable.Row> rows,
            int partitions,
            int maxEventBytes,
            Map<Long, String> rejected,
            Map<Long, String> unsendable) {
        List<Message> messages = new ArrayList<>(rows.size());
        for (OutboxTable.Row row : rows) {
            try {
                String rejection = rejected.get(row.id());
                if (rejection != null) {
                    throw new UnsendableRowException(rejection);
                }
                messages.add(message(row, partitions, maxEventBytes));
            } catch (UnsendableRowException e) {
                unsendable.put(row.id(), e.getMessage());
            }
        }
        return messages;
    }

    private Message message(OutboxTable.Row row, int partitions, int maxEventBytes) throws UnsendableRowException {
        checkLength(row.bytes(), maxEventBytes);
        byte[] event = events.json(row.texts());
        checkLength(event.length, maxEventBytes);
        try {
            byte[] key = reader.read(event).fingerprint().bytes();
            return new Message(row.id(), events.partition(row.texts(), partitions), key, event);
        } catch (InvalidEventException e) {
            throw new UnsendableRowException("the event would be a dead letter: it " + e.getMessage());
        }
    }

    private static void checkLength(long bytes, int maxEventBytes) throws UnsendableRowException {
        if (bytes > maxEventBytes) {
            throw new UnsendableRowException("the event is too large: at least " + bytes + " bytes, at most "
                    + maxEventBytes + " are accepted"
                    + (maxEventBytes < EventReader.MAX_EVENT_BYTES ? " by the topic, max.message.bytes" : ""));
        }
    }
}
