package io.github.eventdedup.ingest.events;

import com.fasterxml.jackson.core.JsonGenerator;
import io.github.eventdedup.event.Fingerprint;
import io.github.eventdedup.ingest.metrics.IngestMetrics.Rejection;
import io.github.eventdedup.ingest.response.ProblemException;
import java.io.IOException;
import org.eclipse.jetty.http.HttpStatus;
import org.eclipse.jetty.util.NanoTime;

/** What became of one event of a request. The body's thread fills it, and Kafka's where Kafka has the event. */
final class EventResult implements EventPublisher.Outcome {

    private final EventResults all;
    private Fingerprint fingerprint;
    private byte[] waiting;
    private int bytes;
    private long sent;
    private int partition;
    private long offset;
    private ProblemException problem;

    EventResult(EventResults all) {
        this.all = all;
    }

    /** It is an event. */
    void valid(Fingerprint itsFingerprint, int itsBytes) {
        fingerprint = itsFingerprint;
        bytes = itsBytes;
    }

    Fingerprint fingerprint() {
        return fingerprint;
    }

    int bytes() {
        return bytes;
    }

    /** Keeps the event until the end of its batch. */
    void keep(byte[] json) {
        waiting = json;
    }

    /** The event that was kept, which is forgotten here. */
    byte[] release() {
        byte[] json = waiting;
        waiting = null;
        return json;
    }

    /** It is handed to Kafka now. */
    void sent() {
        sent = NanoTime.now();
    }

    @Override
    public void acknowledged(int acknowledgedPartition, long acknowledgedOffset) {
        partition = acknowledgedPartition;
        offset = acknowledgedOffset;
        all.stream().metrics().accepted(bytes, NanoTime.since(sent));
        all.complete();
    }

    @Override
    public void failed(ProblemException reason) {
        boolean tooLarge = reason.status() == HttpStatus.PAYLOAD_TOO_LARGE_413;
        reject(tooLarge ? Rejection.TOO_LARGE : Rejection.UNAVAILABLE, reason);
        all.complete();
    }

    void reject(Rejection rejection, ProblemException reason) {
        problem = reason;
        all.stream().metrics().rejected(rejection);
    }

    /** Why it is rejected, or null. */
    ProblemException problem() {
        return problem;
    }

    /** Writes it as members of a JSON object. */
    void writeTo(JsonGenerator json) throws IOException {
        if (problem == null) {
            json.writeStringField("status", "accepted");
            json.writeStringField("fingerprint", fingerprint.toString());
            json.writeStringField("topic", all.stream().name());
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
