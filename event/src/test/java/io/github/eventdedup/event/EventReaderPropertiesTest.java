package io.github.eventdedup.event;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** What holds for every event, tried on events made from {@link Sample#SEED}. */
class EventReaderPropertiesTest {

    private static final ObjectMapper JSON = new ObjectMapper();

    private static final String TYPED_EVENT =
            "{\"id\":\"a\",\"timestamp\":1762955631.0,\"bigint\":-12,\"double\":1.5e3,"
                    + "\"text\":\"q\\u0041\\n😀é\\ud83d\\ude00\",\"boolean\":true,\"z\":[1,{\"k\\u0042\":null}]}";

    /** What is inserted into events: much of it is trouble in one place and harmless in another. */
    private static final List<byte[]> FRAGMENTS = List.of(
            utf8("\0"),
            utf8("\\u0000"),
            utf8("\\\\u0000"),
            utf8("\\ud83d"),
            utf8("\\ude00"),
            utf8("\\ud83d\\ude00"),
            utf8("😀"),
            utf8("é"),
            utf8("\\"),
            utf8("\""),
            utf8("{"),
            utf8("["),
            utf8("e9"),
            utf8("9".repeat(12)),
            utf8("\ufeff"),
            utf8("\"id\":1,"),
            utf8("\"z\":1e999999999,"),
            HexFormat.of().parseHex("eda080"),
            HexFormat.of().parseHex("c080"),
            HexFormat.of().parseHex("e28080"),
            HexFormat.of().parseHex("f0908080"));

    private final Random random = new Random(Sample.SEED);
    private final EventReader typed = new EventReader(Sample.TYPED);

    @Test
    void orderWhitespaceAndEscapesChangeNothing() throws Exception {
        EventReader viewEvents = new EventReader(Sample.viewEvents());
        for (byte[] line : Sample.lines()) {
            Event expected = viewEvents.read(line);
            for (int i = 0; i < 10; i++) {
                String other = rewritten(JSON.readTree(line));
                assertThat(viewEvents.read(utf8(other)))
                        .as("seed %d: %s", Sample.SEED, other)
                        .isEqualTo(expected);
            }
        }
    }

    @Test
    void anotherTextInAnyFingerprintFieldIsAnotherFingerprint() throws Exception {
        StreamDefinition stream = Sample.viewEvents();
        EventReader viewEvents = new EventReader(stream);
        for (byte[] line : Sample.lines()) {
            String field = stream.fingerprint().get(random.nextInt(5));
            String text = new String(line, StandardCharsets.UTF_8);
            String value = JSON.readTree(line).get(field).asText();
            String other = field.equals("event_datetime") ? value.replace('T', ' ') : value + "\\u0001";
            String changed = text.replace("\"" + field + "\":\"" + value, "\"" + field + "\":\"" + other);
            assertThat(changed).isNotEqualTo(text);
            assertThat(viewEvents.read(utf8(changed)).fingerprint())
                    .as("seed %d: %s", Sample.SEED, changed)
                    .isNotEqualTo(viewEvents.read(line).fingerprint());
        }
    }

    @Test
    void randomBytesAreReadOrRefused() {
        byte[] alphabet = utf8("{}[]\",:\\u0123456789abdeEfintrlsx+-. \n\t");
        for (int i = 0; i < 20_000; i++) {
            byte[] bytes = new byte[random.nextInt(40)];
            random.nextBytes(bytes);
            if (random.nextBoolean()) {
                for (int at = 0; at < bytes.length; at++) {
                    bytes[at] = alphabet[(bytes[at] & 0xFF) % alphabet.length];
                }
            }
            read(typed, bytes);
        }
    }

    @Test
    void damagedTypedEventsAreReadOrRefusedAndWhatIsReadCanBeStored() {
        int read = 0;
        for (int i = 0; i < 20_000; i++) {
            byte[] json = damaged(utf8(TYPED_EVENT), utf8(TYPED_EVENT));
            read += readAndCheck(typed, json) ? 1 : 0;
        }
        assertThat(read).isBetween(1000, 19_000);
    }

    @Test
    void damagedSampleEventsAreReadOrRefusedAndWhatIsReadCanBeStored() throws Exception {
        EventReader viewEvents = new EventReader(Sample.viewEvents());
        List<byte[]> lines = Sample.lines();
        int read = 0;
        for (int i = 0; i < 4000; i++) {
            byte[] json = damaged(lines.get(random.nextInt(lines.size())), lines.get(random.nextInt(lines.size())));
            read += readAndCheck(viewEvents, json) ? 1 : 0;
        }
        assertThat(read).isBetween(400, 3600);
    }

    private boolean readAndCheck(EventReader reader, byte[] json) {
        Optional<Event> event = read(reader, json);
        event.ifPresent(read -> {
            try {
                assertStorable(json, read);
            } catch (IOException | AssertionError e) {
                throw new AssertionError(described(json) + " was read, but cannot be stored", e);
            }
        });
        return event.isPresent();
    }

    private static Optional<Event> read(EventReader reader, byte[] json) {
        try {
            return Optional.of(reader.read(json));
        } catch (InvalidEventException e) {
            assertThat(e.getMessage()).as(described(json)).isNotBlank().doesNotContain("\n", "\r", "Source:");
            return Optional.empty();
        } catch (RuntimeException | Error e) {
            return fail(described(json), e);
        }
    }

    private static String described(byte[] json) {
        return "seed " + Sample.SEED + ": " + HexFormat.of().formatHex(json) + " ("
                + new String(json, StandardCharsets.ISO_8859_1) + ")";
    }

    /** What Postgres asks of a json and of a text, checked without the code under test. */
    private static void assertStorable(byte[] json, Event event) throws IOException {
        StandardCharsets.UTF_8
                .newDecoder()
                .onMalformedInput(CodingErrorAction.REPORT)
                .onUnmappableCharacter(CodingErrorAction.REPORT)
                .decode(ByteBuffer.wrap(json));
        assertStorable(JSON.readTree(json));
        for (Object column : event.columns()) {
            assertStorable(String.valueOf(column));
        }
    }

    private static void assertStorable(JsonNode node) throws IOException {
        if (node.isTextual()) {
            assertStorable(node.textValue());
        }
        for (Map.Entry<String, JsonNode> field : node.properties()) {
            assertStorable(field.getKey());
        }
        for (JsonNode child : node) {
            assertStorable(child);
        }
    }

    private static void assertStorable(String text) throws CharacterCodingException {
        assertThat(text.indexOf('\0')).isNegative();
        StandardCharsets.UTF_8
                .newEncoder()
                .onMalformedInput(CodingErrorAction.REPORT)
                .encode(CharBuffer.wrap(text));
    }

    /** The event with one to three bits flipped, pieces cut out, pieces of another or fragments put in. */
    private byte[] damaged(byte[] json, byte[] other) {
        byte[] damaged = json;
        for (int times = 1 + random.nextInt(3); times > 0 && damaged.length > 0; times--) {
            int at = random.nextInt(damaged.length);
            switch (random.nextInt(5)) {
                case 0 -> {
                    damaged = damaged.clone();
                    damaged[at] ^= (byte) (1 << random.nextInt(8));
                }
                case 1 -> damaged = replaced(damaged, at, random.nextInt(5), new byte[0]);
                case 2 -> {
                    int from = random.nextInt(other.length);
                    int to = Math.min(other.length, from + random.nextInt(30));
                    damaged = replaced(damaged, at, random.nextInt(30), Arrays.copyOfRange(other, from, to));
                }
                default ->
                    damaged = replaced(damaged, at, random.nextInt(2), FRAGMENTS.get(random.nextInt(FRAGMENTS.size())));
            }
        }
        return damaged;
    }

    private static byte[] replaced(byte[] bytes, int at, int length, byte[] by) {
        ByteArrayOutputStream result = new ByteArrayOutputStream();
        result.write(bytes, 0, at);
        result.writeBytes(by);
        int end = Math.min(bytes.length, at + length);
        result.write(bytes, end, bytes.length - end);
        return result.toByteArray();
    }

    /** The same object in another order, with other whitespace, and some characters written as escapes. */
    private String rewritten(JsonNode event) {
        List<String> fields = new ArrayList<>();
        event.properties().forEach(field -> {
            JsonNode value = field.getValue();
            fields.add(space() + string(field.getKey()) + space() + ":" + space()
                    + (value.isTextual() ? string(value.textValue()) : value.toString()) + space());
        });
        Collections.shuffle(fields, random);
        return space() + "{" + String.join(",", fields) + "}" + space();
    }

    private String space() {
        return random.nextInt(4) > 0
                ? ""
                : List.of(" ", "\n", "\r\n", "\t", "   ").get(random.nextInt(5));
    }

    private String string(String text) {
        StringBuilder json = new StringBuilder("\"");
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c < ' ' || c == '"' || c == '\\' || Character.isSurrogate(c) || random.nextInt(10) == 0) {
                json.append(String.format(random.nextBoolean() ? "\\u%04x" : "\\u%04X", (int) c));
            } else {
                json.append(c);
            }
        }
        return json.append('"').toString();
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
