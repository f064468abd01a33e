package io.github.eventdedup.proof.system;

/** Why a command cannot do its work, in words for the user. */
public class ProofException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    public ProofException(String message) {
        super(message);
    }

    public ProofException(String message, Throwable cause) {
        super(message, cause);
    }
}
