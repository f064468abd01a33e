package io.github.eventdedup.relay.outbox;

/** No row can be flagged as sent, so none may be sent. The message is Postgres' own. */
public final class UnflaggableException extends Exception {

    private static final long serialVersionUID = 1L;

    UnflaggableException(String message) {
        super(message, null, false, false);
    }
}
