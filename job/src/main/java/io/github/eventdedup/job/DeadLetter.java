package io.github.eventdedup.job;

/**
 * A record that is kept aside because it is no event of the stream or the database refused it.
 *
 * @param source the record, untouched
 * @param reason why, in words that a person can act on
 */
public record DeadLetter(SourceRecord source, String reason) {}
