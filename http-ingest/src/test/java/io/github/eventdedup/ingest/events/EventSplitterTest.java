package io.github.eventdedup.ingest.events;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.eventdedup.ingest.events.EventSplitter.Framing;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** However the body was cut on its way, the same events come out. */
class EventSplitterTest {

    private static final int MAX_EVENT_BYTES = 100;

    private static final String TOO_LARGE = "too large";
    private static final String NO_END = "no event: the array does not end; the body may have been cut short";
    private static final String MORE = "no event: there is more after the end of the array";

    private static final List<String> EVENTS = List.of(
            "{}",
            "{\"a\":1}",
            "{\"a\":[1,{\"b\":[]}],\"c\":{}}",
            "{\"a\":\"],[}{,:\"}",
            "{\"a\":\"\\\"\",\"b\":\"\\\\\"}",
            "{\"a\":\"\\\\\\\"],\"}",
            "{ \"ю\" :\t\"€𝄞\" }",
            "[[],[1,2]]",
            "\"text, with ] and \\\" \"",
            "-1.5e3",
            "null");

    private final Random random = new Random();

    EventSplitterTest() {
        long seed = Long.getLong("dedup.test.seed", random.nextLong());
        System.out.println("EventSplitterTest -Ddedup.test.seed=" + seed);
        random.setSeed(seed);
    }

    /** What came out, in order, and the most memory that was held on the way. */
    private static final class Out implements EventSplitter.Sink {
        private final List<String> events = new ArrayList<>();
        private int mostBufferBytes;

        @Override
        public void event(byte[] json) {
            events.add(new String(json, StandardCharsets.UTF_8));
        }

        @Override
        public void noEvent(String reason) {
            events.add("no event: " + reason);
        }

        @Override
        public void tooLarge() {
            events.add(TOO_LARGE);
        }
    }

    /** Splits a body that arrives in pieces which end at these positions, and wherever the body does. */
    private static Out split(Framing framing, byte[] body, int... borders) {
        Out out = new Out();
        EventSplitter splitter = new EventSplitter(framing, MAX_EVENT_BYTES, out);
        int from = 0;
        for (int i = 0; i <= borders.length; i++) {
            int to = i < borders.length ? borders[i] : body.length;
            splitter.add(ByteBuffer.wrap(body, from, to - from));
            out.mostBufferBytes = Math.max(out.mostBufferBytes, splitter.bufferBytes());
            from = to;
            if (framing == Framing.SINGLE && out.events.contains(TOO_LARGE)) {
                return out; // and so does the request, which is answered at that moment
            }
        }
        splitter.end();
        return out;
    }

    private static int[] everyByte(byte[] body) {
        int[] borders = new int[body.length];
        Arrays.setAll(borders, i -> i);
        return borders;
    }

    private int[] randomBorders(byte[] body) {
        return random.ints(1 + random.nextInt(20), 0, body.length + 1).sorted().toArray();
    }

    /** The events of the body, which are the same for every way to cut it in three, in single bytes, and at random. */
    private List<String> splitEveryWay(Framing framing, String text) {
        byte[] body = text.getBytes(StandardCharsets.UTF_8);
        List<String> events = split(framing, body).events;
        assertThat(split(framing, body, everyByte(body)).events)
                .as("byte by byte: %s", text)
                .isEqualTo(events);
        if (body.length <= 60) {
            for (int i = 0; i <= body.length; i++) {
                for (int j = i; j <= body.length; j++) {
                    if (!split(framing, body, i, j).events.equals(events)) {
                        assertThat(split(framing, body, i, j).events)
                                .as("cut at %d and %d: %s", i, j, text)
                                .isEqualTo(events);
                    }
                }
            }
        }
        for (int i = 0; i < 20; i++) {
            int[] borders = randomBorders(body);
            assertThat(split(framing, body, borders).events)
                    .as("cut at %s: %s", Arrays.toString(borders), text)
                    .isEqualTo(events);
        }
        return events;
    }

    @Test
    void aSingleEventIsTheWholeBodyAsItIs() {
        for (String event : EVENTS) {
            assertThat(splitEveryWay(Framing.SINGLE, event)).containsExactly(event);
        }
        assertThat(splitEveryWay(Framing.SINGLE, "")).containsExactly("");
        assertThat(splitEveryWay(Framing.SINGLE, "{}\n,[ ")).containsExactly("{}\n,[ ");
    }

    @Test
    void aSingleEventOfTheLargestSizeIsTakenAndNoLarger() {
        assertThat(splitEveryWay(Framing.SINGLE, "x".repeat(MAX_EVENT_BYTES))).containsExactly("x".repeat(100));
        assertThat(splitEveryWay(Framing.SINGLE, "x".repeat(MAX_EVENT_BYTES + 1)))
                .containsExactly(TOO_LARGE);
    }

    @Test
    void anArrayIsCutAsJacksonReadsIt() throws Exception {
        ObjectMapper mapper = new ObjectMapper();
        for (int i = 0; i < 50; i++) {
            List<String> events = random.ints(1 + random.nextInt(12), 0, EVENTS.size())
                    .mapToObj(EVENTS::get)
                    .toList();
            String array = "[" + blanks() + String.join(blanks() + "," + blanks(), events) + blanks() + "]" + blanks();
            assertThat(splitEveryWay(Framing.ARRAY, array)).isEqualTo(events);

            List<JsonNode> read = new ArrayList<>();
            mapper.readTree(array).forEach(read::add);
            for (int j = 0; j < events.size(); j++) {
                assertThat(mapper.readTree(events.get(j))).isEqualTo(read.get(j));
            }
        }
    }

    private String blanks() {
        return random.ints(random.nextInt(3), 0, 4)
                .mapToObj(i -> " \t\r\n".substring(i, i + 1))
                .reduce("", String::concat);
    }

    @Test
    void linesAreCutAtLineFeeds() {
        for (int i = 0; i < 50; i++) {
            List<String> events = random.ints(1 + random.nextInt(12), 0, EVENTS.size())
                    .mapToObj(EVENTS::get)
                    .toList();
            StringBuilder lines = new StringBuilder();
            for (String event : events) {
                lines.append(blanks())
                        .append(event)
                        .append(blanks().replace("\n", ""))
                        .append(random.nextBoolean() ? "\n" : "\r\n\n");
            }
            assertThat(splitEveryWay(Framing.LINES, lines.toString())).isEqualTo(events);
            // The last line need not end.
            assertThat(splitEveryWay(Framing.LINES, lines.toString().stripTrailing()))
                    .isEqualTo(events);
        }
    }

    @Test
    void blankLinesAreNoEvents() {
        assertThat(splitEveryWay(Framing.LINES, "")).isEmpty();
        assertThat(splitEveryWay(Framing.LINES, "\n \r\n\t\n")).isEmpty();
        assertThat(splitEveryWay(Framing.LINES, "\n\n1\n\n2")).containsExactly("1", "2");
    }

    @Test
    void whatIsWrongWithAnArrayIsSaidWhereItIs() {
        assertThat(splitEveryWay(Framing.ARRAY, "[]")).isEmpty();
        assertThat(splitEveryWay(Framing.ARRAY, "[ \r\n]\n")).isEmpty();
        assertThat(splitEveryWay(Framing.ARRAY, "[1,]")).containsExactly("1", "");
        assertThat(splitEveryWay(Framing.ARRAY, "[,]")).containsExactly("", "");
        assertThat(splitEveryWay(Framing.ARRAY, "[,1,,2]")).containsExactly("", "1", "", "2");
        assertThat(splitEveryWay(Framing.ARRAY, "[{} {},{}]")).containsExactly("{} {}", "{}");
        assertThat(splitEveryWay(Framing.ARRAY, "[{}},{}]")).containsExactly("{}}", "{}");
        assertThat(splitEveryWay(Framing.ARRAY, "[{},{]")).containsExactly("{}", "{]", NO_END);
        assertThat(splitEveryWay(Framing.ARRAY, "[")).containsExactly(NO_END);
        assertThat(splitEveryWay(Framing.ARRAY, "[{}")).containsExactly("{}", NO_END);
        assertThat(splitEveryWay(Framing.ARRAY, "[{}, ")).containsExactly("{}", NO_END);
        assertThat(splitEveryWay(Framing.ARRAY, "[\"a]")).containsExactly("\"a]", NO_END);
        assertThat(splitEveryWay(Framing.ARRAY, "[\"a\\")).containsExactly("\"a\\", NO_END);
        assertThat(splitEveryWay(Framing.ARRAY, "[1]]")).containsExactly("1", MORE);
        assertThat(splitEveryWay(Framing.ARRAY, "[1] 2 ")).containsExactly("1", MORE);
        assertThat(splitEveryWay(Framing.ARRAY, "[1],[2],\"")).containsExactly("1", MORE);
    }

    @Test
    void manyBytesAfterTheArrayAreSaidAndCostNoMemory() {
        byte[] body = ("[1]" + "x".repeat(100_000)).getBytes(StandardCharsets.UTF_8);
        assertThat(split(Framing.ARRAY, body).events).containsExactly("1", MORE);
        Out out = split(Framing.ARRAY, body, everyByte(body));
        assertThat(out.events).containsExactly("1", MORE);
        assertThat(out.mostBufferBytes).isLessThan(4 * MAX_EVENT_BYTES);
        assertThat(splitEveryWay(Framing.ARRAY, "[1]" + " ".repeat(1000))).containsExactly("1");
    }

    /** White space around an event is not part of it, however much there is. */
    @ParameterizedTest
    @EnumSource(
            value = Framing.class,
            names = {"ARRAY", "LINES"})
    void anEventOfTheLargestSizeIsTakenWhateverIsAroundIt(Framing framing) {
        String largest = "\"" + "x".repeat(MAX_EVENT_BYTES - 2) + "\"";
        for (String around : List.of("", " ", "\r", "\t ".repeat(60), " ".repeat(1000))) {
            assertThat(splitEveryWay(framing, wrap(framing, around + largest + around)))
                    .containsExactly("1", largest, "2");
            assertThat(splitEveryWay(framing, wrap(framing, around + largest + "x" + around)))
                    .containsExactly("1", TOO_LARGE, "2");
            assertThat(splitEveryWay(framing, wrap(framing, around + "1" + around + "1" + around)))
                    .containsExactly("1", 2 + around.length() > MAX_EVENT_BYTES ? TOO_LARGE : "1" + around + "1", "2");
        }
        assertThat(splitEveryWay(framing, wrap(framing, " ".repeat(1000))))
                .isEqualTo(framing == Framing.LINES ? List.of("1", "2") : List.of("1", "", "2"));
    }

    private static String wrap(Framing framing, String event) {
        return framing == Framing.LINES ? "1\n" + event + "\n2" : "[1," + event + ",2]";
    }

    @ParameterizedTest
    @EnumSource(
            value = Framing.class,
            names = {"ARRAY", "LINES"})
    void anEventThatIsTooLargeCostsNoMemoryAndHarmsNoOther(Framing framing) {
        for (String large : List.of(
                "{\"a\":\"" + "],[{\\\"".repeat(20_000) + "\"}",
                "{\"a\":1" + " ".repeat(100_000) + "}",
                " ".repeat(100_000) + "x".repeat(100_000) + " ".repeat(100_000))) {
            byte[] body = wrap(framing, large).getBytes(StandardCharsets.UTF_8);
            Out byteByByte = split(framing, body, everyByte(body));
            assertThat(byteByByte.events).containsExactly("1", TOO_LARGE, "2");
            assertThat(byteByByte.mostBufferBytes).isLessThan(4 * MAX_EVENT_BYTES);
            int[] pieces = new int[body.length / 500];
            Arrays.setAll(pieces, i -> i * 500);
            Out inPieces = split(framing, body, pieces);
            assertThat(inPieces.events).containsExactly("1", TOO_LARGE, "2");
            assertThat(inPieces.mostBufferBytes).isLessThan(4 * MAX_EVENT_BYTES + 500);
            assertThat(split(framing, body).events).containsExactly("1", TOO_LARGE, "2");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"[", ""})
    void whateverTheBytesTheBordersOfPiecesDoNotMatter(String start) {
        String alphabet = "[]{},\"\\ \n\rx1";
        for (int i = 0; i < 2000; i++) {
            StringBuilder text = new StringBuilder(start);
            int length = random.nextInt(random.nextInt(10) == 0 ? 600 : 40);
            for (int j = 0; j < length; j++) {
                int at = random.nextInt(alphabet.length());
                text.append(alphabet, at, at + 1);
                if (random.nextInt(40) == 0) {
                    text.append((random.nextBoolean() ? " " : "x").repeat(random.nextInt(150)));
                }
            }
            byte[] body = text.toString().getBytes(StandardCharsets.UTF_8);
            for (Framing framing : start.isEmpty() ? List.of(Framing.SINGLE, Framing.LINES) : List.of(Framing.ARRAY)) {
                List<String> events = split(framing, body).events;
                assertThat(split(framing, body, everyByte(body)).events)
                        .as("%s", text)
                        .isEqualTo(events);
                int[] borders = randomBorders(body);
                assertThat(split(framing, body, borders).events)
                        .as("cut at %s: %s", Arrays.toString(borders), text)
                        .isEqualTo(events);
            }
        }
    }
}
