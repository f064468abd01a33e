/** The file in which a load notes what was acknowledged. */
package io.github.eventdedup.proof.ledger;
