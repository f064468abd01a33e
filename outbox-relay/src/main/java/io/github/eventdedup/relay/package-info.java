/**
 * Sends the rows of an application's table to Kafka, each at least once and in the order of their ids.
 *
 * <pre>
 * one transaction:  lock → SELECT the unsent → encode → Kafka acknowledges all of them → UPDATE sent = TRUE → COMMIT
 *                                                ↘ outbox_set_aside (what cannot be sent)
 * </pre>
 *
 * Whatever dies on the way, the transaction is rolled back and the rows are sent again; the job drops the copies.
 */
package io.github.eventdedup.relay;
