package io.github.eventdedup.event;

/**
 * Says why bytes are not an event of a stream, in words that the person who sent them can act on. Carries no stack
 * trace: it is an answer, not a fault of the program.
 */
public final class InvalidEventException extends Exception {

    private static final long serialVersionUID = 1L;

    /** Refuses an event for this reason. */
    public InvalidEventException(String reason) {
        super(reason, null, false, false);
    }
}
