/** Sends events as clients do, and measures. */
package io.github.eventdedup.proof.load;
