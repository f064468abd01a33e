package io.github.eventdedup.job.postgres;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.eventdedup.event.Column;
import io.github.eventdedup.event.ColumnType;
import io.github.eventdedup.event.Event;
import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.PostgresTable;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.model.IdentifiedEvent;
import io.github.eventdedup.job.model.Replay;
import io.github.eventdedup.job.model.SourceRecord;
import io.github.eventdedup.job.postgres.PostgresBatchStore.Outcome;
import io.github.eventdedup.job.settings.PostgresLogin;
import io.github.eventdedup.job.testing.Fixtures;
import io.github.eventdedup.servers.FreePort;
import io.github.eventdedup.servers.PostgresServer;
import java.io.File;
import java.lang.reflect.Constructor;
import java.lang.reflect.Method;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What becomes of a row, in a real Postgres: stored, replayed, escaped or refused. */
public class PostgresBatchStoreIT {

    private static final long START = 1_746_057_600_000L;
    private static final Duration WINDOW = Duration.ofDays(7);

    @TempDir
    private static Path directory;

    private static PostgresServer server;
    private static PostgresLogin login;

    @BeforeAll
    static void startServer() throws Exception {
        server = new PostgresServer(directory, FreePort.find());
        server.start();
        login = new PostgresLogin(server.jdbcUrl(), PostgresServer.USER);
    }

    @AfterAll
    static void stopServer() {
        server.close();
    }

    @BeforeEach
    void createTable() throws Exception {
        sql("DROP TABLE IF EXISTS view_events");
        Fixtures.createTable(login);
    }

    @Test
    void anEventIsStoredWithItsColumnsItsDocumentAndItsOrigin() throws Exception {
        String json = Fixtures.sampleLines().get(0);
        try (PostgresBatchStore writer = writer(Fixtures.viewEvents())) {
            assertThat(writer.store(List.of(event(json, 3, 42, START)))).isEqualTo(new Outcome(1, 0));
        }
        assertThat(row("SELECT encode(fingerprint, 'hex'), user_id, content_id, event_name, event_datetime::text, sid,"
                        + " platform, playtime_ms::text, event::text, kafka_partition::text, kafka_offset::text,"
                        + " received_at::text, escapes::text, event ->> 'os_version' FROM view_events"))
                .containsExactly(
                        new EventReader(Fixtures.viewEvents())
                                .read(json.getBytes(StandardCharsets.UTF_8))
                                .fingerprint()
                                .toString(),
                        "u73214515120-@RUNLAP@",
                        "1810111",
                        "banner_show",
                        "2025-05-01 00:00:00.004+00",
                        "3423943363",
                        "ios",
                        "1117152",
                        json,
                        "3",
                        "42",
                        "2025-05-01 00:00:00+00",
                        "0",
                        "17.4.1");
    }

    @Test
    void theSamePositionAgainIsAReplayAndChangesNothing() throws Exception {
        try (PostgresBatchStore writer = writer(Fixtures.viewEvents())) {
            writer.store(List.of(view("a", 0, 1, START)));
            assertThat(writer.store(List.of(view("a", 0, 1, START), view("b", 0, 2, START))))
                    .isEqualTo(new Outcome(1, 0));
        }
        assertThat(row("SELECT count(*), sum(escapes) FROM view_events")).containsExactly("2", "0");
    }

    @Test
    void anotherPositionInsideTheWindowIsAnEscapeAndTheFirstStays() throws Exception {
        try (PostgresBatchStore writer = writer(Fixtures.viewEvents())) {
            writer.store(List.of(view("a", 0, 1, START)));
            long lastMoment = START + WINDOW.toMillis() - 1;
            assertThat(writer.store(List.of(view("a", 0, 2, lastMoment)))).isEqualTo(new Outcome(0, 1));
            assertThat(writer.store(List.of(view("a", 1, 1, START - 1)))).isEqualTo(new Outcome(0, 1));
            long longBefore = START - 30 * WINDOW.toMillis();
            assertThat(writer.store(List.of(view("a", 1, 2, longBefore)))).isEqualTo(new Outcome(0, 1));
        }
        assertThat(row("SELECT kafka_partition, kafka_offset, escapes FROM view_events"))
                .containsExactly("0", "1", "3");
    }

    @Test
    void anotherPositionOutsideTheWindowIsNoEscape() throws Exception {
        try (PostgresBatchStore writer = writer(Fixtures.viewEvents())) {
            writer.store(List.of(view("a", 0, 1, START)));
            assertThat(writer.store(List.of(view("a", 0, 2, START + WINDOW.toMillis()))))
                    .isEqualTo(new Outcome(0, 0));
        }
        assertThat(row("SELECT kafka_offset, escapes FROM view_events")).containsExactly("1", "0");
    }

    /** Deduplication lets it through because it knows that it was rejected; that the row is there by now is no fault. */
    @Test
    void aDeadLetterThatIsSentAgainIsNoEscape() throws Exception {
        try (PostgresBatchStore writer = writer(Fixtures.viewEvents())) {
            writer.store(List.of(view("a", 0, 9, START)));
            IdentifiedEvent rejected = view("a", 0, 1, START - 1);
            IdentifiedEvent again = new IdentifiedEvent(
                    rejected.fingerprint(), rejected.source(), rejected.columns(), new Replay(0, 20, 1, true, null));
            assertThat(writer.store(List.of(again, view("b", 0, 10, START)))).isEqualTo(new Outcome(1, 0));
            assertThat(writer.store(List.of(rejected))).isEqualTo(new Outcome(0, 1));
        }
        assertThat(row("SELECT count(*), sum(escapes) FROM view_events")).containsExactly("2", "1");
    }

    @Test
    void knownAndNewRowsMixAfterARunOfNewOnes() throws Exception {
        try (PostgresBatchStore writer = writer(Fixtures.viewEvents())) {
            for (int i = 0; i < 3; i++) {
                assertThat(writer.store(List.of(view("new" + i, 0, i, START)))).isEqualTo(new Outcome(1, 0));
            }
            assertThat(writer.store(List.of(view("new1", 0, 1, START), view("new9", 0, 9, START))))
                    .isEqualTo(new Outcome(1, 0));
        }
        assertThat(row("SELECT count(*), sum(escapes) FROM view_events")).containsExactly("4", "0");
    }

    @Test
    void aBatchWithARefusedRowStoresNothingAndTheConnectionStaysUsable() throws Exception {
        sql("ALTER TABLE view_events ADD CONSTRAINT no_banner CHECK (event_name <> 'refused')");
        try (PostgresBatchStore writer = writer(Fixtures.viewEvents())) {
            writer.store(List.of(view("before", 0, 0, START)));
            assertThatThrownBy(() -> writer.store(List.of(view("a", 0, 1, START), view("b", "refused", 0, 2, START))))
                    .isInstanceOfSatisfying(
                            SQLException.class, e -> assertThat(SqlErrors.of(e)).isEqualTo(SqlErrors.ROW));
            assertThat(writer.store(List.of(view("a", 0, 1, START)))).isEqualTo(new Outcome(1, 0));
        }
        assertThat(row("SELECT count(*) FROM view_events")).containsExactly("2");
    }

    @Test
    void aBrokenConnectionIsAnOutageAndTheNextBatchConnectsAnew() throws Exception {
        try (PostgresBatchStore writer = writer(Fixtures.viewEvents())) {
            writer.store(List.of(view("a", 0, 1, START)));
            sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    + " WHERE application_name = 'event-deduplicator' AND pid <> pg_backend_pid()");
            assertThatThrownBy(() -> writer.store(List.of(view("b", 0, 2, START))))
                    .isInstanceOfSatisfying(
                            SQLException.class, e -> assertThat(SqlErrors.of(e)).isEqualTo(SqlErrors.CONNECTION_LOST));
            assertThat(writer.store(List.of(view("b", 0, 2, START)))).isEqualTo(new Outcome(1, 0));
        }
    }

    @Test
    void aTableThatNoLongerFitsTheJobIsNoFaultOfTheRows() throws Exception {
        sql("ALTER TABLE view_events ALTER playtime_ms TYPE int");
        try (PostgresBatchStore writer = writer(Fixtures.viewEvents())) {
            IdentifiedEvent event = event(Fixtures.sampleLines().get(0), 0, 0, START);
            assertThatThrownBy(() -> writer.store(List.of(event)))
                    .isInstanceOfSatisfying(
                            SQLException.class,
                            e -> assertThat(SqlErrors.of(e)).as(e.getMessage()).isEqualTo(SqlErrors.UNKNOWN));
            assertThatThrownBy(writer::probe)
                    .hasMessage("column 'playtime_ms' of table 'view_events' is integer: the stream definition needs"
                            + " bigint");
        }
    }

    /** Each job that is submitted to a cluster has a class loader of its own, all in one JVM. */
    @Test
    void theNextJobInTheSameJvmConnectsAtOnceToo() throws Exception {
        URL[] classPath = Stream.of(System.getProperty("java.class.path").split(File.pathSeparator))
                .map(PostgresBatchStoreIT::url)
                .toArray(URL[]::new);
        for (int job = 0; job < 2; job++) {
            try (URLClassLoader loader = new URLClassLoader(classPath, ClassLoader.getPlatformClassLoader())) {
                Constructor<?> constructor =
                        loader.loadClass(PostgresLogin.class.getName()).getDeclaredConstructors()[0];
                constructor.setAccessible(true);
                Object loginOfTheJob = constructor.newInstance(login.url(), login.user());
                Method connect = loginOfTheJob.getClass().getDeclaredMethod("connect");
                connect.setAccessible(true);
                try (Connection connection = (Connection) connect.invoke(loginOfTheJob)) {
                    assertThat(connection.isValid(5)).isTrue();
                }
            }
        }
    }

    private static URL url(String path) {
        try {
            return Path.of(path).toUri().toURL();
        } catch (MalformedURLException e) {
            throw new IllegalArgumentException(e);
        }
    }

    @Test
    void everyColumnTypeAndNullAndJsonbArriveIntact() throws Exception {
        sql("DROP TABLE IF EXISTS typed");
        sql("CREATE TABLE typed (fingerprint bytea PRIMARY KEY, t text, i bigint, d double precision, b boolean,"
                + " at timestamptz, missing text, doc jsonb, kafka_partition int, kafka_offset bigint,"
                + " received_at timestamptz, escapes int NOT NULL DEFAULT 0)");
        PostgresTable table = new PostgresTable(
                "typed",
                List.of(
                        new Column("t", "t", ColumnType.TEXT),
                        new Column("i", "i", ColumnType.BIGINT),
                        new Column("d", "d", ColumnType.DOUBLE),
                        new Column("b", "b", ColumnType.BOOLEAN),
                        new Column("at", "at", ColumnType.TIMESTAMP),
                        new Column("missing", "missing", ColumnType.TEXT)),
                new PostgresTable.Document("doc", PostgresTable.Document.Type.JSONB));
        StreamDefinition stream = new StreamDefinition("typed", List.of("t"), WINDOW, Duration.ofDays(1), null, table);
        String json = "{\"t\":\"\\\"\\\\ \\n\\t ю 🎬\",\"i\":-9223372036854775808,\"d\":-1.5e-3,\"b\":true,"
                + "\"at\":\"1969-12-31T23:59:59.999999+03:00\"}";
        Event event = new EventReader(stream).read(json.getBytes(StandardCharsets.UTF_8));
        try (PostgresBatchStore writer = writer(stream)) {
            writer.store(List.of(new IdentifiedEvent(
                    event.fingerprint(),
                    new SourceRecord(json.getBytes(StandardCharsets.UTF_8), 0, 0, START),
                    CopyBuffer.columns(event.columns()))));
        }
        assertThat(row("SELECT t, i, d, b, at, missing, doc ->> 't' FROM typed"))
                .containsExactly(
                        "\"\\ \n\t ю 🎬",
                        "-9223372036854775808",
                        "-0.0015",
                        "t",
                        "1969-12-31 20:59:59.999999+00",
                        null,
                        "\"\\ \n\t ю 🎬");
    }

    /** The edges of every column type, and random values between them: each is stored exactly, in one batch with the others. */
    @Test
    void valuesOverTheWholeRangeOfEachColumnTypeAreStoredExactly() throws Exception {
        sql("DROP TABLE IF EXISTS edges");
        sql("CREATE TABLE edges (fingerprint bytea PRIMARY KEY, n bigint, i bigint, d double precision, at timestamptz,"
                + " t text, kafka_partition int, kafka_offset bigint, received_at timestamptz,"
                + " escapes int NOT NULL DEFAULT 0)");
        PostgresTable table = new PostgresTable(
                "edges",
                List.of(
                        new Column("n", "n", ColumnType.BIGINT),
                        new Column("i", "i", ColumnType.BIGINT),
                        new Column("d", "d", ColumnType.DOUBLE),
                        new Column("at", "at", ColumnType.TIMESTAMP),
                        new Column("t", "t", ColumnType.TEXT)),
                null);
        StreamDefinition stream = new StreamDefinition("edges", List.of("n"), WINDOW, Duration.ofDays(1), null, table);
        long seed = System.nanoTime();
        System.out.println("values with seed " + seed);
        Random random = new Random(seed);
        List<String> times = new ArrayList<>(List.of(
                "0001-01-01T00:00:00Z",
                "1677-09-21T00:12:43Z",
                "1677-09-21T00:12:44.999999Z",
                "1969-12-31T23:59:59.999999Z",
                "1970-01-01T00:00:00Z",
                "2262-04-11T23:47:16.854775Z",
                "2262-04-12T00:00:00Z",
                "9999-12-31T23:59:59Z",
                "9999-12-31T23:59:59.999999Z"));
        List<Long> integers = new ArrayList<>(List.of(Long.MIN_VALUE, -1L, 0L, 9_223_372_037L, Long.MAX_VALUE));
        List<Double> doubles = new ArrayList<>(
                List.of(Double.MIN_VALUE, -0.0, 0.1, -Double.MAX_VALUE, Double.MAX_VALUE, Double.MIN_NORMAL));
        long firstSecond = Instant.parse(times.get(0)).getEpochSecond();
        long lastSecond = Instant.parse("9999-12-31T23:59:59Z").getEpochSecond();
        for (int i = 0; i < 300; i++) {
            times.add(
                    Instant.ofEpochSecond(random.nextLong(firstSecond, lastSecond), random.nextInt(1_000_000) * 1_000L)
                            .toString());
            integers.add(random.nextLong());
            double number = Double.longBitsToDouble(random.nextLong());
            doubles.add(Double.isFinite(number) ? number : 1.5);
        }
        List<String> texts =
                List.of("", " ", "\\\\N", "NULL", "infinity", "\uD83C\uDFAC", "\\u2028", "x".repeat(200_000));
        List<IdentifiedEvent> batch = new ArrayList<>();
        for (int n = 0; n < times.size(); n++) {
            String json = "{\"n\":" + n + ",\"i\":" + integers.get(n % integers.size()) + ",\"d\":"
                    + doubles.get(n % doubles.size()) + ",\"at\":\"" + times.get(n) + "\",\"t\":\""
                    + texts.get(n % texts.size()) + "\"}";
            byte[] value = json.getBytes(StandardCharsets.UTF_8);
            Event event = new EventReader(stream).read(value);
            batch.add(new IdentifiedEvent(
                    event.fingerprint(), new SourceRecord(value, 0, n, START), CopyBuffer.columns(event.columns())));
        }
        try (PostgresBatchStore writer = writer(stream)) {
            assertThat(writer.store(batch)).isEqualTo(new Outcome(batch.size(), 0));
        }
        for (int n = 0; n < times.size(); n++) {
            Instant at = Instant.parse(times.get(n));
            long micros = at.getEpochSecond() * 1_000_000 + at.getNano() / 1_000;
            List<String> row =
                    row("SELECT i, d, (extract(epoch FROM at) * 1000000)::bigint, t FROM edges WHERE n = " + n);
            assertThat(row.get(0)).isEqualTo(Long.toString(integers.get(n % integers.size())));
            assertThat(Double.valueOf(row.get(1))).as(row.get(1)).isEqualTo(doubles.get(n % doubles.size()));
            assertThat(row.get(2)).as(times.get(n)).isEqualTo(Long.toString(micros));
            assertThat(row.get(3))
                    .isEqualTo(texts.get(n % texts.size()).replace("\\\\", "\\").replace("\\u2028", "\u2028"));
        }
    }

    private static PostgresBatchStore writer(StreamDefinition stream) {
        return new PostgresBatchStore(login, (PostgresTable) stream.table(), stream.window());
    }

    private static IdentifiedEvent view(String user, int partition, long offset, long time) throws Exception {
        return view(user, "watch", partition, offset, time);
    }

    private static IdentifiedEvent view(String user, String name, int partition, long offset, long time)
            throws Exception {
        return event(Fixtures.viewEvent(user, name), partition, offset, time);
    }

    private static IdentifiedEvent event(String json, int partition, long offset, long time) throws Exception {
        byte[] value = json.getBytes(StandardCharsets.UTF_8);
        Event event = new EventReader(Fixtures.viewEvents()).read(value);
        return new IdentifiedEvent(
                event.fingerprint(),
                new SourceRecord(value, partition, offset, time),
                CopyBuffer.columns(event.columns()));
    }

    private static void sql(String statement) throws SQLException {
        Fixtures.execute(login, statement);
    }

    private static List<String> row(String query) throws SQLException {
        return Fixtures.row(login, query);
    }
}
