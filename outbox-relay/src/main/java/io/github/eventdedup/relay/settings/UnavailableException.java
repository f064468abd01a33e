package io.github.eventdedup.relay.settings;

/** Kafka or Postgres cannot be used now. The message is one line for the operator. */
public final class UnavailableException extends Exception {

    private static final long serialVersionUID = 1L;

    /** Makes the message one line. */
    public UnavailableException(String message) {
        super(oneLine(message), null, false, false);
    }

    /** Postgres adds details, hints and positions on lines of their own. */
    public static String oneLine(String message) {
        return message.strip().replaceAll("\\s*\\R\\s*", "; ");
    }
}
