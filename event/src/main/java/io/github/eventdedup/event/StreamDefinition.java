package io.github.eventdedup.event;

import java.io.IOException;
import java.io.Serializable;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

/**
 * One stream: what makes two of its events the same, for how long, where they come from and where the unique ones go.
 * Immutable.
 *
 * @param stream the stream's name, also that of its Kafka topic
 * @param fingerprint the fields that make two events the same, in the order they are hashed
 * @param window for how long after the first sight an equal event is a duplicate
 * @param ttlSlack how much longer than the window state is kept, so that an outage of the job up to this long does not
 *     expire what it still needs
 * @param outbox the table that the relay takes events from, or null where they come from elsewhere alone
 * @param table where unique events are stored
 * @param allowsShortRetention whether Kafka may delete records of the topic earlier than the window and the slack
 */
public record StreamDefinition(
        String stream,
        List<String> fingerprint,
        Duration window,
        Duration ttlSlack,
        Outbox outbox,
        Table table,
        boolean allowsShortRetention)
        implements Serializable {

    /** One whose topic keeps records as long as the job's memory reaches. */
    public StreamDefinition(
            String stream, List<String> fingerprint, Duration window, Duration ttlSlack, Outbox outbox, Table table) {
        this(stream, fingerprint, window, ttlSlack, outbox, table, false);
    }

    /** Takes an unmodifiable copy of the fingerprint fields. */
    public StreamDefinition {
        fingerprint = List.copyOf(fingerprint);
    }

    /**
     * Reads a stream definition from a YAML file.
     *
     * @throws InvalidStreamDefinitionException where it is not one, with every error at once
     * @throws IOException where the file cannot be read
     */
    public static StreamDefinition read(Path file) throws IOException, InvalidStreamDefinitionException {
        String yaml;
        try {
            yaml = Files.readString(file);
        } catch (CharacterCodingException e) {
            throw new InvalidStreamDefinitionException(file, List.of("the file: is not UTF-8"));
        }
        return new StreamDefinitionParser(file).parse(yaml);
    }

    /** The Kafka topic that holds the duplicates that were dropped. */
    public String duplicatesTopic() {
        return stream + ".duplicates";
    }

    /** The Kafka topic that holds what could not be read or stored. */
    public String deadLettersTopic() {
        return stream + ".dead-letters";
    }

    /** The Kafka topic that notes which dead letters were replayed or discarded; it exists once one was. */
    public String handledLettersTopic() {
        return deadLettersTopic() + ".handled";
    }

    /** The consumer group under which the job commits how far it has read the stream's topic. */
    public String consumerGroup() {
        return "dedup-" + stream;
    }
}
