package io.github.eventdedup.job.model;

import io.github.eventdedup.event.Fingerprint;

/**
 * A valid event on its way from the reader to the table.
 *
 * @param fingerprint what makes it the same as another
 * @param source the record it came in
 * @param columns the mapped columns in the form the sink writes them ({@code CopyBuffer.columns}): encoded once, where
 *     the event is read, so that what goes over the network is bytes
 * @param replay says that the record is a dead letter that was sent again; the source is then its original. Null otherwise
 */
public record IdentifiedEvent(Fingerprint fingerprint, SourceRecord source, byte[] columns, Replay replay) {

    /** An event that comes for the first time. */
    public IdentifiedEvent(Fingerprint fingerprint, SourceRecord source, byte[] columns) {
        this(fingerprint, source, columns, null);
    }
}
