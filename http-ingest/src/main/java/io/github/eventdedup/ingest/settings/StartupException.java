package io.github.eventdedup.ingest.settings;

/** The service cannot start. The message is what the person who starts it reads: what is wrong and what to do. */
public final class StartupException extends Exception {

    private static final long serialVersionUID = 1L;

    public StartupException(String message) {
        super(message, null, false, false);
    }
}
