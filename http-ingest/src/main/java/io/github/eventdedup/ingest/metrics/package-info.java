/** Metrics of the ingest. */
package io.github.eventdedup.ingest.metrics;
