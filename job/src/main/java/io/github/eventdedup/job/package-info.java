/** The Flink job: {@link io.github.eventdedup.job.DeduplicationJob} has the way of an event on one page. */
package io.github.eventdedup.job;
