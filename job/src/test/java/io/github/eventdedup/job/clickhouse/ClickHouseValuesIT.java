package io.github.eventdedup.job.clickhouse;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.clickhouse.client.api.Client;
import io.github.eventdedup.event.ClickHouseTable;
import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.InvalidEventException;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.clickhouse.table.ClickHouseSchema;
import io.github.eventdedup.job.settings.ClickHouseLogin;
import io.github.eventdedup.job.testing.Fixtures;
import io.github.eventdedup.servers.ClickHouseServer;
import io.github.eventdedup.servers.FreePort;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;
import org.apache.flink.util.IOUtils;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The edges of every column type, values beyond them, and random ones between: a real ClickHouse has each exactly as it was
 * sent, or the event is invalid. Nothing wraps.
 */
class ClickHouseValuesIT {

    private static final int RANDOM_VALUES = 500;

    @TempDir
    private static Path directory;

    private static ClickHouseServer clickHouse;
    private static ClickHouseLogin login;
    private static Client client;

    /** A value as JSON has it, and what ClickHouse is to say of it; null where no column of this type can hold it. */
    private record Value(String json, String stored) {}

    @BeforeAll
    static void startServer() throws Exception {
        int port = FreePort.find();
        clickHouse = Fixtures.clickHouse(directory, port);
        clickHouse.start();
        login = Fixtures.login(port);
        client = login.connect();
    }

    @AfterAll
    static void stopServer() throws Exception {
        IOUtils.closeAll(client, clickHouse);
    }

    @ParameterizedTest
    @CsvSource({
        "Int8, -128, 127",
        "Int16, -32768, 32767",
        "Int32, -2147483648, 2147483647",
        "Int64, -9223372036854775808, 9223372036854775807",
        "UInt8, 0, 255",
        "UInt16, 0, 65535",
        "UInt32, 0, 4294967295",
        // The reader of events has no integers beyond 63 bits.
        "UInt64, 0, 9223372036854775807"
    })
    void integers(String type, BigInteger min, BigInteger max) throws Exception {
        Random random = random();
        Stream<BigInteger> edges = Stream.of(min, max)
                .flatMap(edge -> Stream.of(edge.subtract(BigInteger.ONE), edge, edge.add(BigInteger.ONE)));
        Stream<BigInteger> others = Stream.generate(() -> new BigInteger(random.nextInt(1, 70), random))
                .map(number -> random.nextBoolean() ? number : number.negate())
                .limit(RANDOM_VALUES);
        assertStoredOrInvalid(
                type,
                "toString(value)",
                Stream.concat(edges, others)
                        .map(number -> new Value(
                                number.toString(),
                                number.compareTo(min) < 0 || number.compareTo(max) > 0 ? null : number.toString()))
                        .toList());
    }

    @Test
    void numbersWithAFraction() throws Exception {
        Random random = random();
        List<String> numbers = new ArrayList<>(List.of(
                "0",
                "-0.0",
                "1",
                "0.1",
                "4.9e-324",
                "1.7976931348623157e308",
                "-1.7976931348623157e308",
                "1e309",
                "3.4028234663852886e38",
                "3.4028235677973366e38",
                "-3.5e38",
                "1.4e-45",
                "1e-46",
                "9007199254740993"));
        for (int i = 0; i < RANDOM_VALUES; i++) {
            double number = Double.longBitsToDouble(random.nextLong());
            if (Double.isFinite(number)) {
                numbers.add(Double.toString(number));
                numbers.add(Double.toString((float) number).replace("Infinity", "1e300"));
            }
        }
        assertStoredOrInvalid(
                "Float64",
                "toString(reinterpretAsUInt64(value))",
                numbers.stream()
                        .map(number -> new Value(number, bits(Double.parseDouble(number))))
                        .toList());
        assertStoredOrInvalid(
                "Float32",
                "toString(reinterpretAsUInt32(value))",
                numbers.stream()
                        .map(number -> new Value(number, bits((float) Double.parseDouble(number))))
                        .toList());
    }

    private static String bits(double number) {
        return Double.isFinite(number) ? Long.toUnsignedString(Double.doubleToRawLongBits(number)) : null;
    }

    private static String bits(float number) {
        return Float.isFinite(number) ? Integer.toUnsignedString(Float.floatToRawIntBits(number)) : null;
    }

    @ParameterizedTest
    @ValueSource(strings = {"DateTime", "DateTime('Asia/Tokyo')"})
    void wholeSeconds(String type) throws Exception {
        assertStoredOrInvalid(
                type,
                "toString(toUnixTimestamp(value))",
                instants()
                        .map(instant -> new Value(
                                '"' + instant.toString() + '"',
                                instant.getEpochSecond() < 0 || instant.getEpochSecond() >= 1L << 32
                                        ? null
                                        : Long.toString(instant.getEpochSecond())))
                        .toList());
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 3, 6, 9})
    void fractionsOfSeconds(int precision) throws Exception {
        Instant first = Instant.parse("1900-01-01T00:00:00Z");
        // What 64 bits of nanoseconds hold.
        Instant end = precision == 9
                ? Instant.ofEpochSecond(9_223_372_036L, 854_775_808)
                : Instant.parse("2300-01-01T00:00:00Z");
        BigInteger unit = BigInteger.TEN.pow(9 - precision);
        assertStoredOrInvalid(
                "DateTime64(" + precision + ", 'America/New_York')",
                "toString(reinterpretAsInt64(value))",
                instants()
                        .map(instant -> {
                            boolean fits = !instant.isBefore(first) && instant.isBefore(end);
                            BigInteger nanos = BigInteger.valueOf(instant.getEpochSecond())
                                    .multiply(BigInteger.TEN.pow(9))
                                    .add(BigInteger.valueOf(instant.getNano()));
                            BigInteger[] ticks = nanos.divideAndRemainder(unit);
                            BigInteger floor = ticks[1].signum() < 0 ? ticks[0].subtract(BigInteger.ONE) : ticks[0];
                            return new Value('"' + instant.toString() + '"', fits ? floor.toString() : null);
                        })
                        .toList());
    }

    /** With microseconds, which is as fine as events are read. */
    private static Stream<Instant> instants() {
        Random random = random();
        long firstSecond = Instant.parse("0001-01-01T00:00:00Z").getEpochSecond();
        long lastSecond = Instant.parse("9999-12-31T23:59:59Z").getEpochSecond();
        Stream<Instant> edges = Stream.of(
                        "0001-01-01T00:00:00Z",
                        "1900-01-01T00:00:00Z",
                        "1970-01-01T00:00:00Z",
                        "2038-01-19T03:14:08Z",
                        "2106-02-07T06:28:16Z",
                        "2262-04-11T23:47:16.854776Z",
                        "2300-01-01T00:00:00Z",
                        "9999-12-31T23:59:59Z")
                .map(Instant::parse)
                .flatMap(edge -> Stream.of(edge.minusNanos(1000), edge, edge.plusNanos(1000)))
                .filter(instant -> instant.getEpochSecond() >= firstSecond);
        Stream<Instant> others = Stream.generate(() -> Instant.ofEpochSecond(
                        random.nextBoolean()
                                ? random.nextLong(firstSecond, lastSecond)
                                : random.nextLong(-3_000_000_000L, 12_000_000_000L),
                        random.nextInt(1_000_000) * 1_000L))
                .limit(RANDOM_VALUES);
        return Stream.concat(edges, others);
    }

    @ParameterizedTest
    @ValueSource(strings = {"String", "LowCardinality(String)", "Nullable(String)"})
    void text(String type) throws Exception {
        Random random = random();
        List<Value> values = new ArrayList<>();
        values.add(new Value("\"\"", ""));
        values.add(new Value("\"\\u0000\"", null));
        values.add(new Value("\"\\ud83d\"", null));
        for (int length : new int[] {1, 127, 128, 16_383, 16_384, 60_000}) {
            values.add(new Value('"' + "ю".repeat(length) + '"', "ю".repeat(length)));
        }
        for (int i = 0; i < RANDOM_VALUES; i++) {
            String text = random.ints(random.nextInt(20), 1, Character.MAX_CODE_POINT + 1)
                    .filter(point -> point < Character.MIN_SURROGATE || point > Character.MAX_SURROGATE)
                    .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
                    .toString();
            StringBuilder json = new StringBuilder("\"");
            text.chars().forEach(unit -> json.append("\\u%04x".formatted(unit)));
            values.add(new Value(json.append('"').toString(), text));
        }
        assertStoredOrInvalid(type, "toString(value)", values);
    }

    @Test
    void truth() throws Exception {
        assertStoredOrInvalid(
                "Bool", "toString(value)", List.of(new Value("true", "true"), new Value("false", "false")));
    }

    private static Random random() {
        long seed = System.nanoTime();
        System.out.println("values with seed " + seed);
        return new Random(seed);
    }

    private static void assertStoredOrInvalid(String type, String expression, List<Value> values) throws Exception {
        client.queryAll("CREATE OR REPLACE TABLE edges (n UInt32, value " + type + ") ENGINE = MergeTree ORDER BY n"
                + " SETTINGS non_replicated_deduplication_window = 1000");
        StreamDefinition stream = StreamDefinition.read(Files.writeString(directory.resolve("edges.yaml"), """
                stream: edges
                fingerprint: [n]
                window: 7d
                sink: { clickhouse: { table: edges, columns: { n: n, value: value } } }
                """));
        ClickHouseSchema schema = ClickHouseSchema.of(login, (ClickHouseTable) stream.table());
        assertThat(schema.findings()).isEmpty();
        EventReader reader = new EventReader(stream, schema.format().columns());
        List<byte[]> rows = new ArrayList<>();
        List<Value> stored = new ArrayList<>();
        for (Value value : values) {
            try {
                String event = "{\"n\":" + stored.size() + ",\"value\":" + value.json + '}';
                rows.add(schema.format()
                        .encode(reader.read(event.getBytes(UTF_8)).columns()));
                stored.add(value);
            } catch (InvalidEventException e) {
                assertThat(value.stored)
                        .as("%s: %s %s", type, value.json, e.getMessage())
                        .isNull();
            }
        }
        try (ClickHouseInserter inserter =
                new ClickHouseInserter(login, stream, schema, null, new UnregisteredMetricsGroup())) {
            inserter.insert("all of " + type, rows, false);
        }
        assertThat(client.queryAll("SELECT hex(" + expression + ") AS v FROM edges ORDER BY n").stream()
                        .map(row -> new String(HexFormat.of().parseHex(row.getString("v")), UTF_8))
                        .toList())
                .isEqualTo(stored.stream().map(Value::stored).toList());
    }
}
