package io.github.eventdedup.local.system;

/** Something the user has to know; the message is all that is shown, a line or a few. */
public final class LocalException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    public LocalException(String message) {
        super(message);
    }

    public LocalException(String message, Throwable cause) {
        super(message, cause);
    }
}
