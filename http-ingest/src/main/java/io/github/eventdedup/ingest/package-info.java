/**
 * Takes events over HTTP and answers once Kafka has them on disk; says afterwards what became of one.
 *
 * <pre>
 * POST → read the body → {@link io.github.eventdedup.event.EventReader} → EventPublisher → Kafka acknowledges → 202
 *                              ↘ 400                         ↘ 503 (full, or Kafka away)
 *
 * GET  → Receipts → Postgres has its row → 200
 *            ↘ 503       ↘ 404
 * </pre>
 *
 * No thread waits for a client or for Kafka on the way. A few that nobody else needs wait for Postgres.
 */
package io.github.eventdedup.ingest;
