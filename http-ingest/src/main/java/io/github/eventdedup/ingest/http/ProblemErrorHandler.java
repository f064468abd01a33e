package io.github.eventdedup.ingest.http;

import io.github.eventdedup.ingest.response.ProblemException;
import io.github.eventdedup.ingest.response.ResponseWriter;
import java.nio.ByteBuffer;
import org.eclipse.jetty.http.HttpException;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.server.handler.ErrorHandler;
import org.eclipse.jetty.util.Callback;

/** Answers what the web server itself refuses (a broken request line, headers too large): a problem, not an HTML page. */
final class ProblemErrorHandler extends ErrorHandler {

    private final ResponseWriter answers;

    ProblemErrorHandler(ResponseWriter answers) {
        this.answers = answers;
    }

    @Override
    public boolean handle(Request request, Response response, Callback callback) {
        int status = response.getStatus();
        // The reason of an HttpException is the web server's own short phrase; any other exception stays inside.
        String detail = "the request could not be handled";
        if (request.getAttribute(ERROR_EXCEPTION) instanceof HttpException failure) {
            status = failure.getCode();
            if (failure.getReason() != null) {
                detail = failure.getReason();
            }
        } else if (request.getAttribute(ERROR_MESSAGE) instanceof String message && status < 500) {
            detail = message;
        }
        answers.problem(new Unfinished(request, response), callback, new ProblemException(status, detail));
        return true;
    }

    /**
     * Leaves the last write to the web server, which finishes the response with it. If it were ours, the next request
     * on the connection could begin before the callback was called; the callback's own failure, that its request is
     * over, would then count as the next request's, which would be answered with 500.
     */
    private static final class Unfinished extends Response.Wrapper {

        Unfinished(Request request, Response response) {
            super(request, response);
        }

        @Override
        public void write(boolean last, ByteBuffer body, Callback callback) {
            getHeaders().put(HttpHeader.CONTENT_LENGTH, body.remaining());
            super.write(false, body, callback);
        }
    }
}
