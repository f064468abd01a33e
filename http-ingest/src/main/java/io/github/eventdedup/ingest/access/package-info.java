/** API keys, and the files they come from. */
package io.github.eventdedup.ingest.access;
