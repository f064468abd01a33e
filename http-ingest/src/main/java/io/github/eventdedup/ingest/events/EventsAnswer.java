package io.github.eventdedup.ingest.events;

import io.github.eventdedup.ingest.response.ProblemException;
import io.github.eventdedup.ingest.response.ResponseWriter;
import java.util.List;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.http.HttpStatus;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;

/** Answers requests with what became of their events. Thread-safe. */
final class EventsAnswer {

    private static final int ACCEPTED_ANSWER_BYTES = 256;

    private final ResponseWriter answers;

    EventsAnswer(ResponseWriter answers) {
        this.answers = answers;
    }

    void problem(Response response, Callback callback, ProblemException problem) {
        answers.problem(response, callback, problem);
    }

    /** Of a request with one event. */
    void single(Response response, Callback callback, EventResult result) {
        if (result.problem() != null) {
            answers.problem(response, callback, result.problem());
        } else {
            answers.json(response, callback, HttpStatus.ACCEPTED_202, ACCEPTED_ANSWER_BYTES, json -> {
                json.writeStartObject();
                result.writeTo(json);
                json.writeEndObject();
            });
        }
    }

    /** @param whole whether the batch is answered as a whole where one of its events is rejected */
    void batch(Response response, Callback callback, List<EventResult> results, boolean whole) {
        int accepted = 0;
        ProblemException toRetry = null;
        ProblemException hopeless = null;
        for (EventResult result : results) {
            if (result.problem() == null) {
                accepted++;
            } else if (result.problem().retryAfterSeconds() > 0) {
                toRetry = result.problem();
            } else {
                hopeless = result.problem();
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
}
