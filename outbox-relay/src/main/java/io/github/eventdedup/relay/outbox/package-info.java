/** The outbox in Postgres: its checks, its rows, their flags, and the types of its columns. */
package io.github.eventdedup.relay.outbox;
