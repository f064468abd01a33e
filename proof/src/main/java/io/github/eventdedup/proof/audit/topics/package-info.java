/** What Kafka has: the records of the raw topic, and the positions that duplicates and dead letters name. */
package io.github.eventdedup.proof.audit.topics;
