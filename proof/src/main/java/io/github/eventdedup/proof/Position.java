package io.github.eventdedup.proof;

/** A place in the raw topic. */
record Position(int partition, long offset) {}
