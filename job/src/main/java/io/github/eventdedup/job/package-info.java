/**
 * The Flink job. {@link io.github.eventdedup.job.DeduplicationJob} has the way of an event on one page; {@link
 * io.github.eventdedup.job.Setup} creates topics and tables; {@link io.github.eventdedup.job.DeadLetters} is the command line
 * for dead letters.
 */
package io.github.eventdedup.job;
