package io.github.eventdedup.job.model;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeader;

/**
 * The headers of a Kafka record as bytes, so that a record travels through the job without a serializer for each of them.
 * Format: for each header the length of its name, the name in UTF-8, the length of its value (-1 for null), the value.
 */
public final class HeaderBytes {

    private static final int NULL = -1;

    private HeaderBytes() {}

    /** The headers as bytes; null where there are none, which is nearly always. */
    public static byte[] write(Headers headers) {
        List<byte[]> names = new ArrayList<>();
        int length = 0;
        for (Header header : headers) {
            byte[] name = header.key().getBytes(UTF_8);
            names.add(name);
            length += 2 * Integer.BYTES + name.length + (header.value() == null ? 0 : header.value().length);
        }
        if (names.isEmpty()) {
            return null;
        }
        ByteBuffer bytes = ByteBuffer.allocate(length);
        int at = 0;
        for (Header header : headers) {
            byte[] name = names.get(at++);
            bytes.putInt(name.length).put(name);
            byte[] value = header.value();
            bytes.putInt(value == null ? NULL : value.length);
            if (value != null) {
                bytes.put(value);
            }
        }
        return bytes.array();
    }

    /** The headers that {@link #write} was given, in their order. */
    public static List<Header> read(byte[] written) {
        List<Header> headers = new ArrayList<>();
        if (written != null) {
            ByteBuffer bytes = ByteBuffer.wrap(written);
            while (bytes.hasRemaining()) {
                String name = new String(next(bytes, bytes.getInt()), UTF_8);
                int length = bytes.getInt();
                headers.add(new RecordHeader(name, length == NULL ? null : next(bytes, length)));
            }
        }
        return headers;
    }

    private static byte[] next(ByteBuffer bytes, int length) {
        byte[] next = new byte[length];
        bytes.get(next);
        return next;
    }
}
