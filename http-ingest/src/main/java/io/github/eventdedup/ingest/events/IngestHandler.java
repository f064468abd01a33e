package io.github.eventdedup.ingest.events;

import io.github.eventdedup.ingest.access.ApiKeys;
import io.github.eventdedup.ingest.response.AccessLog;
import io.github.eventdedup.ingest.response.ProblemException;
import io.github.eventdedup.ingest.response.ResponseWriter;
import io.github.eventdedup.ingest.settings.IngestSettings.Limits;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Semaphore;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.eclipse.jetty.http.HttpFields;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.http.HttpMethod;
import org.eclipse.jetty.http.HttpStatus;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;
import org.eclipse.jetty.util.Fields;

/**
 * Takes the requests that carry events, and hands all others on to Javalin. It works on the web server's own interface,
 * because the servlets in between would cost as much again as everything that is done for an event. Thread-safe.
 */
public final class IngestHandler extends Handler.Wrapper {

    /** The path and the stream of the clients that were there before this service. */
    public static final String LEGACY_PATH = "/api-fast/view-event";

    private static final String LEGACY_STREAM = "view-events";

    /** The path of every stream's events, as people write it. */
    public static final String STREAM_PATH = "/v1/streams/{stream}/events";

    private static final Pattern PATH = Pattern.compile(STREAM_PATH.replace("{stream}", "([^/]+)"));

    /** Longer bodies are read by threads of their own: to read one, and the events in it, takes longer than others may wait. */
    private static final int MOST_BYTES_AT_ONCE = 32 * 1024;

    private static final String ON_ERROR = "on-error";

    private static final String JSON = "application/json";
    private static final String NDJSON = "application/x-ndjson";

    private final Map<String, EventsRequest.Stream> streams;
    private final Limits limits;
    private final ResponseWriter answers;
    private final ApiKeys apiKeys;
    private final EventsRequest.Service service;

    /**
     * @param streams by name
     * @param apiKeys the keys that may post, or null where none is required
     */
    public IngestHandler(
            Map<String, EventsRequest.Stream> streams, Limits limits, ResponseWriter answers, ApiKeys apiKeys) {
        this.streams = new TreeMap<>(streams);
        this.limits = limits;
        this.answers = answers;
        this.apiKeys = apiKeys;
        service = new EventsRequest.Service(limits, new Semaphore(limits.inFlightBytes()), new EventsAnswer(answers));
    }

    /** The bytes that could still arrive. */
    public int freeBytes() {
        return service.arriving().availablePermits();
    }

    /** So that the web server calls on the thread that has noticed the request, and wakes no other for it. */
    @Override
    public InvocationType getInvocationType() {
        return InvocationType.NON_BLOCKING;
    }

    @Override
    public boolean handle(Request request, Response response, Callback callback) {
        String path = withoutTrailingSlash(Request.getPathInContext(request));
        boolean legacy = path.equals(LEGACY_PATH);
        String stream = legacy ? LEGACY_STREAM : streamIn(path);
        if (stream == null) {
            onAnotherThread(request, callback, () -> handOn(request, response, callback));
        } else if (request.getLength() >= 0 && request.getLength() <= MOST_BYTES_AT_ONCE) {
            takeOrRefuse(stream, legacy, request, response, callback);
        } else {
            onAnotherThread(request, callback, () -> takeOrRefuse(stream, legacy, request, response, callback));
        }
        return true;
    }

    private interface Task {
        void run() throws Exception;
    }

    /** For longer work. The calling thread has other connections to serve. */
    private static void onAnotherThread(Request request, Callback callback, Task task) {
        request.getComponents().getExecutor().execute(() -> {
            try {
                task.run();
            } catch (Throwable failure) {
                callback.failed(failure);
            }
        });
    }

    private void handOn(Request request, Response response, Callback callback) throws Exception {
        if (!super.handle(request, response, callback)) {
            Response.writeError(request, response, callback, HttpStatus.NOT_FOUND_404);
        }
    }

    private void takeOrRefuse(String stream, boolean legacy, Request request, Response response, Callback callback) {
        try {
            take(stream, legacy, request, response, callback);
        } catch (ProblemException problem) {
            answers.problem(response, new RequestBodyDrain(request, limits, callback), problem);
        }
    }

    private static String withoutTrailingSlash(String path) {
        return path.length() > 1 && path.endsWith("/") ? path.substring(0, path.length() - 1) : path;
    }

    private static String streamIn(String path) {
        Matcher matcher = PATH.matcher(path);
        return matcher.matches() ? matcher.group(1) : null;
    }

    private void take(String name, boolean legacy, Request request, Response response, Callback callback) {
        if (!HttpMethod.POST.is(request.getMethod())) {
            response.getHeaders().put(HttpHeader.ALLOW, HttpMethod.POST.asString());
            throw new ProblemException(HttpStatus.METHOD_NOT_ALLOWED_405, "the method here is POST");
        }
        if (apiKeys != null) {
            HttpFields headers = request.getHeaders();
            String key = apiKeys.check(headers.get(HttpHeader.AUTHORIZATION), headers.get("X-API-Key"), name);
            request.setAttribute(AccessLog.KEY_NAME, key);
        }
        EventsRequest.Stream stream = streams.get(name);
        if (stream == null) {
            throw ProblemException.noSuchStream(name, streams.keySet());
        }
        boolean lines = isNdjson(request, legacy);
        boolean gzip = isGzip(request);
        boolean whole = isAnsweredAsAWhole(request);
        if (legacy && request.getLength() > limits.eventBytes()) {
            throw EventsRequest.eventTooLarge(limits);
        }
        if (request.getLength() > limits.bodyBytes()) {
            throw EventsRequest.bodyTooLarge(limits);
        }
        EventsRequest.Form form = EventsRequest.Form.of(lines, gzip, !legacy, whole);
        new EventsRequest(stream, service, form, request, response, callback).read();
    }

    /** Whether the body is NDJSON. On the path of the first clients, who may not say what they send, it is JSON. */
    private static boolean isNdjson(Request request, boolean legacy) {
        String contentType = request.getHeaders().get(HttpHeader.CONTENT_TYPE);
        if (JSON.equals(contentType) || (contentType == null && legacy)) {
            return false;
        }
        String mediaType = contentType == null ? "" : inUtf8(contentType);
        if (mediaType.equals(JSON) || (mediaType.equals(NDJSON) && !legacy)) {
            return mediaType.equals(NDJSON);
        }
        throw new ProblemException(
                HttpStatus.UNSUPPORTED_MEDIA_TYPE_415,
                (contentType == null ? "the content type is missing" : "the content type is not taken") + "; send "
                        + (legacy
                                ? "one JSON object in UTF-8 as " + JSON
                                : "JSON in UTF-8 as " + JSON + ", or a JSON object a line as " + NDJSON));
    }

    /** Whether a batch is accepted, and answered, as a whole: {@code ?on-error=fail}. */
    private static boolean isAnsweredAsAWhole(Request request) {
        // Nearly no request has a query.
        if (request.getHttpURI().getQuery() == null) {
            return false;
        }
        String found = null;
        for (Fields.Field parameter : Request.extractQueryParameters(request)) {
            // If a misspelt one were ignored, a client could silently lose events.
            if (parameter.getName().replaceAll("[-_ ]", "").equalsIgnoreCase("onerror")) {
                if (!parameter.getName().equals(ON_ERROR) || found != null || parameter.hasMultipleValues()) {
                    throw badOnError("is given twice, or written otherwise");
                }
                found = parameter.getValue();
            }
        }
        if (found == null || found.equals("report")) {
            return false;
        }
        if (!found.equals("fail")) {
            throw badOnError("has a value that is not known");
        }
        return true;
    }

    private static ProblemException badOnError(String what) {
        return new ProblemException(
                HttpStatus.BAD_REQUEST_400,
                "the parameter " + ON_ERROR + " " + what + "; send " + ON_ERROR
                        + "=fail for one answer to the whole batch, or " + ON_ERROR
                        + "=report, the default, for a result of each event");
    }

    /** The media type alone, or nothing where another charset is declared. */
    private static String inUtf8(String contentType) {
        String[] parts = contentType.toLowerCase(Locale.ROOT).split(";", -1);
        for (int i = 1; i < parts.length; i++) {
            String parameter = parts[i].replace("\"", "").strip();
            if (parameter.startsWith("charset=") && !parameter.equals("charset=utf-8")) {
                return "";
            }
        }
        return parts[0].strip();
    }

    private static boolean isGzip(Request request) {
        // Nearly no request has the header.
        if (!request.getHeaders().contains(HttpHeader.CONTENT_ENCODING)) {
            return false;
        }
        String encoding = String.join(",", request.getHeaders().getValuesList(HttpHeader.CONTENT_ENCODING));
        boolean gzip = encoding.equalsIgnoreCase("gzip");
        if (!gzip && !encoding.isEmpty() && !encoding.equalsIgnoreCase("identity")) {
            throw new ProblemException(
                    HttpStatus.UNSUPPORTED_MEDIA_TYPE_415,
                    "the content encoding is not taken; send the events as they are, or with gzip");
        }
        return gzip;
    }
}
