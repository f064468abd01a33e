/** The proof that every event is stored exactly once: a load as clients send it, and an audit of what became of it. */
package io.github.eventdedup.proof;
