package io.github.eventdedup.relay.topic;

/**
 * A row as a record of the topic.
 *
 * @param id the row's
 * @param partition null where the key decides
 * @param key the event's fingerprint
 * @param event one JSON object
 */
public record Message(long id, Integer partition, byte[] key, byte[] event) {}
