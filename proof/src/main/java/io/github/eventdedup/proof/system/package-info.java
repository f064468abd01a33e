/** The system as it is seen and operated from outside: its addresses, {@code ./dedup}, Flink, databases and topics. */
package io.github.eventdedup.proof.system;
