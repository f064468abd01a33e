/**
 * Takes events over HTTP and answers once Kafka has them on disk.
 *
 * <pre>
 * POST → EventsHandler → EventsRequest → EventSplitter → {@link io.github.eventdedup.event.EventReader} → EventPublisher → Kafka acknowledges → 202
 *                             │ gunzip       one by one       ↘ 400                                  ↘ 503 (full, or Kafka away)
 *                             ╰─ answers when all have an outcome
 * </pre>
 *
 * No thread waits for a client or for Kafka on the way. All other paths are Javalin's: {@code IngestServer}.
 */
package io.github.eventdedup.ingest;
