/** Kafka: the source that reads the raw topic, the side topics, and the creation of both. */
package io.github.eventdedup.job.kafka;
