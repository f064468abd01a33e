/** What became of an event: receipts from Postgres, dead letters from Kafka. */
package io.github.eventdedup.ingest.lookup;
