package io.github.eventdedup.job.deadletters;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.eventdedup.event.HandledLetters;
import io.github.eventdedup.event.SideTopicHeaders;
import io.github.eventdedup.event.StreamDefinition;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.time.Instant;
import java.util.List;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;

/** Prints letters and what was done with them: lines for people, or one array of JSON for programs. Not thread-safe. */
public final class LetterOutput {

    private static final int MAX_SHOWN_CHARS = 2_000;
    private static final Pattern UNPRINTABLE = Pattern.compile("[\\p{Cc}\\p{Cf}\\p{Cs}]");
    private static final ObjectMapper JSON = new ObjectMapper();

    private final PrintStream out;

    /** What is printed in the end, or null. */
    private final ArrayNode json;

    /** @param forPrograms whether to print JSON */
    public LetterOutput(PrintStream out, boolean forPrograms) {
        this.out = out;
        json = forPrograms ? JSON.createArrayNode() : null;
    }

    /** A line for people. */
    void line(String text) {
        if (json == null) {
            out.println(text);
        }
    }

    /** The letters of one reason code, the oldest first. */
    void group(StreamDefinition stream, String code, List<KeptLetter> letters) {
        KeptLetter newest = letters.get(letters.size() - 1);
        if (json == null) {
            out.printf(
                    "  %6d  %-22s %s to %s, such as %s: %s%n",
                    letters.size(),
                    code,
                    letters.get(0).putAside(),
                    newest.putAside(),
                    newest.position(),
                    printable(newest.reason()));
        } else {
            json.addObject()
                    .put("stream", stream.stream())
                    .put("reason-code", code)
                    .put("letters", letters.size())
                    .put("oldest", letters.get(0).putAside().toString())
                    .put("newest", newest.putAside().toString())
                    .put("position", newest.position())
                    .put("reason", newest.reason());
        }
    }

    /** All of a letter. */
    static ObjectNode describe(StreamDefinition stream, ListedLetter listed, ConsumerRecord<byte[], byte[]> record) {
        KeptLetter letter = listed.letter();
        ObjectNode shown = JSON.createObjectNode()
                .put("stream", stream.stream())
                .put("position", letter.position())
                .put("accepted", Instant.ofEpochMilli(letter.timestamp()).toString())
                .put("put-aside", letter.putAside().toString())
                .put("state", listed.state())
                .put("reason-code", letter.reasonCode())
                .put("reason", letter.reason())
                .put("fingerprint", letter.fingerprint())
                .put("attempt", letter.attempt());
        Header omitted = record.headers().lastHeader(SideTopicHeaders.VALUE_OMITTED);
        if (omitted != null) {
            shown.put("value-omitted", new String(omitted.value(), UTF_8));
        }
        Header key = record.headers().lastHeader(SideTopicHeaders.ORIGINAL_KEY);
        if (key != null) {
            put(shown, "key", key.value());
        }
        ObjectNode headers = shown.putObject("headers");
        for (Header header : record.headers()) {
            if (header.key().startsWith(SideTopicHeaders.ORIGINAL_HEADER)) {
                put(headers, header.key().substring(SideTopicHeaders.ORIGINAL_HEADER.length()), header.value());
            }
        }
        put(shown, "value", record.value());
        return shown;
    }

    /** Bytes that are text as text; others in Base64, under a name that says so. */
    private static void put(ObjectNode node, String name, byte[] bytes) {
        try {
            node.put(
                    name,
                    bytes == null
                            ? null
                            : UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString());
        } catch (CharacterCodingException e) {
            node.put(name + "-base64", bytes);
        }
    }

    /** A letter as {@link #describe} has it. */
    void letter(ObjectNode letter) {
        if (json != null) {
            json.add(letter);
            return;
        }
        out.println();
        letter.properties().forEach(field -> {
            if (field.getValue().isObject()) {
                field.getValue()
                        .properties()
                        .forEach(header -> out.printf(
                                "  %-13s %s: %s%n",
                                "header",
                                printable(header.getKey()),
                                printable(header.getValue().asText())));
            } else if (!field.getKey().equals("stream")) {
                out.printf(
                        "  %-13s %s%n",
                        field.getKey(),
                        field.getValue().isNull()
                                ? "none"
                                : printable(field.getValue().asText()));
            }
        });
    }

    /** What has become of a letter that is sent again. */
    void replayed(StreamDefinition stream, KeptLetter letter, LetterReplay.Result result, boolean dryRun) {
        if (json == null) {
            out.println("  " + letter.position() + "  " + printable(result.toString()));
        } else {
            json.addObject()
                    .put("stream", stream.stream())
                    .put("position", letter.position())
                    .put("attempt", letter.attempt() + 1)
                    .put("result", result.sent() ? (dryRun ? "would be sent" : "sent") : "refused")
                    .put("sent-to", result.place())
                    .put("reason", result.refusal());
        }
    }

    /** Letters that are discarded. */
    void discarded(StreamDefinition stream, List<ListedLetter> letters, boolean dryRun) {
        if (json == null) {
            out.println(stream.stream() + ": " + count(letters.size(), "dead letter")
                    + (dryRun ? " would be discarded" : " discarded"));
            return;
        }
        for (ListedLetter listed : letters) {
            json.addObject()
                    .put("stream", stream.stream())
                    .put("position", listed.letter().position())
                    .put("result", dryRun ? "would be discarded" : HandledLetters.DISCARDED);
        }
    }

    /** All is said. */
    void end() {
        if (json != null) {
            out.println(json);
        }
    }

    static String count(int number, String noun) {
        return number + " " + noun + (number == 1 ? "" : "s");
    }

    /** Text of strangers for a terminal: without what would control it, and not endless. */
    private static String printable(String text) {
        String cut = text.length() <= MAX_SHOWN_CHARS
                ? text
                : text.substring(0, MAX_SHOWN_CHARS) + "… (" + text.length() + " characters; --json has all)";
        return UNPRINTABLE
                .matcher(cut)
                .replaceAll(control ->
                        String.format("\\\\u%04x", (int) control.group().charAt(0)));
    }
}
