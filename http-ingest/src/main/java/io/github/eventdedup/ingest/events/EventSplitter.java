package io.github.eventdedup.ingest.events;

import java.nio.ByteBuffer;
import java.util.Arrays;

/**
 * Cuts the body of a request into events while it arrives. It keeps no more than the event whose end has not been seen,
 * and none of one that is too large. Not thread-safe.
 *
 * <p>Only the borders are looked for: what lies between them, {@link io.github.eventdedup.event.EventReader} judges.
 */
final class EventSplitter {

    /** How the events of a body are separated. */
    enum Framing {
        /** The whole body is the event. */
        SINGLE,
        /** The elements of a JSON array. */
        ARRAY,
        /** A line each; empty lines count for nothing. */
        LINES
    }

    /** What becomes of the events, in the order sent. */
    interface Sink {

        /** Here is one: the array is the sink's own from now on. */
        void event(byte[] json);

        /** There was something where an event should have been, and this is what is wrong with it. */
        void noEvent(String reason);

        /** An event is longer than the limit. */
        void tooLarge();
    }

    private final Framing framing;
    private final int maxEventBytes;
    private final Sink sink;

    private byte[] buffer = {};
    /** What the buffer holds: the bytes of the current event so far, from {@code start}; looked at up to {@code at}. */
    private int start;

    private int at;
    private int end;
    /** Where the last byte of the current event that is not white space ends. */
    private int textEnd;

    private boolean skipping;

    // Where in an array the position is.
    private boolean opened;
    private boolean closed;
    private boolean moreAfterEnd;
    private boolean hasElements;
    private boolean inString;
    private boolean escaped;
    private int depth;

    EventSplitter(Framing framing, int maxEventBytes, Sink sink) {
        this.framing = framing;
        this.maxEventBytes = maxEventBytes;
        this.sink = sink;
    }

    /** Takes the next bytes of the body. */
    void add(ByteBuffer bytes) {
        append(bytes);
        switch (framing) {
            case SINGLE -> at = end;
            case ARRAY -> scanArray();
            case LINES -> scanLines();
        }
        if (end - start > maxEventBytes && !skipping) {
            if (framing == Framing.SINGLE) {
                skipping = true;
                // The rest cannot be used, so the sink is told before it is read.
                sink.tooLarge();
            } else {
                dropBlanks();
            }
        }
        if (skipping) {
            start = end;
        }
    }

    /** Keeps no more than an event and a byte; white space around an event is not part of it, however much there is. */
    private void dropBlanks() {
        while (start < end && isSpace(buffer[start])) {
            start++;
        }
        if (textEnd - start > maxEventBytes) {
            skipping = true;
        } else if (end - start > maxEventBytes) {
            // All of this is blank. Whatever but blanks follows, the event is then too large with one of them as with
            // all.
            end = start + maxEventBytes;
            at = end;
        }
    }

    /** Takes the end of the body. */
    void end() {
        switch (framing) {
            case SINGLE -> emit(end);
            case LINES -> {
                if (skipping || !isBlank(start, end)) {
                    emit(end);
                }
            }
            case ARRAY -> {
                if (!closed) {
                    if (skipping || !isBlank(start, end)) {
                        emit(end);
                    }
                    sink.noEvent("the array does not end; the body may have been cut short");
                } else if (moreAfterEnd) {
                    sink.noEvent("there is more after the end of the array");
                }
            }
        }
    }

    /** The memory that is held. */
    int bufferBytes() {
        return buffer.length;
    }

    private void append(ByteBuffer bytes) {
        int held = end - start;
        int needed = held + bytes.remaining();
        if (needed > buffer.length) {
            // The first time exactly what is there: nearly every event comes in one piece and needs no more.
            byte[] larger = new byte[Math.max(needed, Math.min(2 * buffer.length, maxEventBytes))];
            System.arraycopy(buffer, start, larger, 0, held);
            buffer = larger;
        } else if (start > 0) {
            System.arraycopy(buffer, start, buffer, 0, held);
        }
        at -= start;
        textEnd = Math.max(textEnd - start, 0);
        start = 0;
        end = needed;
        bytes.get(buffer, held, bytes.remaining());
        for (int i = end; i > held; i--) {
            if (!isSpace(buffer[i - 1])) {
                textEnd = i;
                break;
            }
        }
    }

    private void scanLines() {
        for (; at < end; at++) {
            if (buffer[at] == '\n') {
                if (skipping || !isBlank(start, at)) {
                    emit(at);
                }
                start = at + 1;
            }
        }
    }

    private void scanArray() {
        for (; at < end && !closed; at++) {
            scanArray(buffer[at]);
        }
        if (closed) {
            moreAfterEnd |= !isBlank(at, end);
            at = end;
            start = end;
        }
    }

    private void scanArray(byte b) {
        if (inString) {
            if (escaped) {
                escaped = false;
            } else if (b == '\\') {
                escaped = true;
            } else if (b == '"') {
                inString = false;
            }
        } else if (b == '"') {
            inString = true;
        } else if (b == '{' || b == '[') {
            open();
        } else if (b == '}' || b == ']') {
            close(b);
        } else if (b == ',' && depth == 0 && opened) {
            emit(at);
            hasElements = true;
            start = at + 1;
        }
    }

    private void open() {
        if (opened) {
            depth++;
        } else {
            // The body was found to begin with it.
            opened = true;
            start = at + 1;
        }
    }

    private void close(byte bracket) {
        if (depth > 0) {
            depth--;
        } else if (bracket == ']') {
            if (hasElements || skipping || !isBlank(start, at)) {
                emit(at);
            }
            closed = true;
        }
    }

    /** The event that ends before this position. */
    private void emit(int limit) {
        if (skipping) {
            skipping = false;
            if (framing != Framing.SINGLE) {
                sink.tooLarge();
            }
            return;
        }
        if (framing == Framing.SINGLE) {
            sink.event(limit == buffer.length ? buffer : Arrays.copyOf(buffer, limit));
            return;
        }
        int first = start;
        int last = limit;
        while (first < last && isSpace(buffer[first])) {
            first++;
        }
        while (first < last && isSpace(buffer[last - 1])) {
            last--;
        }
        if (last - first > maxEventBytes) {
            sink.tooLarge();
        } else {
            sink.event(Arrays.copyOfRange(buffer, first, last));
        }
    }

    private boolean isBlank(int from, int to) {
        for (int i = from; i < to; i++) {
            if (!isSpace(buffer[i])) {
                return false;
            }
        }
        return true;
    }

    /** Whether the byte is white space to JSON. */
    static boolean isSpace(byte b) {
        return b == ' ' || b == '\n' || b == '\r' || b == '\t';
    }
}
