package io.github.eventdedup.ingest.events;

import io.github.eventdedup.ingest.response.ProblemException;
import java.nio.ByteBuffer;
import java.util.function.Consumer;
import java.util.zip.ZipException;
import org.eclipse.jetty.http.GZIPContentDecoder;
import org.eclipse.jetty.http.HttpStatus;
import org.eclipse.jetty.io.RetainableByteBuffer;

/**
 * Decompresses a body while it arrives, and passes it on in small pieces: a body that expands without bounds takes no
 * more memory than one of them. Not thread-safe.
 *
 * <p>The length at the end of the data is checked, the checksum is not.
 */
final class GzipBody implements AutoCloseable {

    private static final int PIECE_BYTES = 8 * 1024;

    private final Decoder decoder;

    /** @param sink receives each piece; an exception from it ends the decompression */
    GzipBody(Consumer<ByteBuffer> sink) {
        decoder = new Decoder(sink);
    }

    private static final class Decoder extends GZIPContentDecoder {

        private final Consumer<ByteBuffer> sink;

        Decoder(Consumer<ByteBuffer> sink) {
            super(PIECE_BYTES);
            this.sink = sink;
        }

        void add(ByteBuffer compressed) {
            // It comes back after each of the parts that a body may consist of.
            while (compressed.hasRemaining()) {
                decodeChunks(compressed);
            }
        }

        @Override
        protected boolean decodedChunk(RetainableByteBuffer piece) {
            sink.accept(piece.getByteBuffer());
            return false;
        }
    }

    /** @throws ProblemException 400 where these bytes are not gzip */
    void add(ByteBuffer compressed) {
        try {
            decoder.add(compressed);
        } catch (RuntimeException e) {
            if (e.getCause() instanceof ZipException) {
                throw new ProblemException(
                        HttpStatus.BAD_REQUEST_400, "the body is not gzip, as its Content-Encoding says");
            }
            throw e;
        }
    }

    /** Whether the compressed data have come to their end. */
    boolean isComplete() {
        return decoder.isFinished();
    }

    @Override
    public void close() {
        decoder.destroy();
    }
}
