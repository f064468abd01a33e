/** Answers: their form, the errors, the access log. */
package io.github.eventdedup.ingest.response;
