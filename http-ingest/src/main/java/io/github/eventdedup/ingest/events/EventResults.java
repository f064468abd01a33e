package io.github.eventdedup.ingest.events;

import io.github.eventdedup.event.Fingerprint;
import io.github.eventdedup.event.InvalidEventException;
import io.github.eventdedup.ingest.events.EventsRequest.Stream;
import io.github.eventdedup.ingest.metrics.IngestMetrics.Rejection;
import io.github.eventdedup.ingest.response.ProblemException;
import io.github.eventdedup.ingest.settings.IngestSettings;
import io.github.eventdedup.ingest.settings.IngestSettings.Limits;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicIntegerFieldUpdater;
import org.eclipse.jetty.http.HttpStatus;

/**
 * The events of one request: reads each as soon as it has arrived, hands it to Kafka, and collects what became of it. Where
 * a batch is taken as a whole, its events wait here for its end.
 *
 * <p>The body's thread adds events; outcomes come from Kafka's. The request is answered by the thread that brings the last.
 */
final class EventResults implements EventSplitter.Sink {

    /** Of the field rather than an object of its own: most requests have one event, and each object counts. */
    private static final AtomicIntegerFieldUpdater<EventResults> PENDING =
            AtomicIntegerFieldUpdater.newUpdater(EventResults.class, "pending");

    private final EventsRequest request;
    private boolean batch;
    /** What the events take that wait for the end of a batch which is taken as a whole, beside their results. */
    private long waitingBytes;

    private final List<EventResult> all = new ArrayList<>(1);
    /** One for each event without an outcome, and one for the body as long as it arrives. */
    @SuppressWarnings("UnusedVariable") // read by PENDING
    private volatile int pending = 1;

    /** @param request is answered once its body has ended and each event has its outcome */
    EventResults(EventsRequest request) {
        this.request = request;
    }

    Stream stream() {
        return request.stream();
    }

    private Limits limits() {
        return request.limits();
    }

    private boolean isWholeBatch() {
        return batch && request.form().whole();
    }

    /** There may be any number of events. */
    void startBatch() {
        batch = true;
    }

    boolean isBatch() {
        return batch;
    }

    /** In the order of the events. */
    List<EventResult> all() {
        return all;
    }

    /** What is held of the events and their results. */
    long heldBytes() {
        return (batch ? (long) all.size() * EventsRequest.RESULT_BYTES : 0) + waitingBytes;
    }

    @Override
    public void event(byte[] json) {
        EventResult result = add();
        Fingerprint fingerprint;
        try {
            fingerprint = stream().reader().read(json).fingerprint();
        } catch (InvalidEventException e) {
            result.reject(
                    Rejection.INVALID, new ProblemException(HttpStatus.BAD_REQUEST_400, "the event " + e.getMessage()));
            return;
        }
        result.valid(fingerprint, json.length);
        if (isWholeBatch()) {
            result.keep(json);
            waitingBytes += json.length;
            return;
        }
        result.sent();
        PENDING.incrementAndGet(this);
        stream().publisher().publish(stream().name(), fingerprint, json, batch, result);
    }

    @Override
    public void noEvent(String reason) {
        add().reject(Rejection.INVALID, new ProblemException(HttpStatus.BAD_REQUEST_400, reason));
    }

    @Override
    public void tooLarge() {
        ProblemException problem = EventsRequest.eventTooLarge(limits());
        add().reject(Rejection.TOO_LARGE, problem);
        if (!batch) {
            throw problem;
        }
    }

    private EventResult add() {
        if (all.size() == limits().batchEvents()) {
            throw new ProblemException(
                    HttpStatus.PAYLOAD_TOO_LARGE_413,
                    "the batch is too large; at most " + limits().batchEvents() + " events are taken, and "
                            + inParts());
        }
        EventResult result = new EventResult(this);
        all.add(result);
        return result;
    }

    ProblemException neverFits() {
        return new ProblemException(
                HttpStatus.PAYLOAD_TOO_LARGE_413,
                "the batch needs more memory than a request can have, " + IngestSettings.MAX_IN_FLIGHT_BYTES + " = "
                        + limits().inFlightBytes() + " bytes; " + inParts() + ", or raise the setting");
    }

    private String inParts() {
        return request.form().whole()
                ? "nothing of it was accepted. Send it in parts"
                : "its first events may have been accepted. Send it again in parts";
    }

    /**
     * The body has ended: sends what has waited for that.
     *
     * @throws ProblemException where there are no events, or a batch is refused as a whole
     */
    void end() {
        if (all.isEmpty()) {
            throw new ProblemException(HttpStatus.BAD_REQUEST_400, "the batch is empty; send one event or more");
        }
        if (isWholeBatch()) {
            publishWaiting();
        }
    }

    /** Hands all events of the batch over that have waited for its end, or none. */
    private void publishWaiting() {
        int rejected = 0;
        int first = -1;
        long bytes = 0;
        for (int i = 0; i < all.size(); i++) {
            EventResult result = all.get(i);
            if (result.problem() != null) {
                first = rejected++ == 0 ? i : first;
            }
            bytes += result.bytes() + EventPublisher.RECORD_OVERHEAD_BYTES;
        }
        ProblemException problem = null;
        if (rejected > 0) {
            problem = new ProblemException(
                    HttpStatus.BAD_REQUEST_400,
                    "nothing of the batch was accepted, as on-error=fail asks for: " + rejected + " of its "
                            + all.size() + " events cannot be taken. Index " + first + ", counted from 0: "
                            + all.get(first).problem().getMessage());
        } else if (bytes > limits().inFlightBytes()) {
            problem = neverFits();
        } else {
            problem = stream().publisher().reserve(stream().name(), (int) bytes);
        }
        if (problem != null) {
            for (EventResult result : all) {
                if (result.problem() == null) {
                    result.reject(problem.retryAfterSeconds() > 0 ? Rejection.UNAVAILABLE : Rejection.BATCH, problem);
                }
            }
            throw problem;
        }
        for (EventResult result : all) {
            byte[] json = result.release();
            result.sent();
            PENDING.incrementAndGet(this);
            stream().publisher().publishReserved(stream().name(), result.fingerprint(), json, true, result);
        }
        waitingBytes = 0;
    }

    /** The body has ended, or an event has its outcome. */
    void complete() {
        if (PENDING.decrementAndGet(this) == 0) {
            request.answer();
        }
    }
}
