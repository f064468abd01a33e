package io.github.eventdedup.relay;

/** A row that cannot become an event, however often it is tried. The message says why, without the row's data. */
final class UnsendableRowException extends Exception {

    private static final long serialVersionUID = 1L;

    UnsendableRowException(String message) {
        super(message, null, false, false);
    }
}
