/** What the job knows of a ClickHouse table: columns, partitions, rows that are there, errors. */
package io.github.eventdedup.job.clickhouse.table;
