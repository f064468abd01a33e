package io.github.eventdedup.ingest.events;

import com.fasterxml.jackson.core.JsonGenerator;
import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.Fingerprint;
import io.github.eventdedup.event.InvalidEventException;
import io.github.eventdedup.ingest.events.EventSplitter.Framing;
import io.github.eventdedup.ingest.metrics.IngestMetrics;
import io.github.eventdedup.ingest.metrics.IngestMetrics.Rejection;
import io.github.eventdedup.ingest.response.ProblemException;
import io.github.eventdedup.ingest.response.ResponseWriter;
import io.github.eventdedup.ingest.settings.IngestSettings;
import io.github.eventdedup.ingest.settings.IngestSettings.Limits;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import org.eclipse.jetty.http.HttpException;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.http.HttpStatus;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;
import org.eclipse.jetty.util.NanoTime;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One request with events: hands each to Kafka as soon as it has arrived, and answers once Kafka has acknowledged all.
 * No thread waits, neither for the client nor for Kafka.
 *
 * <p>The body is read by one thread at a time; outcomes come from Kafka's.
 */
public final class EventsRequest implements EventSplitter.Sink {

    private static final Logger LOG = LoggerFactory.getLogger(EventsRequest.class);

    /** What the result of an event takes until the batch is answered: the object, and its line in the answer. */
    public static final int RESULT_BYTES = 512;

    private static final int ACCEPTED_ANSWER_BYTES = 256;

    private final Stream stream;
    private final Limits limits;
    private final Semaphore arriving;
    private final ResponseWriter answers;
    private final Request request;
    private final Response response;
    private final Callback callback;
    private final boolean batchesTaken;
    private final boolean whole;

    private final GzipBody gzip;
    private EventSplitter splitter;
    private boolean batch;
    private long bodyBytes;
    private long compressedBytes;
    private int reserved;
    /** What the events take that wait for the end of a batch which is taken as a whole, beside their results. */
    private long waitingBytes;

    private final List<Result> results = new ArrayList<>(1);
    /** One for each event without an outcome, and one for the body as long as it arrives. */
    private final AtomicInteger pending = new AtomicInteger(1);

    /** The streams' own parts that all requests share. */
    public record Stream(String name, EventReader reader, EventPublisher publisher, IngestMetrics.OfStream metrics) {}

    /**
     * @param arriving what all requests together may hold of bodies and results
     * @param lines whether the body is NDJSON; otherwise it is JSON
     * @param gzip whether the body is compressed
     * @param batchesTaken whether an array is a batch; otherwise it is an event that is wrong
     * @param whole whether a batch is refused as a whole where one of its events is
     * @param callback completed when the request has been answered
     */
    EventsRequest(
            Stream stream,
            Limits limits,
            Semaphore arriving,
            ResponseWriter answers,
            boolean lines,
            boolean gzip,
            boolean batchesTaken,
            boolean whole,
            Request request,
            Response response,
            Callback callback) {
        this.stream = stream;
        this.limits = limits;
        this.arriving = arriving;
        this.answers = answers;
        this.batchesTaken = batchesTaken;
        this.whole = whole;
        this.request = request;
        this.response = response;
        this.callback = Callback.from(callback, this::release);
        this.gzip = gzip ? new GzipBody(this::take) : null;
        if (lines) {
            frame(Framing.LINES);
        }
    }

    /** Reads what has arrived, and comes back for the rest when it does. */
    void read() {
        try {
            boolean last = false;
            while (!last) {
                Content.Chunk chunk = request.read();
                if (chunk == null) {
                    // What is held from here on is held for as long as the client likes. An event that has arrived in
                    // full gets past those that have not, however many they are.
                    reserve(held());
                    request.demand(this::read);
                    return;
                }
                if (Content.Chunk.isFailure(chunk)) {
                    throw chunk.getFailure();
                }
                last = chunk.isLast();
                try {
                    if (gzip == null) {
                        take(chunk.getByteBuffer());
                    } else {
                        takeCompressed(chunk.getByteBuffer());
                    }
                } finally {
                    chunk.release();
                }
            }
            end();
        } catch (Throwable failure) {
            // The body is never said to have ended, so no outcome of an event can answer a second time.
            fail(failure);
        }
    }

    private void takeCompressed(ByteBuffer bytes) {
        compressedBytes += bytes.remaining();
        if (compressedBytes > limits.bodyBytes()) {
            // There are compressed data of any length that expand to nothing.
            throw bodyTooLarge(limits);
        }
        gzip.add(bytes);
    }

    private void take(ByteBuffer bytes) {
        bodyBytes += bytes.remaining();
        if (bodyBytes > limits.bodyBytes()) {
            throw bodyTooLarge(limits);
        }
        if (splitter == null) {
            while (bytes.hasRemaining() && EventSplitter.isSpace(bytes.get(bytes.position()))) {
                bytes.get();
            }
            if (!bytes.hasRemaining()) {
                return;
            }
            boolean array = bytes.get(bytes.position()) == '[';
            frame(array && batchesTaken ? Framing.ARRAY : Framing.SINGLE);
        }
        splitter.add(bytes);
        if (batch) {
            reserve(held());
        }
    }

    private long held() {
        return (splitter == null ? 0 : splitter.bufferBytes()) + resultBytes() + waitingBytes;
    }

    private void frame(Framing framing) {
        splitter = new EventSplitter(framing, limits.eventBytes(), this);
        batch = framing != Framing.SINGLE;
    }

    /** Counts what is held against what all requests together may hold. */
    private void reserve(long bytes) {
        if (bytes > limits.inFlightBytes()) {
            throw neverFits();
        }
        int held = (int) bytes;
        if (held > reserved && !arriving.tryAcquire(held - reserved)) {
            throw ProblemException.unavailable("too much is arriving at once; try again");
        }
        if (held < reserved) {
            arriving.release(reserved - held);
        }
        reserved = held;
    }

    private long resultBytes() {
        return batch ? (long) results.size() * RESULT_BYTES : 0;
    }

    private ProblemException neverFits() {
        return new ProblemException(
                HttpStatus.PAYLOAD_TOO_LARGE_413,
                "the batch needs more memory than a request can have, " + IngestSettings.MAX_IN_FLIGHT_BYTES + " = "
                        + limits.inFlightBytes() + " bytes; " + inParts() + ", or raise the setting");
    }

    private String inParts() {
        return whole
                ? "nothing of it was accepted. Send it in parts"
                : "its first events may have been accepted. Send it again in parts";
    }

    private void release() {
        arriving.release(reserved);
        if (gzip != null) {
            gzip.close();
        }
    }

    static ProblemException bodyTooLarge(Limits limits) {
        return new ProblemException(
                HttpStatus.PAYLOAD_TOO_LARGE_413,
                "the body is too large; at most " + limits.bodyBytes() + " bytes are taken, also after decompression");
    }

    static ProblemException eventTooLarge(Limits limits) {
        return new ProblemException(
                HttpStatus.PAYLOAD_TOO_LARGE_413,
                "the event is too large; at most " + limits.eventBytes() + " bytes are taken");
    }

    @Override
    public void event(byte[] json) {
        Result result = add();
        Fingerprint fingerprint;
        try {
            fingerprint = stream.reader().read(json).fingerprint();
        } catch (InvalidEventException e) {
            result.reject(
                    Rejection.INVALID, new ProblemException(HttpStatus.BAD_REQUEST_400, "the event " + e.getMessage()));
            return;
        }
        result.fingerprint = fingerprint;
        result.bytes = json.length;
        if (whole && batch) {
            result.waiting = json;
            waitingBytes += json.length;
            return;
        }
        result.sent = NanoTime.now();
        pending.incrementAndGet();
        stream.publisher().publish(stream.name(), fingerprint, json, batch, result);
    }

    @Override
    public void noEvent(String reason) {
        add().reject(Rejection.INVALID, new ProblemException(HttpStatus.BAD_REQUEST_400, reason));
    }

    @Override
    public void tooLarge() {
        ProblemException problem = eventTooLarge(limits);
        add().reject(Rejection.TOO_LARGE, problem);
        if (!batch) {
            throw problem;
        }
    }

    private Result add() {
        if (results.size() == limits.batchEvents()) {
            throw new ProblemException(
                    HttpStatus.PAYLOAD_TOO_LARGE_413,
                    "the batch is too large; at most " + limits.batchEvents() + " events are taken, and " + inParts());
        }
        Result result = new Result();
        results.add(result);
        return result;
    }

    private void end() {
        if (gzip != null && !gzip.isComplete()) {
            throw new ProblemException(HttpStatus.BAD_REQUEST_400, "the compressed body is cut short");
        }
        if (splitter == null) {
            frame(Framing.SINGLE);
        }
        splitter.end();
        // Kafka may take its time; what arrived is no longer needed.
        splitter = null;
        reserve(held());
        if (results.isEmpty()) {
            throw new ProblemException(HttpStatus.BAD_REQUEST_400, "the batch is empty; send one event or more");
        }
        if (whole && batch) {
            publishWaiting();
        }
        complete();
    }

    /** Hands all events of the batch over that have waited for its end, or none. */
    private void publishWaiting() {
        int rejected = 0;
        int first = -1;
        long bytes = 0;
        for (int i = 0; i < results.size(); i++) {
            Result result = results.get(i);
            if (result.problem != null) {
                first = rejected++ == 0 ? i : first;
            }
            bytes += result.bytes + EventPublisher.RECORD_OVERHEAD_BYTES;
        }
        ProblemException problem = null;
        if (rejected > 0) {
            problem = new ProblemException(
                    HttpStatus.BAD_REQUEST_400,
                    "nothing of the batch was accepted, as on-error=fail asks for: " + rejected + " of its "
                            + results.size() + " events cannot be taken. Index " + first + ", counted from 0: "
                            + results.get(first).problem.getMessage());
        } else if (bytes > limits.inFlightBytes()) {
            problem = neverFits();
        } else {
            problem = stream.publisher().reserve(stream.name(), (int) bytes);
        }
        if (problem != null) {
            for (Result result : results) {
                if (result.problem == null) {
                    result.reject(problem.retryAfterSeconds() > 0 ? Rejection.UNAVAILABLE : Rejection.BATCH, problem);
                }
            }
            throw problem;
        }
        for (Result result : results) {
            byte[] json = result.waiting;
            result.waiting = null;
            result.sent = NanoTime.now();
            pending.incrementAndGet();
            stream.publisher().publishReserved(stream.name(), result.fingerprint, json, true, result);
        }
        waitingBytes = 0;
        reserve(held());
    }

    private void complete() {
        if (pending.decrementAndGet() > 0) {
            return;
        }
        if (batch) {
            // To write a long answer takes a while, and it is Kafka's thread, as a rule, that brings the last outcome.
            request.getComponents().getExecutor().execute(this::answerBatch);
        } else if (results.get(0).problem != null) {
            answers.problem(response, callback, results.get(0).problem);
        } else {
            answers.json(response, callback, HttpStatus.ACCEPTED_202, ACCEPTED_ANSWER_BYTES, json -> {
                json.writeStartObject();
                results.get(0).writeTo(json);
                json.writeEndObject();
            });
        }
    }

    private void answerBatch() {
        int accepted = 0;
        ProblemException toRetry = null;
        ProblemException hopeless = null;
        for (Result result : results) {
            if (result.problem == null) {
                accepted++;
            } else if (result.problem.retryAfterSeconds() > 0) {
                toRetry = result.problem;
            } else {
                hopeless = result.problem;
            }
        }
        if (whole && hopeless != null) {
            // Found out by Kafka alone: larger than its topic takes. To send that again never helps.
            answers.problem(response, callback, hopeless);
            return;
        }
        if ((whole || accepted == 0) && toRetry != null) {
            answers.problem(response, callback, toRetry);
            return;
        }
        int status = accepted == results.size()
                ? HttpStatus.ACCEPTED_202
                : accepted > 0 ? HttpStatus.MULTI_STATUS_207 : HttpStatus.BAD_REQUEST_400;
        if (toRetry != null) {
            response.getHeaders().put(HttpHeader.RETRY_AFTER, toRetry.retryAfterSeconds());
        }
        int acceptedCount = accepted;
        answers.json(response, callback, status, results.size() * ACCEPTED_ANSWER_BYTES, json -> {
            json.writeStartObject();
            json.writeNumberField("accepted", acceptedCount);
            json.writeNumberField("rejected", results.size() - acceptedCount);
            json.writeArrayFieldStart("results");
            for (int i = 0; i < results.size(); i++) {
                json.writeStartObject();
                json.writeNumberField("index", i);
                results.get(i).writeTo(json);
                json.writeEndObject();
            }
            json.writeEndArray();
            json.writeEndObject();
        });
    }

    private void fail(Throwable failure) {
        ProblemException problem;
        if (failure instanceof ProblemException known) {
            problem = known;
        } else if (failure instanceof HttpException refused) {
            // Found out by the web server while it read the body, such as a chunk without a length.
            problem = new ProblemException(refused.getCode(), "the request is broken: " + refused.getReason());
        } else if (failure instanceof TimeoutException) {
            problem = new ProblemException(
                    HttpStatus.REQUEST_TIMEOUT_408, "the rest of the request did not arrive in time");
        } else if (failure instanceof IOException) {
            // The client has gone away.
            LOG.debug("A request did not arrive in full", failure);
            callback.failed(failure);
            return;
        } else {
            LOG.error("A request failed", failure);
            problem =
                    new ProblemException(HttpStatus.INTERNAL_SERVER_ERROR_500, "the service failed; its log says why");
        }
        // Where the body itself is at fault there is no telling what would be the rest of it.
        Callback afterwards =
                failure instanceof ProblemException ? new RequestBodyDrain(request, limits, callback) : callback;
        answers.problem(response, afterwards, problem);
    }

    /** What became of one event. */
    private final class Result implements EventPublisher.Outcome {

        private Fingerprint fingerprint;
        private byte[] waiting;
        private int bytes;
        private long sent;
        private int partition;
        private long offset;
        private ProblemException problem;

        @Override
        public void acknowledged(int acknowledgedPartition, long acknowledgedOffset) {
            partition = acknowledgedPartition;
            offset = acknowledgedOffset;
            stream.metrics().accepted(bytes, NanoTime.since(sent));
            complete();
        }

        @Override
        public void failed(ProblemException reason) {
            boolean tooLarge = reason.status() == HttpStatus.PAYLOAD_TOO_LARGE_413;
            reject(tooLarge ? Rejection.TOO_LARGE : Rejection.UNAVAILABLE, reason);
            complete();
        }

        void reject(Rejection rejection, ProblemException reason) {
            problem = reason;
            stream.metrics().rejected(rejection);
        }

        void writeTo(JsonGenerator json) throws IOException {
            if (problem == null) {
                json.writeStringField("status", "accepted");
                json.writeStringField("fingerprint", fingerprint.toString());
                json.writeStringField("topic", stream.name());
                json.writeNumberField("partition", partition);
                json.writeNumberField("offset", offset);
            } else {
                json.writeStringField("status", "rejected");
                json.writeStringField("error", problem.getMessage());
                if (problem.retryAfterSeconds() > 0) {
                    json.writeBooleanField("retry", true);
                }
            }
        }
    }
}
