/** The topic in Kafka: rows as records, the producer, and the rows that the topic already has. */
package io.github.eventdedup.relay.topic;
