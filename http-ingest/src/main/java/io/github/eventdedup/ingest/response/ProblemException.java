package io.github.eventdedup.ingest.response;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.Map;
import org.eclipse.jetty.http.HttpStatus;

/**
 * A response that says why a request failed, as in RFC 9457. Carries no stack trace, since it is a response and not a
 * fault of the program.
 */
public final class ProblemException extends RuntimeException {

    public static final String CONTENT_TYPE = "application/problem+json";

    private static final long serialVersionUID = 1L;
    private static final ObjectMapper MAPPER = new ObjectMapper();

    private final int status;
    private final long retryAfterSeconds;

    /**
     * @param status the HTTP status
     * @param detail one sentence for the person who sent the request: what is wrong, and what to do
     */
    public ProblemException(int status, String detail) {
        this(status, detail, 0);
    }

    private ProblemException(int status, String detail, long retryAfterSeconds) {
        super(detail, null, false, false);
        this.status = status;
        this.retryAfterSeconds = retryAfterSeconds;
    }

    /** It cannot be done right now; to send the same request again is right, and safe. */
    public static ProblemException unavailable(String detail) {
        return new ProblemException(HttpStatus.SERVICE_UNAVAILABLE_503, detail, 1);
    }

    /** The client sends more requests than it may; after this many seconds it may again. */
    public static ProblemException tooManyRequests(String detail, long retryAfterSeconds) {
        return new ProblemException(HttpStatus.TOO_MANY_REQUESTS_429, detail, retryAfterSeconds);
    }

    /**
     * The answer to a path with a stream that is not served.
     *
     * @param streams the names of those that there are
     */
    public static ProblemException noSuchStream(String stream, Collection<String> streams) {
        return new ProblemException(
                HttpStatus.NOT_FOUND_404,
                "there is no stream '" + stream + "'; there is " + String.join(", ", streams));
    }

    public int status() {
        return status;
    }

    /** When to send the request again, for the header {@code Retry-After}; 0 where to do so is of no use. */
    public long retryAfterSeconds() {
        return retryAfterSeconds;
    }

    /** The headers of the response, by name. */
    public Map<String, String> headers() {
        if (retryAfterSeconds > 0) {
            return Map.of("Retry-After", Long.toString(retryAfterSeconds));
        }
        return status == HttpStatus.UNAUTHORIZED_401 ? Map.of("WWW-Authenticate", "Bearer") : Map.of();
    }

    public byte[] json() {
        try {
            String json = MAPPER.writeValueAsString(MAPPER.createObjectNode()
                    // The type says no more than the status, so the title must be the status's own phrase.
                    .put("type", "about:blank")
                    .put("title", HttpStatus.getMessage(status))
                    .put("status", status)
                    .put("detail", getMessage()));
            // Not writeValueAsBytes: that throws where a message quotes half of a surrogate pair.
            return json.getBytes(StandardCharsets.UTF_8);
        } catch (JsonProcessingException e) {
            throw new AssertionError("four plain fields can always be written", e);
        }
    }
}
