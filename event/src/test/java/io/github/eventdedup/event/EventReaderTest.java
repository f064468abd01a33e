package io.github.eventdedup.event;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class EventReaderTest {

    private static final String NOT_A_KEY = " in the field 'id', which must be a string, an integer or a boolean";

    private final EventReader typed = new EventReader(Sample.TYPED);

    @Test
    void readsTheSample() throws Exception {
        EventReader reader = new EventReader(Sample.viewEvents());
        Set<Fingerprint> distinct = new HashSet<>();
        for (byte[] line : Sample.lines()) {
            distinct.add(reader.read(line).fingerprint());
        }
        assertThat(distinct).hasSize(152);
        assertThat(reader.read(Sample.lines().get(0)).columns())
                .containsExactly(
                        "u73214515120-@RUNLAP@",
                        "1810111",
                        "banner_show",
                        Instant.parse("2025-05-01T00:00:00.004Z"),
                        "3423943363",
                        "ios",
                        "series",
                        "b2f14c94-c7a2-3e7d-14f4-4cdd930d6eaf",
                        "1.1.137.74.6.1",
                        1117152L);
    }

    @ParameterizedTest
    @CsvSource({
        "00000004D27B7D,         NOT_JSON, 'framing of Confluent''s Schema Registry (a byte 0, then schema id 1234)'",
        "00000004D2027531,       NOT_JSON, 'with a serializer that uses no registry'",
        "00FFFFFFFF7B7D,         NOT_JSON, 'schema id 4294967295'",
        "0300112233445566778899, NOT_JSON, 'framing of AWS Glue''s Schema Registry'",
        "4F626A0104,             NOT_JSON, 'it is an Avro file; send JSON text'",
        "C301001122334455667788, NOT_JSON, 'it is an Avro message; send JSON text'",
        "1F8B080000000000,       NOT_JSON, 'compressed with gzip'",
        "28B52FFD0458,           NOT_JSON, 'compressed with zstd'",
        "FEFF007B007D,           NOT_UTF8, 'is UTF-16; send UTF-8'",
        "FFFE7B007D00,           NOT_UTF8, 'is UTF-16; send UTF-8'",
        "007B00220061,           NOT_UTF8, 'is UTF-16; send UTF-8'",
        "7B0022006100,           NOT_UTF8, 'is UTF-16; send UTF-8'"
    })
    void namesTheFormatOfWhatIsNoJsonText(String hex, ReasonCode code, String reason) {
        assertThatThrownBy(() -> typed.read(HexFormat.of().parseHex(hex)))
                .isInstanceOfSatisfying(
                        InvalidEventException.class,
                        invalid -> assertThat(invalid.code()).isEqualTo(code))
                .hasMessageContaining(reason);
    }

    @Test
    void explainsThatANameWithADotIsNoPath() throws Exception {
        EventReader reader = new EventReader(
                Sample.stream("s", List.of("user.id", "at"), List.of(new Column("c", "c", ColumnType.TEXT)), null));
        assertThatThrownBy(() -> reader.read(utf8("{\"user\":{\"id\":1},\"at\":2}")))
                .hasMessageStartingWith(
                        "lacks the field user.id ('user.id' is the literal name of a field of the event")
                .hasMessageContaining("fields of nested objects cannot be used");
        assertThatThrownBy(() -> reader.read(utf8("{\"user.id\":1}"))).hasMessage("lacks the field at");
        assertThat(reader.read(utf8("{\"user.id\":1,\"at\":2}")).fingerprint()).isNotNull();
    }

    @Test
    void readsTheSampleInManyThreadsAtOnce() throws Exception {
        EventReader reader = new EventReader(Sample.viewEvents());
        List<byte[]> lines = Sample.lines();
        List<Fingerprint> expected =
                lines.stream().map(line -> fingerprint(reader, line)).toList();
        assertThat(IntStream.range(0, 20 * lines.size())
                        .parallel()
                        .filter(i -> !fingerprint(reader, lines.get(i % lines.size()))
                                .equals(expected.get(i % lines.size()))))
                .isEmpty();
    }

    @Test
    void fingerprintsTheVectorsOfTheContract() throws Exception {
        EventReader viewEvents = new EventReader(Sample.viewEvents());
        assertThat(viewEvents
                        .read(utf8("{\"userId\":\"u1\",\"content_id\":1810111,\"event_name\":\"watch\","
                                + "\"event_datetime\":\"2025-05-01T00:00:00.004Z\",\"sid\":\"3423943363\"}"))
                        .fingerprint())
                .hasToString("2f4f2aef652115f38caac5290dcbcb51e54cc60152ad7fb5648e1294387aed04");
        assertThat(viewEvents
                        .read(utf8("{\"userId\":\"ю\",\"content_id\":\"\",\"event_name\":\"a:b\","
                                + "\"event_datetime\":\"2025-05-01 00:00:00\",\"sid\":\"-0\"}"))
                        .fingerprint())
                .hasToString("ec05133e239fcee7980990b166d1f9a71345bb97fcfb90230eaa6cfc41cbf4f0");
    }

    @ParameterizedTest
    @ValueSource(strings = {"621", "\"621\"", "\"\\u00362\\u0031\""})
    void fingerprintsAnIntegerAsItsDigits(String id) throws Exception {
        EventReader userLogins = new EventReader(Sample.stream("user-logins", List.of("id"), List.of(), null));
        assertThat(userLogins.read(utf8("{\"id\":" + id + "}")).fingerprint())
                .hasToString("5c88813dedf461f6a70c1aa82fc81ed46fccd58c4dbfd44de5cb6aefa388b462");
    }

    @ParameterizedTest
    @CsvSource({
        "-0, 0",
        "0, \"0\"",
        "true, \"true\"",
        "false, \"false\"",
        "123456789012345678901234567890, \"123456789012345678901234567890\"",
        "-9223372036854775809, \"-9223372036854775809\"",
        "\"\\ud83d\\ude00\", \"😀\"",
        "\"\\/\\t\", \"\\u002f\\u0009\""
    })
    void fingerprintsValuesOfTheSameTextAlike(String one, String other) throws Exception {
        assertThat(typed.read(utf8("{\"id\":" + one + "}")).fingerprint())
                .isEqualTo(typed.read(utf8("{\"id\":" + other + "}")).fingerprint());
    }

    @ParameterizedTest
    @CsvSource({"-0, \"-0\"", "1, 10", "0, false", "\"\\u00e9\", \"e\\u0301\""})
    void fingerprintsOtherTextsApart(String one, String other) throws Exception {
        assertThat(typed.read(utf8("{\"id\":" + one + "}")).fingerprint())
                .isNotEqualTo(typed.read(utf8("{\"id\":" + other + "}")).fingerprint());
    }

    @Test
    void readsEveryColumnType() throws Exception {
        assertThat(columns("\"text\":\"a\",\"bigint\":-9223372036854775808,\"double\":1,\"boolean\":false,"
                        + "\"timestamp\":1762955631.0"))
                .containsExactly("a", Long.MIN_VALUE, 1.0, false, Instant.parse("2025-11-12T13:53:51Z"));
        assertThat(columns("\"text\":1.50,\"bigint\":-0,\"double\":-1e-400,\"timestamp\":\"2025-05-01\""))
                .containsExactly("1.50", 0L, -0.0, null, Instant.parse("2025-05-01T00:00:00Z"));
        assertThat(columns("\"text\":null,\"bigint\":null,\"double\":null,\"boolean\":null,\"timestamp\":null"))
                .containsOnlyNulls();
    }

    @Test
    void takesTheLastOfARepeatedFieldThatIsOnlyMapped() throws Exception {
        assertThat(columns("\"text\":\"a\",\"te\\u0078t\":\"b\"")).startsWith("b");
        assertThat(columns("\"text\":\"a\",\"text\":null")).startsWith((Object) null);
    }

    @Test
    void readsOnlyFieldsAtTheTop() throws Exception {
        assertThat(columns("\"x\":{\"id\":2,\"text\":\"no\"},\"y\":[{\"text\":\"no\"}]"))
                .containsOnlyNulls();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "text|{}|an object|a string, a number or a boolean",
                "text|[1]|an array|a string, a number or a boolean",
                "bigint|9223372036854775808|\"9223372036854775808\"|an integer between -2^63 and 2^63-1",
                "bigint|1.0|\"1.0\"|an integer between -2^63 and 2^63-1",
                "bigint|\"1\"|\"1\"|an integer between -2^63 and 2^63-1",
                "double|1e400|\"1e400\"|a number within the range of a double",
                "double|1e99999999999|\"1e99999999999\"|a number within the range of a double",
                "double|\"NaN\"|\"NaN\"|a number within the range of a double",
                "boolean|\"true\"|\"true\"|true or false",
                "boolean|1|\"1\"|true or false",
                "timestamp|true|\"true\"|an ISO 8601 date-time, or epoch seconds or milliseconds, between the years 1 and 9999",
                "timestamp|1e99999999999|\"1e99999999999\"|an ISO 8601 date-time, or epoch seconds or milliseconds, between the years 1 and 9999",
                "timestamp|1e2147483647|\"1e2147483647\"|an ISO 8601 date-time, or epoch seconds or milliseconds, between the years 1 and 9999",
            })
    void refusesAValueThatDoesNotFitItsColumn(String field, String value, String got, String accepts) {
        refused(
                "{\"id\":1,\"" + field + "\":" + value + "}",
                "has " + got + " in the field '" + field + "', which must be " + accepts);
    }

    @Test
    void refusesWhatIsNotOneObject() {
        refused("", "is empty; send one JSON object");
        refused(" \r\n\t", "is empty; send one JSON object");
        refused("[{\"id\":1}]", "is an array; send one JSON object");
        refused("\"a\"", "is a string; send one JSON object");
        refused("1", "is an integer; send one JSON object");
        refused("1.5", "is a number that is no integer; send one JSON object");
        refused("true", "is a boolean; send one JSON object");
        refused("null", "is null; send one JSON object");
        refused("{\"id\":1}{\"id\":1}", "has more after the JSON object; send one object");
        refused("{\"id\":1} x", "is not JSON: Unrecognized token 'x'");
        refused("{\"id\":1}]", "is not JSON: Unexpected close marker ']'");
        refused("{\"id\":1]", "is not JSON: Unexpected close marker ']': expected '}' (byte 7)");
        refused("{'id':1}", "is not JSON: ");
        refused("{\"id\":1,}", "is not JSON: ");
        refused("{\"id\":01}", "is not JSON: ");
        refused("{\"id\":NaN}", "is not JSON: Non-standard token 'NaN' (byte ");
        refused("{\"id\":1/**/}", "is not JSON: ");
        refused("{\"id\":\"\n\"}", "is not JSON: ");
        refused("{\"id\":\"\\q\"}", "is not JSON: ");
    }

    @Test
    void refusesAnEventCutAnywhere() {
        byte[] whole = utf8("{\"id\":\"é\\n\",\"x\":[1.5e3,{\"\\u0041\":null}],\"text\":true}");
        assertThat(fingerprint(typed, whole)).isNotNull();
        for (int length = 0; length < whole.length; length++) {
            byte[] cut = Arrays.copyOf(whole, length);
            assertThatThrownBy(() -> typed.read(cut))
                    .as("the first %d bytes", length)
                    .isExactlyInstanceOf(InvalidEventException.class);
        }
        refused("{\"id\":1", "is not JSON: it ends in the middle, after 7 bytes");
    }

    @Test
    void namesEveryMissingField() throws Exception {
        refused("{}", "lacks the field id");
        EventReader viewEvents = new EventReader(Sample.viewEvents());
        assertThatThrownBy(() -> viewEvents.read(utf8("{\"sid\":\"1\",\"event_name\":\"a\"}")))
                .hasMessage("lacks the fields userId, content_id, event_datetime");
    }

    @Test
    void refusesAFingerprintFieldWithoutAPlainText() {
        refused("{\"id\":null}", "has null" + NOT_A_KEY);
        refused("{\"id\":{}}", "has an object" + NOT_A_KEY);
        refused("{\"id\":[1]}", "has an array" + NOT_A_KEY);
        refused("{\"id\":1.0}", "has a number that is no integer" + NOT_A_KEY);
        refused("{\"id\":1e3}", "has a number that is no integer" + NOT_A_KEY);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"{\"id\":1,\"id\":1}", "{\"id\":1,\"\\u0069d\":2}", "{\"id\":\"\",\"x\":1,\"i\\u0064\":\"\"}"})
    void refusesARepeatedFingerprintField(String json) {
        refused(json, "repeats the field 'id'");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{\"id\":\"%s\"}",
                "{\"id\":1,\"other\":\"abcdefghijklmnop%s\"}",
                "{\"id\":1,\"x\":[[{\"y\":\"%s\"}]]}",
                "{\"id\":1,\"x%s\":1}",
                "{\"id\":1,\"x\":[{\"%s\":1}]}",
                "{\"id\":1,\"x\":\"\\\\\\\\%s\"}"
            })
    void refusesCharactersThatPostgresCannotStoreAnywhere(String json) {
        for (String nul : List.of("\0", "\\u0000")) {
            refused(json.formatted(nul), "holds U+0000 at byte " + json.indexOf("%s"));
        }
        for (String lone : List.of(
                "\\ud83d",
                "\\uDBFF",
                "\\udc00",
                "\\uDFFF",
                "\\ude00\\ud83d",
                "\\ud83dx",
                "\\ud83d\\n",
                "\\ud83d\\u0041")) {
            refused(json.formatted(lone), "holds a lone surrogate at byte " + json.indexOf("%s"));
        }
        refused(json.formatted("\\ud83d\\ud83d\\ude00"), "holds a lone surrogate");
        // Encoded surrogates, alone and as a pair (CESU-8); overlong forms; beyond U+10FFFF; cut and stray bytes.
        for (String malformed : List.of(
                "eda080",
                "edbfbf",
                "eda0bdedb880",
                "c080",
                "c1bf",
                "e08080",
                "e09fbf",
                "f0808080",
                "f08fbfbf",
                "f4908080",
                "f5808080",
                "ff",
                "80",
                "bf",
                "c3",
                "c328",
                "e282",
                "e28228",
                "f09f98",
                "f09f9828")) {
            byte[] bytes = splice(json, HexFormat.of().parseHex(malformed));
            assertThatThrownBy(() -> typed.read(bytes))
                    .as(malformed)
                    .isExactlyInstanceOf(InvalidEventException.class)
                    .hasMessage("is not UTF-8 at byte " + json.indexOf("%s"));
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "\\ud83d\\ude00",
                "\\uD800\\uDC00\\uDBFF\\uDFFF",
                "\\\\u0000",
                "\\\\\\\\u0000",
                "\\\\ud83d",
                "\\u0001",
                "\\ufffe\\uffff",
                "\\\"\\/\\b\\f\\n\\r\\t",
                "\u007f\u0080\u07ff\u0800\ud7ff\ue000\uffff\ud800\udc00\udbff\udfff"
            })
    void acceptsCharactersThatOnlyLookLikeThose(String text) throws Exception {
        for (String padding : List.of("", "1", "1234567", "12345678")) {
            assertThat(columns("\"text\":\"" + padding + text + "\"").get(0))
                    .asString()
                    .startsWith(padding);
            assertThat(columns("\"" + padding + text + "\":[\"" + text + "\"]")).containsOnlyNulls();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"UTF-16", "UTF-16LE", "UTF-16BE", "UTF-32", "UTF-32LE", "UTF-32BE"})
    void refusesOtherEncodings(String charset) {
        byte[] bytes = "{\"id\":1}".getBytes(Charset.forName(charset));
        assertThatThrownBy(() -> typed.read(bytes)).isExactlyInstanceOf(InvalidEventException.class);
    }

    @Test
    void refusesAByteOrderMark() {
        refused("\ufeff{\"id\":1}", "starts with a byte order mark; send UTF-8 without one");
    }

    @Test
    void refusesWhatIsTooLarge() throws Exception {
        String padded = "{\"id\":1}" + " ".repeat(EventReader.MAX_EVENT_BYTES - 8);
        assertThat(typed.read(utf8(padded))).isNotNull();
        refused(padded + " ", "is too large: 262145 bytes, at most 262144 are taken");
    }

    @Test
    void namesTheLimitsOfItsParser() throws Exception {
        String limits =
                "nests deeper than 1000 levels, or has a number of more than 1000 digits or a field name of more"
                        + " than 50000 characters";
        assertThat(columns("\"x\":" + "[".repeat(999) + "]".repeat(999))).isNotNull();
        refused("{\"id\":1,\"x\":" + "[".repeat(1000) + "]".repeat(1000) + "}", limits);
        refused("{\"id\":1,\"x\":" + "[".repeat(200_000), limits);
        assertThat(columns("\"text\":" + "1".repeat(1000))).startsWith("1".repeat(1000));
        refused("{\"id\":1,\"x\":" + "1".repeat(1001) + "}", limits);
        refused("{\"id\":" + "1".repeat(200_000) + "}", limits);
        refused("{\"id\":1,\"" + "x".repeat(50_001) + "\":1}", limits);
    }

    /** One reason goes into one header, and one line of a log. */
    @Test
    void quotesWhatItRefusesOnOneLineAndWithoutHalfACharacter() {
        refused(
                "{\"id\":1,\"bigint\":\"a\\r\\nb\\u0085\"}",
                "has \"a\ufffd\ufffdb\ufffd\" in the field 'bigint', which must be an integer between -2^63 and 2^63-1");
        refused(
                "{\"id\":1,\"bigint\":\"" + "a".repeat(59) + "😀\"}",
                "has \"" + "a".repeat(59) + "\ufffd…\" in the field 'bigint'");
        refused(
                "{\"id\":1,\"bigint\":\"" + "a".repeat(58) + "😀b\"}",
                "has \"" + "a".repeat(58) + "😀…\" in the field 'bigint'");
    }

    /** A numeric, which jsonb keeps numbers as, has at most 131072 digits before the point and 16383 after it. */
    @Test
    void refusesNumbersThatJsonbCannotHoldOnlyWhereTheDocumentIsJsonb() throws Exception {
        for (String number :
                List.of("1e131072", "-1E+131072", "1e2147483647", "1e99999999999", "1e-16384", "1.5e-16383")) {
            for (String json :
                    List.of("{\"id\":1,\"x\":%s}", "{\"x\":[{\"y\":%s}],\"id\":1}", "{\"text\":%s,\"id\":1}")) {
                byte[] bytes = utf8(json.formatted(number));
                assertThat(typed.read(bytes)).isNotNull();
                assertThatThrownBy(() -> jsonb().read(bytes))
                        .isExactlyInstanceOf(InvalidEventException.class)
                        .hasMessage("holds the number \"" + number + "\", which the database cannot store");
            }
        }
        assertThat(jsonb().read(utf8("{\"x\":[{},[],{\"y\":[1e131071,1e-16383,0.0,-0]}],\"id\":1,\"text\":\"a\"}")))
                .isEqualTo(typed.read(utf8("{\"id\":1,\"text\":\"a\"}")));
    }

    @Test
    void staysFastWhereNamesAndNumbersAreManyOrLong() {
        StringBuilder names = new StringBuilder("{\"id\":1");
        for (int i = 0; i < 20_000; i++) {
            names.append(",\"n").append(Integer.toString(i, 36)).append("\":1");
        }
        byte[] manyNames = utf8(names.append('}').toString());
        byte[] manyNumbers =
                utf8("{\"x\":[" + ("9".repeat(999) + ",").repeat(250) + "1." + "9".repeat(998) + "],\"id\":1}");
        byte[] longTimestamp = utf8("{\"id\":1,\"timestamp\":\"2025-05-01T00:00:00." + "0".repeat(260_000) + "\"}");
        Assertions.assertTimeoutPreemptively(Duration.ofSeconds(10), () -> {
            for (int i = 0; i < 20; i++) {
                assertThat(typed.read(manyNames)).isNotNull();
                assertThat(jsonb().read(manyNumbers)).isNotNull();
                assertThat(typed.read(longTimestamp)).isNotNull();
            }
        });
    }

    private static Fingerprint fingerprint(EventReader reader, byte[] json) {
        try {
            return reader.read(json).fingerprint();
        } catch (InvalidEventException e) {
            throw new AssertionError(e);
        }
    }

    private static EventReader jsonb() {
        return new EventReader(Sample.stream(
                "typed",
                List.of("id"),
                Sample.TYPED.table().columns(),
                new PostgresTable.Document("event", PostgresTable.Document.Type.JSONB)));
    }

    private List<Object> columns(String fields) throws InvalidEventException {
        return typed.read(utf8("{\"id\":1," + fields + "}")).columns();
    }

    private void refused(String json, String reason) {
        assertThatThrownBy(() -> typed.read(utf8(json)))
                .as(json.length() < 200 ? json : json.substring(0, 200))
                .isExactlyInstanceOf(InvalidEventException.class)
                .hasMessageStartingWith(reason);
    }

    private static byte[] splice(String json, byte[] bytes) {
        int at = json.indexOf("%s");
        ByteArrayOutputStream spliced = new ByteArrayOutputStream();
        spliced.writeBytes(utf8(json.substring(0, at)));
        spliced.writeBytes(bytes);
        spliced.writeBytes(utf8(json.substring(at + 2)));
        return spliced.toByteArray();
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
