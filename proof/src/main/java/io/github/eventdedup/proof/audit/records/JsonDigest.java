package io.github.eventdedup.proof.audit.records;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * A JSON value without what {@code jsonb} does not keep: white space, the order of keys, all but the last of equal keys, and
 * how a number was written. Thread-safe.
 */
public final class JsonDigest {

    private final ObjectMapper json = JsonMapper.builder(JsonFactory.builder()
                    .streamReadConstraints(StreamReadConstraints.builder()
                            .maxNumberLength(Integer.MAX_VALUE)
                            .maxStringLength(Integer.MAX_VALUE)
                            .build())
                    .build())
            .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
            .build();

    /** Bytes that are the same for equal values; those given where they are no JSON. */
    public byte[] canonical(byte[] value) {
        if (value == null) {
            return new byte[0];
        }
        try {
            StringBuilder text = new StringBuilder();
            write(json.readTree(value), text);
            return text.toString().getBytes(UTF_8);
        } catch (com.fasterxml.jackson.core.JsonProcessingException e) {
            return value;
        } catch (IOException e) {
            throw new UncheckedIOException("reading from an array does no I/O", e);
        }
    }

    private static void write(JsonNode node, StringBuilder text) {
        if (node.isObject()) {
            List<String> names = new ArrayList<>();
            node.fieldNames().forEachRemaining(names::add);
            Collections.sort(names);
            text.append('{');
            for (String name : names) {
                writeText(name, text);
                write(node.get(name), text);
            }
            text.append('}');
        } else if (node.isArray()) {
            text.append('[');
            node.forEach(element -> write(element, text));
            text.append(']');
        } else if (node.isNumber()) {
            text.append('#').append(node.decimalValue().stripTrailingZeros()).append(';');
        } else if (node.isTextual()) {
            writeText(node.textValue(), text);
        } else {
            text.append(node.asText()).append(';');
        }
    }

    private static void writeText(String value, StringBuilder text) {
        text.append('"').append(value.length()).append(':').append(value);
    }
}
