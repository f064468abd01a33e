/**
 * What an event is: the definition of its stream, its fingerprint, and the one way to read it from JSON or to refuse it.
 *
 * <p>The ingest and the job use this same code, so they cannot disagree about an event. Nothing here knows Kafka or
 * Flink.
 */
package io.github.eventdedup.event;
