/** The sink that stores rows in ClickHouse: batches under tokens, and the pieces of those that are rejected. */
package io.github.eventdedup.job.clickhouse;
