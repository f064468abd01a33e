/** A request's body: cut into events, read, checked, sent to Kafka. */
package io.github.eventdedup.ingest.events;
