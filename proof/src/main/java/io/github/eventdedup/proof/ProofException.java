package io.github.eventdedup.proof;

/** Why a command cannot do its work, in words for the user. */
class ProofException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    ProofException(String message) {
        super(message);
    }

    ProofException(String message, Throwable cause) {
        super(message, cause);
    }
}
