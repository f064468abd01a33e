/** Settings of the ingest. */
package io.github.eventdedup.ingest.settings;
