/** The rows that are stored, in Postgres and ClickHouse. */
package io.github.eventdedup.proof.audit.tables;
