package io.github.eventdedup.ingest.response;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.eventdedup.ingest.metrics.IngestMetrics;
import java.time.Instant;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.RequestLog;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.NanoTime;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Counts every request, also one that the web server itself rejects, and logs it as a line of JSON where that is
 * enabled: never a body, a query or an API key. Thread-safe.
 */
public final class AccessLog implements RequestLog {

    /** The request's attribute that holds the name of the API key it came with. */
    public static final String KEY_NAME = AccessLog.class.getName() + ".key";

    private static final Logger LOG = LoggerFactory.getLogger("access");

    private static final int MAX_PATH_CHARS = 200;
    private static final double NANOS_PER_MILLI = 1e6;
    private static final ObjectMapper MAPPER = new ObjectMapper();

    private final IngestMetrics metrics;
    private final boolean logging;

    public AccessLog(IngestMetrics metrics, boolean logging) {
        this.metrics = metrics;
        this.logging = logging;
    }

    @Override
    public void log(Request request, Response response) {
        metrics.answered(response.getStatus());
        if (logging) {
            LOG.info("{}", line(request, response));
        }
    }

    private static ObjectNode line(Request request, Response response) {
        String path = request.getHttpURI().getPath();
        ObjectNode line = MAPPER.createObjectNode()
                .put("time", Instant.now().toString())
                .put("remote", Request.getRemoteAddr(request))
                .put("method", request.getMethod())
                .put("path", path == null || path.length() <= MAX_PATH_CHARS ? path : path.substring(0, MAX_PATH_CHARS))
                .put("status", response.getStatus())
                .put("bytesIn", Request.getContentBytesRead(request))
                .put("bytesOut", Response.getContentBytesWritten(response))
                .put("millis", NanoTime.since(request.getBeginNanoTime()) / NANOS_PER_MILLI);
        if (request.getAttribute(KEY_NAME) instanceof String key) {
            line.put("key", key);
        }
        return line;
    }
}
