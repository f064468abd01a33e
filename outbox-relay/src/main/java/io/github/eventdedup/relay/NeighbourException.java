package io.github.eventdedup.relay;

/** Kafka or Postgres cannot be used now. The message is one line for the operator. */
final class NeighbourException extends Exception {

    private static final long serialVersionUID = 1L;

    NeighbourException(String message) {
        super(oneLine(message), null, false, false);
    }

    /** Postgres adds details, hints and positions on lines of their own. */
    static String oneLine(String message) {
        return message.strip().replaceAll("\\s*\\R\\s*", "; ");
    }
}
