package io.github.eventdedup.servers;

/**
 * A server could not be started, or its engine not be installed. The message is one line for a person, which names the
 * server's log file where there is one; what npm says comes on lines of its own after it.
 */
public final class ServerException extends RuntimeException {

    ServerException(String message) {
        super(message);
    }

    ServerException(String message, Throwable cause) {
        super(message, cause);
    }
}
