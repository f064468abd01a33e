/**
 * A real Kafka, Postgres and ClickHouse as child processes: what {@code local/} starts and what tests start, cut off and
 * kill. None needs to be installed: the first two come as jars, ClickHouse's engine as an npm package. Everything listens
 * on loopback only.
 */
package io.github.eventdedup.servers;
