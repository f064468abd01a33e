/** What travels through the job: events, raw records, dead letters, and how Flink serializes them. */
package io.github.eventdedup.job.model;
