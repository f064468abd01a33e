package io.github.eventdedup.local;

/** Something the user has to know; the message is all that is shown, a line or a few. */
final class LocalException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    LocalException(String message) {
        super(message);
    }

    LocalException(String message, Throwable cause) {
        super(message, cause);
    }
}
