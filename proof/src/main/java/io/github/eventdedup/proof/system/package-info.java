/** The system as it is seen from outside: its addresses, Flink's answers, the topics. */
package io.github.eventdedup.proof.system;
