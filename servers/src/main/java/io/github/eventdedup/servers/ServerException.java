package io.github.eventdedup.servers;

/** A server could not be started. The message is one line for a person and names the server's log file. */
public final class ServerException extends RuntimeException {

    ServerException(String message) {
        super(message);
    }

    ServerException(String message, Throwable cause) {
        super(message, cause);
    }
}
