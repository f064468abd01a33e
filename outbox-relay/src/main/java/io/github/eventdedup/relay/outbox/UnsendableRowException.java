package io.github.eventdedup.relay.outbox;

/** A row that cannot become an event, however often it is tried. The message says why, without the row's data. */
public final class UnsendableRowException extends Exception {

    private static final long serialVersionUID = 1L;

    /** With the reason. */
    public UnsendableRowException(String message) {
        super(message, null, false, false);
    }
}
