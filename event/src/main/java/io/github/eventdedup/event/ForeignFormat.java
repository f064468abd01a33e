package io.github.eventdedup.event;

import java.nio.ByteBuffer;

/** Says which format bytes are in that are no JSON text, where their beginning tells, and what to send instead. */
final class ForeignFormat {

    private static final String AVRO = "; send JSON text, with a serializer that writes no Avro";

    private ForeignFormat() {}

    /** Cheap for what begins as an event does. */
    static void check(byte[] event) throws InvalidEventException {
        if (event.length < 5 || (event[0] == '{' && event[1] != 0)) {
            return;
        }
        ByteBuffer bytes = ByteBuffer.wrap(event);
        int first = bytes.getInt(0);
        if ((first >>> 16) == 0xFEFF
                || (first >>> 16) == 0xFFFE
                || (first >>> 16) == '{'
                || (first >>> 16) == ('{' << 8)) {
            throw new InvalidEventException(ReasonCode.NOT_UTF8, "is UTF-16; send UTF-8");
        }
        if (event[0] == 0) {
            throw new InvalidEventException(
                    ReasonCode.NOT_JSON,
                    "is not JSON: it starts with the framing of Confluent's Schema Registry (a byte 0, then schema id "
                            + Integer.toUnsignedString(bytes.getInt(1))
                            + "); send the JSON text alone, with a serializer that uses no registry, such as"
                            + " StringSerializer, or JsonConverter with schemas.enable=false");
        }
        if (event[0] == 3 && (event[1] == 0 || event[1] == 5)) {
            throw new InvalidEventException(
                    ReasonCode.NOT_JSON,
                    "is not JSON: it starts with the framing of AWS Glue's Schema Registry; send the JSON text alone,"
                            + " with a serializer that uses no registry");
        }
        if (first == 0x4F626A01) {
            throw new InvalidEventException(ReasonCode.NOT_JSON, "is not JSON: it is an Avro file" + AVRO);
        }
        if ((first >>> 16) == 0xC301) {
            throw new InvalidEventException(ReasonCode.NOT_JSON, "is not JSON: it is an Avro message" + AVRO);
        }
        if ((first >>> 16) == 0x1F8B) {
            throw new InvalidEventException(
                    ReasonCode.NOT_JSON,
                    "is not JSON: it is compressed with gzip; send it as it is, or over HTTP with the header"
                            + " Content-Encoding: gzip");
        }
        if (first == 0x28B52FFD) {
            throw new InvalidEventException(
                    ReasonCode.NOT_JSON, "is not JSON: it is compressed with zstd; send it as it is");
        }
    }
}
