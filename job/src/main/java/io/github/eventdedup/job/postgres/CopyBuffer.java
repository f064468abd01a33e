package io.github.eventdedup.job.postgres;

import io.github.eventdedup.event.PostgresTable;
import io.github.eventdedup.job.model.IdentifiedEvent;
import io.github.eventdedup.job.model.SourceRecord;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;

/**
 * Writes rows in Postgres's binary COPY format (PostgreSQL manual, "COPY", File Formats) into a buffer that is used
 * again for every batch. Binary, because the document then passes through untouched: text format would escape every
 * quote and backslash of it here and undo that there.
 *
 * <p>Not thread-safe.
 */
public final class CopyBuffer {

    private static final byte[] SIGNATURE = {'P', 'G', 'C', 'O', 'P', 'Y', '\n', (byte) 0xFF, '\r', '\n', 0};
    private static final long POSTGRES_EPOCH_MICROS = 946_684_800_000_000L;
    private static final int NULL = -1;

    private byte[] bytes;
    private int length;

    CopyBuffer(int capacity) {
        bytes = new byte[capacity];
    }

    /** The values of the mapped columns as they stand in a row. */
    public static byte[] columns(List<Object> values) {
        CopyBuffer encoder = new CopyBuffer(256);
        for (Object value : values) {
            encoder.putField(value);
        }
        return Arrays.copyOf(encoder.bytes, encoder.length);
    }

    /** The bytes written so far; valid up to {@link #length()} and until the next call. */
    byte[] bytes() {
        return bytes;
    }

    int length() {
        return length;
    }

    /** Starts over with the header of a COPY. */
    void begin() {
        length = 0;
        putBytes(SIGNATURE);
        putInt(0); // flags
        putInt(0); // no header extension
    }

    /** Appends a row: {@link UpsertSql#columns} in their order. */
    void putRow(IdentifiedEvent event, PostgresTable table) {
        SourceRecord source = event.source();
        PostgresTable.Document document = table.document();
        putShort(4 + table.columns().size() + (document == null ? 0 : 1));
        putInt(32);
        putLong(event.fingerprint().first());
        putLong(event.fingerprint().second());
        putLong(event.fingerprint().third());
        putLong(event.fingerprint().fourth());
        putInt(Integer.BYTES);
        putInt(source.partition());
        putInt(Long.BYTES);
        putLong(source.offset());
        putTimestamp(source.timestamp() * 1000);
        putBytes(event.columns());
        if (document != null) {
            boolean jsonb = document.type() == PostgresTable.Document.Type.JSONB;
            putInt(source.value().length + (jsonb ? 1 : 0));
            if (jsonb) {
                putByte(1); // the version of jsonb's binary form
            }
            putBytes(source.value());
        }
    }

    /** Ends the COPY. */
    void end() {
        putShort(-1);
    }

    private void putField(Object value) {
        if (value == null) {
            putInt(NULL);
        } else if (value instanceof String text) {
            byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
            putInt(utf8.length);
            putBytes(utf8);
        } else if (value instanceof Long number) {
            putInt(Long.BYTES);
            putLong(number);
        } else if (value instanceof Double number) {
            putInt(Double.BYTES);
            putLong(Double.doubleToLongBits(number));
        } else if (value instanceof Boolean truth) {
            putInt(1);
            putByte(truth ? 1 : 0);
        } else if (value instanceof Instant instant) {
            putTimestamp(epochMicros(instant));
        } else {
            throw new IllegalArgumentException("no column type has values of " + value.getClass());
        }
    }

    /**
     * The whole range of a timestamp column fits. {@code ChronoUnit.MICROS.between} is no substitute: it computes with
     * nanoseconds, which overflow 292 years from 1970.
     */
    private static long epochMicros(Instant instant) {
        return instant.getEpochSecond() * 1_000_000 + instant.getNano() / 1_000;
    }

    private void putTimestamp(long epochMicros) {
        putInt(Long.BYTES);
        putLong(epochMicros - POSTGRES_EPOCH_MICROS);
    }

    private void putByte(int value) {
        ensure(1);
        bytes[length++] = (byte) value;
    }

    private void putShort(int value) {
        putByte(value >>> 8);
        putByte(value);
    }

    private void putInt(int value) {
        putShort(value >>> 16);
        putShort(value);
    }

    private void putLong(long value) {
        putInt((int) (value >>> 32));
        putInt((int) value);
    }

    private void putBytes(byte[] source) {
        ensure(source.length);
        System.arraycopy(source, 0, bytes, length, source.length);
        length += source.length;
    }

    private void ensure(int more) {
        if (more > bytes.length - length) {
            bytes = Arrays.copyOf(bytes, Math.max(bytes.length * 2, length + more));
        }
    }
}
