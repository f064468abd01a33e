package io.github.eventdedup.proof.load;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * An answer of the ingest as it arrives over a connection (RFC 9112): with a length, in chunks, or up to the end of the
 * connection. Used for one answer after the other. Not thread-safe.
 */
final class HttpAnswer {

    /**
     * What became of one event of a request.
     *
     * @param index of the event in the request
     * @param fingerprint null unless the event was accepted
     * @param error why it was rejected, or null
     * @param retry whether it may be accepted when it is sent again
     */
    record Result(int index, String fingerprint, int partition, long offset, String error, boolean retry) {}

    private static final int FIRST_BYTES = 1024;
    private static final JsonFactory JSON = new JsonFactory();

    private ByteBuffer bytes = ByteBuffer.allocate(FIRST_BYTES);
    /** Of the head with the empty line after it; 0 while it is not all there. */
    private int headLength;

    private int bodyLength;
    private boolean chunked;
    private int nextChunk;
    private int status;
    private int retryAfterSeconds;
    private boolean closes;

    void clear() {
        bytes.clear();
        headLength = 0;
    }

    /** Where to put what is read next; never full. */
    ByteBuffer space() {
        if (!bytes.hasRemaining()) {
            bytes = ByteBuffer.allocate(2 * bytes.capacity()).put(bytes.flip());
        }
        return bytes;
    }

    /**
     * Whether all of the answer is there.
     *
     * @throws IOException where this is no HTTP
     */
    boolean isComplete() throws IOException {
        try {
            if (headLength == 0 && !readHead()) {
                return false;
            }
            if (!chunked) {
                return bytes.position() >= headLength + bodyLength;
            }
            return readChunks();
        } catch (NumberFormatException | StringIndexOutOfBoundsException e) {
            throw new IOException("an answer that is not HTTP", e);
        }
    }

    private boolean readHead() {
        int end = -1;
        byte[] array = bytes.array();
        for (int i = 3; i < bytes.position() && end < 0; i++) {
            if (array[i] == '\n' && array[i - 2] == '\n') {
                end = i + 1;
            }
        }
        if (end < 0) {
            return false;
        }
        headLength = end;
        String head = new String(array, 0, end, ISO_8859_1);
        status = Integer.parseInt(head.substring(9, 12));
        chunked = false;
        closes = false;
        retryAfterSeconds = 0;
        bodyLength = 0;
        for (int line = head.indexOf('\n') + 1; line < end - 2; line = head.indexOf('\n', line) + 1) {
            int colon = head.indexOf(':', line);
            String name = head.substring(line, colon);
            String value = head.substring(colon + 1, head.indexOf('\r', line)).strip();
            if (name.equalsIgnoreCase("Content-Length")) {
                bodyLength = Integer.parseInt(value);
            } else if (name.equalsIgnoreCase("Transfer-Encoding")) {
                chunked = value.equalsIgnoreCase("chunked");
                nextChunk = headLength;
            } else if (name.equalsIgnoreCase("Connection")) {
                closes = value.equalsIgnoreCase("close");
            } else if (name.equalsIgnoreCase("Retry-After")) {
                retryAfterSeconds = Integer.parseInt(value);
            }
        }
        return true;
    }

    /** Moves the chunks that have arrived together, behind the head. */
    private boolean readChunks() {
        byte[] array = bytes.array();
        while (true) {
            int lineEnd = nextChunk;
            while (lineEnd < bytes.position() && array[lineEnd] != '\n') {
                lineEnd++;
            }
            if (lineEnd == bytes.position()) {
                return false;
            }
            String size = new String(array, nextChunk, lineEnd - nextChunk, ISO_8859_1);
            int length = Integer.parseInt(size.replaceFirst("[;\r].*", "").strip(), 16);
            int end = lineEnd + 1 + length + 2;
            if (end > bytes.position()) {
                return false;
            }
            System.arraycopy(array, lineEnd + 1, array, headLength + bodyLength, length);
            bodyLength += length;
            nextChunk = end;
            if (length == 0) {
                return true;
            }
        }
    }

    int status() {
        return status;
    }

    /** 0 where the answer does not say. */
    int retryAfterSeconds() {
        return retryAfterSeconds;
    }

    /** Whether the connection ends with this answer. */
    boolean closes() {
        return closes;
    }

    /** The body as text, for people. */
    String text() {
        return new String(bytes.array(), headLength, bodyLength, ISO_8859_1);
    }

    /**
     * What became of the events, as far as the answer says it; of a single event, or of a batch.
     *
     * @throws IOException where the body is not as it should be
     */
    List<Result> results() throws IOException {
        try (JsonParser parser =
                JSON.createParser(Arrays.copyOfRange(bytes.array(), headLength, headLength + bodyLength))) {
            if (parser.nextToken() != JsonToken.START_OBJECT) {
                throw new IOException("an answer that is no JSON object: " + text());
            }
            List<Result> results = new ArrayList<>();
            Result single = result(parser, results);
            return results.isEmpty() && single.fingerprint != null ? List.of(single) : results;
        }
    }

    /** Reads the object that the parser is in. */
    private static Result result(JsonParser parser, List<Result> nested) throws IOException {
        int index = 0;
        String fingerprint = null;
        int partition = -1;
        long offset = -1;
        String error = null;
        boolean retry = false;
        for (String name = parser.nextFieldName(); name != null; name = parser.nextFieldName()) {
            JsonToken token = parser.nextToken();
            switch (name) {
                case "index" -> index = parser.getIntValue();
                case "fingerprint" -> fingerprint = parser.getText();
                case "partition" -> partition = parser.getIntValue();
                case "offset" -> offset = parser.getLongValue();
                case "error" -> error = parser.getText();
                case "retry" -> retry = parser.getBooleanValue();
                case "results" -> {
                    while (token == JsonToken.START_ARRAY && parser.nextToken() == JsonToken.START_OBJECT) {
                        nested.add(result(parser, nested));
                    }
                }
                default -> parser.skipChildren();
            }
        }
        return new Result(index, fingerprint, partition, offset, error, retry);
    }
}
