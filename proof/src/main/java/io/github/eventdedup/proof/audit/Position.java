package io.github.eventdedup.proof.audit;

/** A place in the raw topic. */
record Position(int partition, long offset) {}
