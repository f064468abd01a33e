package io.github.eventdedup.event;

/**
 * Says why bytes are not an event of a stream, in words that the person who sent them can act on. Carries no stack
 * trace: it is an answer, not a fault of the program.
 */
public final class InvalidEventException extends Exception {

    private static final long serialVersionUID = 1L;

    private final ReasonCode code;

    /** Refuses an event for this reason. */
    public InvalidEventException(ReasonCode code, String reason) {
        super(reason, null, false, false);
        this.code = code;
    }

    /** The kind of reason, which does not change with the wording. */
    public ReasonCode code() {
        return code;
    }
}
