package io.github.eventdedup.ingest.events;

import io.github.eventdedup.ingest.settings.IngestSettings.Limits;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.util.Callback;

/**
 * After a response that was sent before the body had arrived: reads the rest of the body, and discards it.
 *
 * <p>Closing a connection while data is still arriving resets it, and after a reset the client may never see the
 * response, which has the reason.
 */
final class RequestBodyDrain implements Callback {

    private final Request request;
    private final Callback callback;
    /** How much is still read; a client that sends more is cut off. */
    private long left;

    /** @param callback completed when the body has ended */
    RequestBodyDrain(Request request, Limits limits, Callback callback) {
        this.request = request;
        this.callback = callback;
        // A client that waits for 100 Continue sends no body now.
        left = request.getHeaders().contains(HttpHeader.EXPECT) ? 0 : limits.bodyBytes();
    }

    @Override
    public void succeeded() {
        try {
            while (left > 0) {
                Content.Chunk chunk = request.read();
                if (chunk == null) {
                    request.demand(this::succeeded);
                    return;
                }
                if (Content.Chunk.isFailure(chunk)) {
                    break;
                }
                left -= chunk.remaining();
                chunk.release();
                if (chunk.isLast()) {
                    break;
                }
            }
            callback.succeeded();
        } catch (Throwable failure) {
            callback.failed(failure);
        }
    }

    @Override
    public void failed(Throwable failure) {
        callback.failed(failure);
    }
}
