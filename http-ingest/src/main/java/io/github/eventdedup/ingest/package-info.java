/**
 * Takes events over HTTP and answers once Kafka has them on disk.
 *
 * <pre>
 * POST → read the body → {@link io.github.eventdedup.event.EventReader} → EventPublisher → Kafka acknowledges → 202
 *                              ↘ 400                         ↘ 503 (full, or Kafka away)
 * </pre>
 *
 * No thread waits for a client or for Kafka on the way.
 */
package io.github.eventdedup.ingest;
