package io.github.eventdedup.ingest.response;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import org.eclipse.jetty.http.HttpField;
import org.eclipse.jetty.http.HttpFields;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.http.PreEncodedHttpField;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;

/** Writes answers to the web server's own responses. Never waits for the client. Thread-safe. */
public final class ResponseWriter {

    private static final HttpField JSON = new PreEncodedHttpField(HttpHeader.CONTENT_TYPE, "application/json");
    private static final HttpField PROBLEM_JSON =
            new PreEncodedHttpField(HttpHeader.CONTENT_TYPE, ProblemException.CONTENT_TYPE);

    private static final JsonFactory FACTORY = new JsonFactory();

    private volatile boolean draining;

    /** From now on every response announces that its connection closes. */
    public void drain() {
        draining = true;
    }

    /** Whether the service is about to stop. */
    public boolean draining() {
        return draining;
    }

    /** The content of a response. */
    public interface Content {
        void writeTo(JsonGenerator json) throws IOException;
    }

    /** Answers with JSON, which is written into memory first. */
    public void json(Response response, Callback callback, int status, int expectedBytes, Content content) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(expectedBytes);
        try (JsonGenerator json = FACTORY.createGenerator(bytes)) {
            content.writeTo(json);
        } catch (IOException e) {
            throw new UncheckedIOException("writing to memory does no I/O", e);
        }
        write(response, callback, status, JSON, bytes.toByteArray());
    }

    /** Answers why the request was not carried out. */
    public void problem(Response response, Callback callback, ProblemException problem) {
        problem.headers().forEach(response.getHeaders()::put);
        write(response, callback, problem.status(), PROBLEM_JSON, problem.json());
    }

    /** Answers with these bytes, which must not change until they are written. */
    public void write(Response response, Callback callback, int status, HttpField contentType, byte[] body) {
        response.setStatus(status);
        response.getHeaders().put(contentType);
        if (draining) {
            response.getHeaders().put(HttpFields.CONNECTION_CLOSE);
        }
        response.write(true, ByteBuffer.wrap(body), callback);
    }
}
