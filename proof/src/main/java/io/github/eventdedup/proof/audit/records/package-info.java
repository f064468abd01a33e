/** Fixed-length records, sorted and merged on disk, and the report they lead to. */
package io.github.eventdedup.proof.audit.records;
