package io.github.eventdedup.job.postgres;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.github.eventdedup.event.Event;
import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.PostgresTable;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.model.IdentifiedEvent;
import io.github.eventdedup.job.model.SourceRecord;
import io.github.eventdedup.job.settings.PostgresLogin;
import io.github.eventdedup.job.testing.Fixtures;
import io.github.eventdedup.servers.FreePort;
import io.github.eventdedup.servers.PostgresServer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A row that Postgres does not take never stops the others, and what hits all rows costs none, in a real Postgres. */
class PostgresStoreIT {

    private static final long START = 1_746_057_600_000L;
    private static final Duration LONG = Duration.ofMinutes(10);
    private static final PostgresStore.Patience PATIENT = new PostgresStore.Patience(LONG, LONG, Duration.ofMillis(50));

    @TempDir
    private static Path directory;

    private static PostgresServer server;
    private static PostgresLogin login;
    private static StreamDefinition views;

    private final List<String> rejected = new ArrayList<>();

    @BeforeAll
    static void startServer() throws Exception {
        server = new PostgresServer(directory, FreePort.find());
        server.start();
        login = new PostgresLogin(server.jdbcUrl(), PostgresServer.USER);
        views = Fixtures.viewEvents();
    }

    @AfterAll
    static void stopServer() {
        server.close();
    }

    @BeforeEach
    void createTable() throws Exception {
        sql("DROP TABLE IF EXISTS view_events, renamed");
        Fixtures.createTable(login);
    }

    @AfterEach
    void resetRole() throws Exception {
        sql("ALTER ROLE dedup RESET ALL");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "RAISE EXCEPTION 'odd' USING ERRCODE = 'MY001'",
                "RAISE EXCEPTION 'odd'",
                "PERFORM no_such_function()",
                "PERFORM 1 FROM no_such_table",
                "PERFORM no_such_column FROM view_events",
                "RAISE EXCEPTION 'odd' USING ERRCODE = '42501'",
                "RAISE EXCEPTION 'odd' USING ERRCODE = '22P04'",
                "RAISE EXCEPTION 'odd' USING ERRCODE = '23505'",
                "RAISE EXCEPTION 'odd' USING ERRCODE = '25006'",
                "RAISE EXCEPTION 'odd' USING ERRCODE = '40P01'",
                "RAISE EXCEPTION 'odd' USING ERRCODE = '53200'",
                "RAISE EXCEPTION 'odd' USING ERRCODE = '57P03'",
                "RAISE EXCEPTION 'odd' USING ERRCODE = '08001'",
                "RAISE EXCEPTION 'odd' USING ERRCODE = 'XX001'",
                "PERFORM pg_terminate_backend(pg_backend_pid())",
                "RETURN NULL"
            })
    void aRowThatFailsByItselfIsRejectedAndTheOthersAreStored(String statement) throws Exception {
        trigger("BEFORE INSERT", "IF NEW.event_name = 'odd' THEN " + statement + "; END IF;");
        try (PostgresStore store = store(PATIENT)) {
            // The first batch goes by the upsert, the second by COPY into the table.
            assertThat(store.store(views("a", 20, 7))).isZero();
            assertThat(store.store(views("b", 1, -1))).isZero();
            assertThat(store.store(views("c", 20, 19))).isZero();
            assertThat(store.isWaiting()).isFalse();
        }
        assertThat(rejected).containsExactly("a7", "c19");
        assertThat(row("SELECT count(*), sum(escapes) FROM view_events")).containsExactly("39", "0");
    }

    @Test
    void aRowThatFailsAtTheCommitIsRejected() throws Exception {
        function("IF NEW.event_name = 'odd' THEN RAISE EXCEPTION 'odd' USING ERRCODE = 'MY001'; END IF;");
        sql("CREATE CONSTRAINT TRIGGER late AFTER INSERT ON view_events DEFERRABLE INITIALLY DEFERRED"
                + " FOR EACH ROW EXECUTE FUNCTION on_insert()");
        try (PostgresStore store = store(PATIENT)) {
            store.store(views("a", 5, 2));
        }
        assertThat(rejected).containsExactly("a2");
        assertThat(row("SELECT count(*) FROM view_events")).containsExactly("4");
    }

    @Test
    void aRowThatBreaksAnotherKeyThanTheFingerprintIsRejected() throws Exception {
        sql("CREATE UNIQUE INDEX other_key ON view_events (kafka_offset)");
        IdentifiedEvent first = view("a", "watch", 1);
        IdentifiedEvent sameOffset = view("b", "watch", 1);
        try (PostgresStore store = store(PATIENT)) {
            store.store(List.of(first));
            store.store(views("c", 3, -1));
            assertThat(store.store(List.of(sameOffset, first))).isZero();
        }
        assertThat(rejected).contains("b1").doesNotContain("a1");
        assertThat(row("SELECT count(*) FROM view_events WHERE user_id = 'a'")).containsExactly("1");
    }

    @Test
    void aTaskThatWasCancelledStoresNoMore() throws Exception {
        try (PostgresStore store = store(PATIENT)) {
            Thread.currentThread().interrupt();
            assertThatThrownBy(() -> store.store(views("a", 5, -1))).isInstanceOf(InterruptedException.class);
        }
        assertThat(row("SELECT count(*) FROM view_events")).containsExactly("0");
    }

    /** Rows that are there already change nothing either, and are not taken for rows that a trigger drops. */
    @Test
    void replaysAreNoDroppedRows() throws Exception {
        try (PostgresStore store = store(PATIENT)) {
            store.store(views("a", 5, -1));
            assertThat(store.store(views("a", 6, -1))).isZero();
        }
        assertThat(rejected).isEmpty();
        assertThat(row("SELECT count(*) FROM view_events")).containsExactly("6");
    }

    @Test
    void aBatchThatTakesLongerThanAStatementMayIsStoredInSmallerOnes() throws Exception {
        trigger("BEFORE INSERT", "PERFORM pg_sleep(0.2);");
        sql("ALTER ROLE dedup SET statement_timeout = '2s'");
        try (PostgresStore store = store(PATIENT)) {
            store.store(views("a", 16, -1));
            assertThat(store.isWaiting()).isFalse();
        }
        assertThat(rejected).isEmpty();
        assertThat(row("SELECT count(*) FROM view_events")).containsExactly("16");
    }

    @Test
    void aRowThatTakesTooLongByItselfIsRejected() throws Exception {
        trigger("BEFORE INSERT", "IF NEW.event_name = 'odd' THEN PERFORM pg_sleep(60); END IF;");
        sql("ALTER ROLE dedup SET statement_timeout = '1s'");
        try (PostgresStore store = store(PATIENT)) {
            store.store(views("a", 4, 3));
        }
        assertThat(rejected).containsExactly("a3");
        assertThat(row("SELECT count(*) FROM view_events")).containsExactly("3");
    }

    @Test
    void aTableThatTakesNoRowAtAllIsWaitedFor() throws Exception {
        sql("ALTER TABLE view_events RENAME TO renamed");
        waitsUntil("ALTER TABLE renamed RENAME TO view_events", 5);
    }

    @Test
    void aColumnThatNoLongerFitsIsWaitedFor() throws Exception {
        try (PostgresStore store = store(PATIENT)) {
            store.store(views("before", 1, -1));
        }
        sql("ALTER TABLE view_events ALTER kafka_offset TYPE int");
        waitsUntil("ALTER TABLE view_events ALTER kafka_offset TYPE bigint", 6);
    }

    @Test
    void aTriggerThatFailsForEveryRowIsWaitedFor() throws Exception {
        trigger("BEFORE INSERT", "PERFORM no_such_function();");
        waitsUntil("DROP TRIGGER on_insert ON view_events", PostgresStore.MANY + 4);
    }

    @Test
    void rowsThatAllFailAreRejectedWhenPatienceEnds() throws Exception {
        trigger("BEFORE INSERT", "IF NEW.event_name = 'odd' THEN PERFORM no_such_function(); END IF;");
        try (PostgresStore store = store(new PostgresStore.Patience(Duration.ZERO, LONG, Duration.ofMillis(1)))) {
            store.store(views("few", 1, 0));
        }
        try (PostgresStore store = store(new PostgresStore.Patience(LONG, Duration.ZERO, Duration.ofMillis(1)))) {
            List<IdentifiedEvent> many = new ArrayList<>();
            for (int i = 0; i < PostgresStore.MANY; i++) {
                many.add(view("many", "odd", i));
            }
            many.add(view("good", "watch", PostgresStore.MANY));
            store.store(many);
        }
        assertThat(rejected)
                .hasSize(1 + PostgresStore.MANY)
                .contains("few0", "many0")
                .doesNotContain("good16");
        assertThat(row("SELECT count(*) FROM view_events")).containsExactly("1");
    }

    /** Stores a batch while that is not possible, and makes it possible once the writer waits. */
    private void waitsUntil(String remedy, int rows) throws Exception {
        try (PostgresStore store = store(PATIENT)) {
            CompletableFuture<Void> stored = CompletableFuture.runAsync(() -> {
                try {
                    store.store(views("a", rows, -1));
                } catch (Exception e) {
                    throw new CompletionException(e);
                }
            });
            await().atMost(Duration.ofMinutes(1)).until(store::isWaiting);
            assertThat(stored).isNotDone();
            sql(remedy);
            stored.get(1, TimeUnit.MINUTES);
            assertThat(store.isWaiting()).isFalse();
        }
        assertThat(rejected).isEmpty();
        assertThat(row("SELECT count(*) FROM view_events WHERE user_id = 'a'")).containsExactly(Integer.toString(rows));
    }

    private static void trigger(String when, String body) throws SQLException {
        function(body);
        sql("CREATE TRIGGER on_insert " + when + " ON view_events FOR EACH ROW EXECUTE FUNCTION on_insert()");
    }

    private static void function(String body) throws SQLException {
        sql("CREATE OR REPLACE FUNCTION on_insert() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN " + body
                + " RETURN NEW; END $$");
    }

    private PostgresStore store(PostgresStore.Patience patience) {
        return new PostgresStore(
                views.stream(),
                new PostgresBatchStore(login, (PostgresTable) views.table(), views.window()),
                (event, reason) -> rejected.add(name(event)),
                1000,
                patience);
    }

    private static String name(IdentifiedEvent event) {
        String value = new String(event.source().value(), StandardCharsets.UTF_8);
        return value.replaceFirst(".*\"userId\":\"([^\"]*)\".*", "$1")
                + event.source().offset();
    }

    /** Events of a user whose offsets count from 0; one of them is odd, or none. */
    private static List<IdentifiedEvent> views(String user, int count, int odd) throws Exception {
        List<IdentifiedEvent> events = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            events.add(view(user, i == odd ? "odd" : "watch", i));
        }
        return events;
    }

    private static IdentifiedEvent view(String user, String name, long offset) throws Exception {
        byte[] value = """
                {"userId":"%s","content_id":"%d","event_name":"%s","event_datetime":"2025-05-01T00:00:00Z","sid":"1"}""".formatted(user, offset, name).getBytes(StandardCharsets.UTF_8);
        Event event = new EventReader(views).read(value);
        return new IdentifiedEvent(
                event.fingerprint(), new SourceRecord(value, 0, offset, START), CopyBuffer.columns(event.columns()));
    }

    private static void sql(String statement) throws SQLException {
        Fixtures.execute(login, statement);
    }

    private static List<String> row(String query) throws SQLException {
        return Fixtures.row(login, query);
    }
}
