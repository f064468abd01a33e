package io.github.eventdedup.ingest.events;

import io.github.eventdedup.ingest.settings.IngestSettings.Limits;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.util.Callback;

/**
 * What to do after an answer that was given before the body had arrived: takes the rest of it, and forgets it.
 *
 * <p>To close a connection on which something is still arriving resets it, and a client that is told of the reset may
 * never see the answer, which says why.
 */
final class RequestBodyDrain implements Callback {

    private final Request request;
    private final Callback callback;
    /** What is still taken; whoever sends more is cut off. */
    private long left;

    /** @param callback completed when the body has ended */
    RequestBodyDrain(Request request, Limits limits, Callback callback) {
        this.request = request;
        this.callback = callback;
        // A client that expects to be asked for the body sends none now.
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
