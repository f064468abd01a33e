/**
 * Takes events over HTTP and answers once Kafka has them on disk; says afterwards what became of one.
 *
 * <pre>
 * POST → IngestHandler → EventsRequest → EventSplitter → EventResults → EventPublisher → Kafka acknowledges → 202
 *                             │ gunzip       one by one       ↘ 400          ↘ 503 (full, or Kafka unavailable)
 *                             ╰─ EventsAnswer when all have an outcome
 *
 * GET  → IngestServer → Receipts → Postgres has its row → 200
 *                           ↘ 503       ↘ 404
 * </pre>
 *
 * No thread waits for a client or for Kafka on the way of an event. All other paths are Javalin's; a few threads that nobody else needs
 * wait for Postgres.
 */
package io.github.eventdedup.ingest;
