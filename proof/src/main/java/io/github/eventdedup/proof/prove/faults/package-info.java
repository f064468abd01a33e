/** What is done to a running system, when, and how an operator does it. */
package io.github.eventdedup.proof.prove.faults;
