/** Decides anew what must be stored, and compares. */
package io.github.eventdedup.proof.audit;
