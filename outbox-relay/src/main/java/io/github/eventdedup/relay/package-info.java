/**
 * The relay as a process, and its loop. It sends the rows of an application's table to Kafka, each at least once and in the
 * order of their ids.
 *
 * <pre>
 * one transaction:  lock → SELECT unsent → encode → UPDATE sent = TRUE → Kafka acknowledges all of them → COMMIT
 *                                             ↘ outbox_set_aside (rows that cannot be sent)
 * </pre>
 *
 * After a crash Postgres rolls the transaction back, and the rows are sent again; the job drops the copies.
 */
package io.github.eventdedup.relay;
