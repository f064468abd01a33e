package io.github.eventdedup.job.deadletters;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.eventdedup.event.SideTopicHeaders;
import io.github.eventdedup.event.StreamDefinition;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.junit.jupiter.api.Test;

class LetterOutputTest {

    private static final KeptLetter LETTER = new KeptLetter(
            0,
            7,
            Instant.parse("2026-11-28T06:00:00Z"),
            3,
            1042,
            0,
            "rejected-by-postgres",
            "Postgres refused the row: \u001b[31mno",
            "ab".repeat(32),
            "state",
            0,
            true);

    private final StreamDefinition stream;

    LetterOutputTest() throws Exception {
        stream = StreamDefinition.read(Path.of("../streams/view-events.yaml"));
    }

    private static String print(boolean json, Consumer<LetterOutput> action) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        LetterOutput output = new LetterOutput(new PrintStream(bytes, true, UTF_8), json);
        action.accept(output);
        output.end();
        return bytes.toString(UTF_8);
    }

    private static List<String> keys(String json) throws IOException {
        JsonNode array = new ObjectMapper().readTree(json);
        assertThat(array).hasSize(1);
        return array.get(0).properties().stream().map(field -> field.getKey()).toList();
    }

    private void letter(LetterOutput output) {
        ConsumerRecord<byte[], byte[]> record =
                new ConsumerRecord<>("view-events.dead-letters", 0, 7, null, new byte[] {(byte) 0xFF});
        record.headers()
                .add(SideTopicHeaders.VALUE_OMITTED, "9 bytes".getBytes(UTF_8))
                .add(SideTopicHeaders.ORIGINAL_KEY, "k".getBytes(UTF_8))
                .add(SideTopicHeaders.ORIGINAL_HEADER + "trace", "t".getBytes(UTF_8));
        output.letter(LetterOutput.describe(stream, new ListedLetter(LETTER, ListedLetter.OPEN), record));
    }

    /** What programs read by: a key may be added, none may change or go. */
    @Test
    void theKeysInJsonAreThose() throws Exception {
        assertThat(keys(print(true, output -> output.group(stream, LETTER.reasonCode(), List.of(LETTER)))))
                .containsExactly("stream", "reason-code", "letters", "oldest", "newest", "position", "reason");
        assertThat(keys(print(true, this::letter)))
                .containsExactly(
                        "stream",
                        "position",
                        "accepted",
                        "put-aside",
                        "state",
                        "reason-code",
                        "reason",
                        "fingerprint",
                        "attempt",
                        "value-omitted",
                        "key",
                        "headers",
                        "value-base64");
        LetterReplay.Result result = new LetterReplay.Result("3:2000", null);
        assertThat(keys(print(true, output -> output.replayed(stream, LETTER, result, false))))
                .containsExactly("stream", "position", "attempt", "result", "sent-to", "reason");
        List<ListedLetter> discarded = List.of(new ListedLetter(LETTER, ListedLetter.OPEN));
        assertThat(keys(print(true, output -> output.discarded(stream, discarded, false))))
                .containsExactly("stream", "position", "result");
    }

    @Test
    void jsonHasNoLinesForPeople() {
        assertThat(print(true, output -> output.line("view-events: 1 dead letter")))
                .isEqualTo("[]" + System.lineSeparator());
    }

    @Test
    void textOfStrangersDoesNotControlTheTerminal() {
        String printed = print(false, output -> {
            output.group(stream, LETTER.reasonCode(), List.of(LETTER));
            letter(output);
        });

        assertThat(printed)
                .contains("such as 3:1042: Postgres refused the row: \\u001b[31mno")
                .contains("  header        trace: t")
                .contains("  value-base64  /w==")
                .doesNotContain("\u001b");
    }

    @Test
    void saysWhatIsDoneAndWhatWouldBe() {
        List<ListedLetter> discarded = List.of(new ListedLetter(LETTER, ListedLetter.OPEN));
        LetterReplay.Result refused = new LetterReplay.Result(null, "it has no value");

        assertThat(print(false, output -> output.discarded(stream, discarded, true)))
                .startsWith("view-events: 1 dead letter would be discarded");
        assertThat(print(false, output -> output.discarded(stream, List.of(), false)))
                .startsWith("view-events: 0 dead letters discarded");
        assertThat(print(false, output -> output.replayed(stream, LETTER, refused, false)))
                .startsWith("  3:1042  refused: it has no value");
    }
}
