/** The web server and everything around a request that is not its events. */
package io.github.eventdedup.ingest.http;
