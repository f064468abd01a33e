package io.github.eventdedup.relay.outbox;

/** A row that can never become an event. The message has the reason, without the row's data. */
public final class UnsendableRowException extends Exception {

    private static final long serialVersionUID = 1L;

    /** With the reason. */
    public UnsendableRowException(String message) {
        super(message, null, false, false);
    }
}
