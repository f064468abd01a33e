/**
 * A real Kafka and a real Postgres as child processes, run from jars: what {@code local/} starts and what tests start,
 * cut off and kill. Nothing needs to be installed. Everything listens on loopback only.
 */
package io.github.eventdedup.servers;
