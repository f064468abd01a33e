package io.github.eventdedup.relay.outbox;

/** No row can be marked as sent, so none may be sent. The message says why, in Postgres' words. */
public final class UnflaggableException extends Exception {

    private static final long serialVersionUID = 1L;

    UnflaggableException(String message) {
        super(message, null, false, false);
    }
}
