package io.github.eventdedup.ingest;

import jakarta.servlet.ReadListener;
import jakarta.servlet.ServletInputStream;
import jakarta.servlet.http.HttpServletRequest;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.concurrent.CompletableFuture;
import org.eclipse.jetty.http.HttpStatus;

/**
 * Reads the body of a request without a thread that waits for the client: a handful of clients that send half a body
 * would otherwise hold every thread there is.
 */
final class RequestBody implements ReadListener {

    private static final int CHUNK_BYTES = 8 * 1024;

    private final ServletInputStream in;
    private final int maxBytes;
    private final ByteArrayOutputStream read = new ByteArrayOutputStream(CHUNK_BYTES);
    private final CompletableFuture<byte[]> body = new CompletableFuture<>();

    private RequestBody(ServletInputStream in, int maxBytes) {
        this.in = in;
        this.maxBytes = maxBytes;
    }

    /**
     * The body, once all of it is there.
     *
     * @param request one that has been switched to asynchronous processing
     * @param maxBytes a longer body fails with a {@link Problem} 413, unread where its length is declared
     */
    static CompletableFuture<byte[]> read(HttpServletRequest request, int maxBytes) {
        long length = request.getContentLengthLong();
        if (length > maxBytes) {
            return CompletableFuture.failedFuture(tooLarge(maxBytes));
        }
        try {
            ServletInputStream in = request.getInputStream();
            // Nearly every event arrives in one piece with its headers; then no listener is needed.
            if (length >= 0 && in.available() >= length) {
                return CompletableFuture.completedFuture(in.readNBytes((int) length));
            }
            RequestBody reading = new RequestBody(in, maxBytes);
            in.setReadListener(reading);
            return reading.body;
        } catch (IOException e) {
            return CompletableFuture.failedFuture(e);
        }
    }

    private static Problem tooLarge(int maxBytes) {
        return new Problem(
                HttpStatus.PAYLOAD_TOO_LARGE_413, "the body is too large; at most " + maxBytes + " bytes are taken");
    }

    @Override
    public void onDataAvailable() throws IOException {
        byte[] chunk = new byte[CHUNK_BYTES];
        while (!body.isDone() && in.isReady()) {
            int count = in.read(chunk);
            if (count < 0) {
                return;
            }
            read.write(chunk, 0, count);
            if (read.size() > maxBytes) {
                body.completeExceptionally(tooLarge(maxBytes));
            }
        }
    }

    @Override
    public void onAllDataRead() {
        body.complete(read.toByteArray());
    }

    @Override
    public void onError(Throwable failure) {
        body.completeExceptionally(failure);
    }
}
