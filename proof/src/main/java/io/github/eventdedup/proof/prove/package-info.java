/** A load while processes are killed, and the audit after it. */
package io.github.eventdedup.proof.prove;
