package io.github.eventdedup.ingest.events;

import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.ingest.events.EventSplitter.Framing;
import io.github.eventdedup.ingest.metrics.IngestMetrics;
import io.github.eventdedup.ingest.response.ProblemException;
import io.github.eventdedup.ingest.settings.IngestSettings.Limits;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeoutException;
import org.eclipse.jetty.http.HttpException;
import org.eclipse.jetty.http.HttpStatus;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One request with events: hands each to Kafka as soon as it has arrived, and answers once Kafka has acknowledged all.
 * No thread waits, neither for the client nor for Kafka.
 *
 * <p>The body is read by one thread at a time; outcomes come from Kafka's.
 */
public final class EventsRequest {

    private static final Logger LOG = LoggerFactory.getLogger(EventsRequest.class);

    /** What the result of an event takes until the batch is answered: the object, and its line in the answer. */
    public static final int RESULT_BYTES = 512;

    private final Stream stream;
    private final Service service;
    private final Form form;
    private final Request request;
    private final Response response;
    private final Callback callback;

    private final EventResults results;
    private final GzipBody gzip;
    private EventSplitter splitter;
    private long bodyBytes;
    private long compressedBytes;
    private int reserved;

    /** The streams' own parts that all requests share. */
    public record Stream(String name, EventReader reader, EventPublisher publisher, IngestMetrics.OfStream metrics) {}

    /**
     * What all requests share.
     *
     * @param arriving what all of them together may hold of bodies and results
     */
    record Service(Limits limits, Semaphore arriving, EventsAnswer answers) {}

    /**
     * What a request says of its body.
     *
     * @param lines whether it is NDJSON; otherwise it is JSON
     * @param gzip whether it is compressed
     * @param batchesTaken whether an array is a batch; otherwise it is an event that is wrong
     * @param whole whether a batch is refused as a whole where one of its events is
     */
    record Form(boolean lines, boolean gzip, boolean batchesTaken, boolean whole) {

        /** As nearly all requests are; they share it. */
        private static final Form PLAIN_JSON = new Form(false, false, true, false);

        private static final Form LEGACY_JSON = new Form(false, false, false, false);

        static Form of(boolean lines, boolean gzip, boolean batchesTaken, boolean whole) {
            if (lines || gzip || whole) {
                return new Form(lines, gzip, batchesTaken, whole);
            }
            return batchesTaken ? PLAIN_JSON : LEGACY_JSON;
        }
    }

    /** @param callback completed when the request has been answered */
    EventsRequest(Stream stream, Service service, Form form, Request request, Response response, Callback callback) {
        this.stream = stream;
        this.service = service;
        this.form = form;
        this.request = request;
        this.response = response;
        this.callback = Callback.from(callback, this::release);
        results = new EventResults(this);
        gzip = form.gzip ? new GzipBody(this::take) : null;
        if (form.lines) {
            frame(Framing.LINES);
        }
    }

    Stream stream() {
        return stream;
    }

    Limits limits() {
        return service.limits;
    }

    Form form() {
        return form;
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
        if (compressedBytes > limits().bodyBytes()) {
            // There are compressed data of any length that expand to nothing.
            throw bodyTooLarge(limits());
        }
        gzip.add(bytes);
    }

    private void take(ByteBuffer bytes) {
        bodyBytes += bytes.remaining();
        if (bodyBytes > limits().bodyBytes()) {
            throw bodyTooLarge(limits());
        }
        if (splitter == null) {
            while (bytes.hasRemaining() && EventSplitter.isSpace(bytes.get(bytes.position()))) {
                bytes.get();
            }
            if (!bytes.hasRemaining()) {
                return;
            }
            boolean array = bytes.get(bytes.position()) == '[';
            frame(array && form.batchesTaken ? Framing.ARRAY : Framing.SINGLE);
        }
        splitter.add(bytes);
        if (results.isBatch()) {
            reserve(held());
        }
    }

    private long held() {
        return (splitter == null ? 0 : splitter.bufferBytes()) + results.heldBytes();
    }

    private void frame(Framing framing) {
        splitter = new EventSplitter(framing, limits().eventBytes(), results);
        if (framing != Framing.SINGLE) {
            results.startBatch();
        }
    }

    /** Counts what is held against what all requests together may hold. */
    private void reserve(long bytes) {
        if (bytes > limits().inFlightBytes()) {
            throw results.neverFits();
        }
        int held = (int) bytes;
        if (held > reserved && !service.arriving.tryAcquire(held - reserved)) {
            throw ProblemException.unavailable("too much is arriving at once; try again");
        }
        if (held < reserved) {
            service.arriving.release(reserved - held);
        }
        reserved = held;
    }

    private void release() {
        service.arriving.release(reserved);
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
        results.end();
        reserve(held());
        results.complete();
    }

    /** Answers, once the body has ended and each event has its outcome. */
    void answer() {
        if (results.isBatch()) {
            // To write a long answer takes a while, and it is Kafka's thread, as a rule, that brings the last outcome.
            request.getComponents().getExecutor().execute(this::answerBatch);
        } else {
            service.answers.single(response, callback, results.all().get(0));
        }
    }

    private void answerBatch() {
        service.answers.batch(response, callback, results.all(), form.whole());
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
                failure instanceof ProblemException ? new RequestBodyDrain(request, limits(), callback) : callback;
        service.answers.problem(response, afterwards, problem);
    }
}
