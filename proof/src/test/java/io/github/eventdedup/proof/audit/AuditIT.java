package io.github.eventdedup.proof.audit;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.eventdedup.event.Event;
import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.proof.ledger.Ledger;
import io.github.eventdedup.proof.system.Progress;
import io.github.eventdedup.proof.system.TopicRange;
import io.github.eventdedup.proof.system.TopicReader;
import io.github.eventdedup.servers.FreePort;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.TestMethodOrder;

/** One system for all: each test leaves it exact again, but for the last one, which removes records. */
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
class AuditIT {

    private static final String VIEW_EVENTS = "view-events";
    private static final String USER_LOGINS = "user-logins";
    private static final long START = 1_767_225_600_000L;
    private static final long WINDOW = Duration.ofDays(7).toMillis();

    private static AuditedSystem system;
    private static final List<AuditedSystem.Sent> UNIQUE = new ArrayList<>();
    private static final List<AuditedSystem.Sent> LOGINS = new ArrayList<>();
    private static long raw;
    private static long duplicates;
    private static AuditedSystem.Sent refused;
    private static Path ledger;

    @BeforeAll
    static void start() throws Exception {
        system = new AuditedSystem(Path.of("target", "audit-it"));
        fillViewEvents();
        fillUserLogins();
    }

    /** The sample, whose 200 lines are 152 events, twice; what is no event; and what the database has refused. */
    private static void fillViewEvents() throws Exception {
        List<String> lines = Files.readAllLines(AuditedSystem.file("event/src/test/resources/view-events.jsonl"));
        StringBuilder acknowledged = new StringBuilder(Ledger.HEADER + "\n");
        Set<String> seen = new HashSet<>();
        for (int round = 0; round < 2; round++) {
            for (String line : lines) {
                AuditedSystem.Sent sent = system.send(system.viewEvents, line.getBytes(UTF_8), START + raw++);
                acknowledged.append(line(sent.fingerprint(), sent));
                if (seen.add(sent.fingerprint())) {
                    UNIQUE.add(sent);
                    system.store(sent);
                } else {
                    duplicates++;
                    system.duplicate(system.viewEvents, sent);
                }
            }
        }
        // Written at least once: twice is the same.
        AuditedSystem.Sent again = system.send(system.viewEvents, event("twice"), START + raw++);
        system.store(again);
        AuditedSystem.Sent copy = system.send(system.viewEvents, event("twice"), START + raw++);
        system.duplicate(system.viewEvents, copy);
        system.duplicate(system.viewEvents, copy);
        duplicates++;
        AuditedSystem.Sent none = system.send(system.viewEvents, "no event".getBytes(UTF_8), START + raw++);
        system.deadLetter(system.viewEvents, none, "the event is not JSON");
        refused = system.send(system.viewEvents, event("refused"), START + raw++);
        system.deadLetter(system.viewEvents, refused, "Postgres refused the row: too odd (SQLSTATE P0001)");
        // A copy of what was refused is a copy, and after the window another event.
        system.duplicate(system.viewEvents, system.send(system.viewEvents, event("refused"), START + raw++));
        duplicates++;
        system.store(system.send(system.viewEvents, event("refused"), START + raw++ + WINDOW));
        // Sent again after the window: let through, and the row is that of the first.
        system.send(system.viewEvents, UNIQUE.get(0).value(), START + raw++ + 2 * WINDOW);
        system.commit(system.viewEvents);
        acknowledged.append("ab".repeat(32)).append(",unknown,,\n,invalid,,\n");
        ledger = Files.writeString(system.path("ledger.csv"), acknowledged);
    }

    private static void fillUserLogins() throws Exception {
        for (int id = 1; id <= 60; id++) {
            byte[] login = """
                    {"id":%d,"user":"u%d","event":"login","timestamp":%d.5}""".formatted(id, id % 7, 1_762_955_000 + id).getBytes(UTF_8);
            system.sql("INSERT INTO user_logins (username, event_type, event_time, sent_to_kafka) VALUES ('u" + id % 7
                    + "', 'login', to_timestamp(" + (1_762_955_000 + id) + ".5) AT TIME ZONE 'UTC', TRUE)");
            LOGINS.add(system.send(system.userLogins, login, START + id));
            if (id % 3 == 0) {
                system.duplicate(system.userLogins, system.send(system.userLogins, login, START + id + 1));
            }
        }
        // By another partition, because the relay was told another user: whichever the job reads first has won.
        AuditedSystem.Sent first = LOGINS.get(0);
        int other = (first.partition() + 1) % AuditedSystem.PARTITIONS;
        system.send(system.userLogins, other, first.value(), first.event(), START + 500);
        system.duplicate(system.userLogins, first);
        system.commit(system.userLogins);
        storeLogins();
    }

    private static void storeLogins() throws Exception {
        StringBuilder rows = new StringBuilder();
        for (int id = 1; id <= 60; id++) {
            rows.append(id == 1 ? "" : ", ").append(login(id));
        }
        system.clickHouse("TRUNCATE TABLE user_logins");
        system.clickHouse("INSERT INTO user_logins VALUES " + rows);
    }

    private static String login(int id) {
        return "(" + id + ", 'u" + id % 7 + "', 'login', " + (1_762_955_000 + id) + ")";
    }

    private static byte[] event(String user) {
        return """
                {"userId":"%s","content_id":"1","event_name":"é","event_datetime":"2025-05-01T00:00:00Z","sid":"1"}""".formatted(user).getBytes(UTF_8);
    }

    private static String line(String fingerprint, AuditedSystem.Sent sent) {
        return fingerprint + ",acknowledged," + sent.partition() + "," + sent.offset() + "\n";
    }

    @AfterAll
    static void stop() throws Exception {
        if (system != null) {
            system.close();
        }
    }

    private static AuditedSystem.Outcome audit(String stream) throws Exception {
        return system.audit("--stream", stream, "--wait", "2s");
    }

    private static AuditedSystem.Outcome assertExact() throws Exception {
        AuditedSystem.Outcome outcome = system.audit("--wait", "10s", "--ledger", ledger.toString());
        assertThat(outcome.status()).as(outcome.out() + outcome.err()).isZero();
        assertThat(outcome.out()).contains("\nexact");
        return outcome;
    }

    @Test
    @Order(1)
    void whatIsExactAddsUp() throws Exception {
        AuditedSystem.Outcome outcome = assertExact();

        assertThat(outcome.json().get("verdict").asText()).isEqualTo("exact");
        JsonNode events = outcome.stream(VIEW_EVENTS);
        assertThat(events.get("raw").asLong()).isEqualTo(raw);
        assertThat(events.get("unique").asLong()).isEqualTo(UNIQUE.size() + 2);
        assertThat(events.get("stored").asLong()).isEqualTo(UNIQUE.size() + 2);
        assertThat(events.get("duplicates").asLong()).isEqualTo(duplicates);
        assertThat(events.get("deadLetters").asLong()).isEqualTo(2);
        assertThat(events.get("deadLettersOpen").asLong()).isEqualTo(2);
        assertThat(events.at("/deadLettersOpenByReasonCode/rejected-by-postgres")
                        .asLong())
                .isEqualTo(1);
        assertThat(outcome.out()).contains("exact, but 2 dead letters are open");
        assertThat(events.get("replayed").asLong()).isZero();
        assertThat(events.get("acknowledgedStored").asLong()).isEqualTo(UNIQUE.size());
        assertThat(events.get("acknowledgedDuplicates").asLong()).isEqualTo(400 - UNIQUE.size());
        assertThat(events.get("acknowledgedDeadLetters").asLong()).isZero();
        assertThat(events.get("afterWindow").asLong()).isEqualTo(1);
        assertThat(events.get("acknowledged").asLong()).isEqualTo(400);
        assertThat(events.get("acknowledgedMissing").asLong()).isZero();
        assertThat(events.get("unknown").asLong()).isEqualTo(1);
        assertThat(events.get("invalid").asLong()).isEqualTo(1);
        assertThat(events.get("offenders")).isEmpty();
        JsonNode logins = outcome.stream(USER_LOGINS);
        assertThat(logins.get("raw").asLong()).isEqualTo(81);
        assertThat(logins.get("stored").asLong()).isEqualTo(60);
        assertThat(logins.get("duplicates").asLong()).isEqualTo(21);
        assertThat(logins.get("sent").asLong()).isEqualTo(60);
        assertThat(logins.get("acknowledged").isNull()).isTrue();
        try (var left = Files.list(system.path("temp"))) {
            assertThat(left).isEmpty();
        }
    }

    /** Something that can be done to the system. */
    private interface Step {
        void run() throws Exception;
    }

    /**
     * One way to break it.
     *
     * @param kind what the audit must say
     * @param place what it must name: a partition and offset, or null
     * @param fingerprint what it must name, or null
     */
    private record Break(
            String name, Step step, Step mend, String stream, String kind, String place, String fingerprint) {}

    private static Break row(String name, String kind, String change) {
        AuditedSystem.Sent sent = UNIQUE.get(7);
        String its = " WHERE fingerprint = '\\x" + sent.fingerprint() + "'";
        Step mend = () -> {
            system.sql("DELETE FROM view_events" + its);
            system.store(sent);
        };
        return new Break(
                name, () -> system.sql(change + its), mend, VIEW_EVENTS, kind, sent.position(), sent.fingerprint());
    }

    private static Break login(String name, String kind, int id, String... changes) {
        AuditedSystem.Sent sent = LOGINS.get(id - 1);
        Step step = () -> {
            for (String change : changes) {
                system.clickHouse(change);
            }
        };
        return new Break(name, step, AuditIT::storeLogins, USER_LOGINS, kind, sent.position(), sent.fingerprint());
    }

    @TestFactory
    @Order(2)
    Stream<DynamicTest> namesWhatIsBroken() throws Exception {
        String strange = "cd".repeat(32);
        String remove = "ALTER TABLE user_logins DELETE WHERE id = ";
        return Stream.of(
                        row("a row that is deleted", "missing", "DELETE FROM view_events"),
                        row("a column that is changed", "different", "UPDATE view_events SET platform = 'other'"),
                        row("a column that is NULL", "different", "UPDATE view_events SET device_id = NULL"),
                        row(
                                "a time by a microsecond",
                                "different",
                                "UPDATE view_events SET event_datetime = event_datetime + interval '1 microsecond'"),
                        row(
                                "another time of receipt",
                                "different",
                                "UPDATE view_events SET received_at = received_at + interval '1 ms'"),
                        row("no time at all", "different", "UPDATE view_events SET received_at = 'infinity'"),
                        row(
                                "a document by one space",
                                "different",
                                "UPDATE view_events SET event = (event::text || ' ')::json"),
                        row("an escape", "escape", "UPDATE view_events SET escapes = 1"),
                        row("the row of a copy", "different", "UPDATE view_events SET kafka_offset = kafka_offset + 1"),
                        new Break(
                                "a row of no event",
                                () -> system.sql(
                                        "INSERT INTO view_events SELECT '\\x" + strange
                                                + "', user_id, content_id, event_name, event_datetime, sid, platform, content_type,"
                                                + " device_id, app_version, playtime_ms, event, 0, 1, received_at, 0 FROM view_events LIMIT 1"),
                                () -> system.sql("DELETE FROM view_events WHERE fingerprint = '\\x" + strange + "'"),
                                VIEW_EVENTS,
                                "extra",
                                "0:1",
                                strange),
                        new Break(
                                "a row of an offset that was never written",
                                () -> system.sql(
                                        "INSERT INTO view_events SELECT '\\x" + strange
                                                + "', user_id, content_id, event_name, event_datetime, sid, platform, content_type,"
                                                + " device_id, app_version, playtime_ms, event, 0, 1000000, received_at, 0 FROM view_events LIMIT 1"),
                                () -> system.sql("DELETE FROM view_events WHERE fingerprint = '\\x" + strange + "'"),
                                VIEW_EVENTS,
                                "extra",
                                "0:1000000",
                                strange),
                        login("a row of ClickHouse that is gone", "missing", 9, remove + 9),
                        login(
                                "a row of ClickHouse that is there twice",
                                "extra",
                                10,
                                "INSERT INTO user_logins VALUES " + login(10)),
                        login(
                                "a row of ClickHouse with another value",
                                "different",
                                11,
                                remove + 11,
                                "INSERT INTO user_logins VALUES (11, 'other', 'login', 1762955011)"),
                        new Break(
                                "a row of ClickHouse of no event",
                                () -> system.clickHouse("INSERT INTO user_logins VALUES " + login(777)),
                                AuditIT::storeLogins,
                                USER_LOGINS,
                                "extra",
                                null,
                                null),
                        new Break(
                                "a row that is flagged as sent and was not",
                                () -> system.sql(
                                        "INSERT INTO user_logins (id, username, sent_to_kafka) VALUES (4711, 'x', TRUE)"),
                                () -> system.sql("DELETE FROM user_logins WHERE id = 4711"),
                                USER_LOGINS,
                                "sent-missing",
                                null,
                                null))
                .map(it -> dynamicTest(it.name, () -> assertNamed(it)));
    }

    private static void assertNamed(Break it) throws Exception {
        it.step.run();
        try {
            assertOffender(audit(it.stream), it.stream, it.kind, it.place, it.fingerprint);
        } finally {
            it.mend.run();
        }
    }

    /** That this is all that is wrong. */
    private static void assertOffender(
            AuditedSystem.Outcome outcome, String stream, String kind, String place, String fingerprint) {
        assertThat(outcome.status()).as(outcome.out() + outcome.err()).isEqualTo(1);
        assertThat(outcome.out()).endsWith("broken: 1 " + kind + " in " + stream + "\n");
        assertThat(outcome.json().get("verdict").asText()).isEqualTo("broken");
        assertThat(outcome.stream(stream).get("offenders")).hasSize(1);
        JsonNode offender = outcome.stream(stream).get("offenders").get(0);
        assertThat(offender.get("kind").asText()).isEqualTo(kind);
        if (place != null) {
            assertThat(offender.get("partition").asText() + ":"
                            + offender.get("offset").asText())
                    .isEqualTo(place);
        }
        if (fingerprint != null) {
            assertThat(offender.get("fingerprint").asText()).isEqualTo(fingerprint);
        }
        assertThat(outcome.out()).contains(offender.get("detail").asText());
    }

    @Test
    @Order(3)
    void namesADuplicateThatIsNotRecorded() throws Exception {
        AuditedSystem.Sent copy = system.send(system.viewEvents, UNIQUE.get(3).value(), START + 5000);
        system.commit(system.viewEvents);

        assertOffender(audit(VIEW_EVENTS), VIEW_EVENTS, "duplicate-not-recorded", copy.position(), copy.fingerprint());

        system.duplicate(system.viewEvents, copy);
    }

    @Test
    @Order(3)
    void namesADeadLetterThatIsNotRecorded() throws Exception {
        AuditedSystem.Sent none = system.send(system.viewEvents, "{}".getBytes(UTF_8), START + 5000);
        system.commit(system.viewEvents);

        assertOffender(audit(VIEW_EVENTS), VIEW_EVENTS, "dead-letter-not-recorded", none.position(), null);

        system.deadLetter(system.viewEvents, none, "the event lacks the fields");
    }

    @Test
    @Order(3)
    void namesAnEventThatNoWindowKeepsOut() throws Exception {
        AuditedSystem.Sent first = system.send(system.viewEvents, event("again"), START);
        system.store(first);
        // A window later to the millisecond: new, and not to be dropped.
        AuditedSystem.Sent second = system.send(system.viewEvents, event("again"), START + WINDOW);
        AuditedSystem.Sent last = system.send(system.viewEvents, event("again"), START + WINDOW + 1);
        system.duplicate(system.viewEvents, last);
        system.commit(system.viewEvents);
        assertThat(audit(VIEW_EVENTS).status()).isZero();

        AuditedSystem.Sent copy = system.send(system.viewEvents, event("again"), START + 2 * WINDOW - 1);
        system.commit(system.viewEvents);

        assertOffender(audit(VIEW_EVENTS), VIEW_EVENTS, "duplicate-not-recorded", copy.position(), copy.fingerprint());
        assertThat(second.offset()).isLessThan(copy.offset());
        system.duplicate(system.viewEvents, copy);
    }

    @Test
    @Order(4)
    void namesAnAcknowledgedEventThatIsNotThere() throws Exception {
        AuditedSystem.Sent sent = UNIQUE.get(5);
        String other = UNIQUE.get(6).fingerprint();
        Map<String, String> lines = Map.of(
                line(other, sent),
                sent.position() + "/" + other,
                sent.fingerprint() + ",acknowledged,1,99999\n",
                "1:99999/" + sent.fingerprint(),
                sent.fingerprint() + ",acknowledged,17,0\n",
                "17:0/" + sent.fingerprint(),
                // In the topic, but nobody has waited for it: what the producer says without acknowledgements.
                sent.fingerprint() + ",acknowledged," + sent.partition() + ",-1\n",
                sent.partition() + ":-1/" + sent.fingerprint());
        for (Map.Entry<String, String> it : lines.entrySet()) {
            Path file = Files.writeString(system.path("other.csv"), Ledger.HEADER + "\n" + it.getKey());

            AuditedSystem.Outcome outcome =
                    system.audit("--stream", VIEW_EVENTS, "--ledger", ledger.toString(), "--ledger", file.toString());

            String[] expected = it.getValue().split("/", 2);
            assertOffender(outcome, VIEW_EVENTS, "acknowledged-missing", expected[0], expected[1]);
            assertThat(outcome.stream(VIEW_EVENTS).get("acknowledgedMissing").asLong())
                    .isEqualTo(1);
            assertThat(outcome.stream(VIEW_EVENTS).get("acknowledged").asLong()).isEqualTo(401);
        }
    }

    /** No mistake of the job's, but somebody who sends only what can be stored wants to know. */
    @Test
    @Order(4)
    void countsWhatWasAcknowledgedAndThenRefused() throws Exception {
        Path file = Files.writeString(
                system.path("refused.csv"), Ledger.HEADER + "\n" + line(refused.fingerprint(), refused));

        AuditedSystem.Outcome outcome = system.audit("--stream", VIEW_EVENTS, "--ledger", file.toString());

        assertThat(outcome.stream(VIEW_EVENTS).get("refused").asLong()).isEqualTo(1);
        assertThat(system.audit("--stream", VIEW_EVENTS, "--ledger", ledger.toString()).stream(VIEW_EVENTS)
                        .get("refused")
                        .asLong())
                .isZero();
    }

    @Test
    @Order(5)
    void saysHowFarTheJobIsBehind() throws Exception {
        AuditedSystem.Sent late = system.send(system.viewEvents, event("late"), START);

        AuditedSystem.Outcome outcome = system.audit("--stream", VIEW_EVENTS, "--wait", "100ms");

        assertThat(outcome.status()).isEqualTo(1);
        assertThat(outcome.err())
                .contains("the job has not caught up with the topic 'view-events'")
                .contains("partition " + late.partition() + " lags by 1")
                .contains("./dedup status");
        system.store(late);
        system.commit(system.viewEvents);
    }

    @Test
    @Order(5)
    void looksAgainWhileClickHouseIsLate() throws Exception {
        system.clickHouse("ALTER TABLE user_logins DELETE WHERE id = 5");
        CompletableFuture<Void> insert = CompletableFuture.runAsync(
                () -> {
                    try {
                        system.clickHouse("INSERT INTO user_logins VALUES " + login(5));
                    } catch (Exception e) {
                        throw new IllegalStateException(e);
                    }
                },
                CompletableFuture.delayedExecutor(1, TimeUnit.SECONDS));

        AuditedSystem.Outcome outcome = system.audit("--stream", USER_LOGINS, "--wait", "30s");

        insert.get();
        assertThat(outcome.status()).as(outcome.out()).isZero();
    }

    @Test
    @Order(5)
    void refusesWhatItCannotAudit() throws Exception {
        assertThat(system.audit("--stream", "nothing").err())
                .contains("there is no stream 'nothing'", "user-logins, view-events");
        assertThat(system.audit("--stream", USER_LOGINS, "--ledger", ledger.toString())
                        .err())
                .contains("--ledger: is about the stream view-events");
        assertThat(system.audit("--wait", "soon").status()).isEqualTo(2);
    }

    /** The audit is held at the table, when it has read the topics, until an event has come and is stored. */
    @Test
    @Order(5)
    void leavesOutWhatArrivesMeanwhile() throws Exception {
        AuditedSystem.Sent late;
        CompletableFuture<AuditedSystem.Outcome> audit;
        try (Connection connection = system.connect();
                Statement statement = connection.createStatement()) {
            connection.setAutoCommit(false);
            statement.execute("LOCK TABLE view_events IN ACCESS EXCLUSIVE MODE");
            audit = CompletableFuture.supplyAsync(() -> {
                try {
                    return audit(VIEW_EVENTS);
                } catch (Exception e) {
                    throw new IllegalStateException(e);
                }
            });
            await().atMost(Duration.ofMinutes(1)).until(system::somebodyWaitsForALock);
            late = system.send(system.viewEvents, event("meanwhile"), START);
            AuditedSystem.store(connection, late);
            connection.commit();
        }

        AuditedSystem.Outcome outcome = audit.get(1, TimeUnit.MINUTES);

        assertThat(outcome.status()).as(outcome.out() + outcome.err()).isZero();
        assertThat(outcome.stream(VIEW_EVENTS).get("later").asLong()).isEqualTo(1);
        system.commit(system.viewEvents);
    }

    /** jsonb keeps no bytes: the values must be the same, however they are written. */
    @Test
    @Order(5)
    void comparesJsonbByItsValues() throws Exception {
        Path streams = Files.createDirectories(system.path("streams-jsonb"));
        Files.writeString(
                streams.resolve("view-events.yaml"),
                Files.readString(AuditedSystem.file("streams/view-events.yaml"))
                        .replace("document: event", "document: { column: event, type: jsonb }"));
        Map<String, String> settings = Map.of("DEDUP_STREAMS_DIR", streams.toString());
        AuditedSystem.Sent sent = UNIQUE.get(7);
        system.sql("CREATE TABLE as_json AS TABLE view_events; ALTER TABLE view_events ALTER event TYPE jsonb");
        try {
            AuditedSystem.Outcome same = system.audit(settings, "--wait", "2s");
            assertThat(same.status()).as(same.out() + same.err()).isZero();

            system.sql("UPDATE view_events SET event = event || '{\"userId\": 1}' WHERE fingerprint = '\\x"
                    + sent.fingerprint() + "'");

            assertOffender(
                    system.audit(settings, "--wait", "2s"),
                    VIEW_EVENTS,
                    "different",
                    sent.position(),
                    sent.fingerprint());
        } finally {
            system.sql("TRUNCATE view_events; ALTER TABLE view_events ALTER event TYPE json;"
                    + " INSERT INTO view_events TABLE as_json; DROP TABLE as_json");
        }
    }

    @Test
    @Order(5)
    void namesWhatIsUnavailable() throws Exception {
        String address = "127.0.0.1:" + FreePort.find();

        // An address that cannot be used: one that does not answer is given up after 15 s only.
        AuditedSystem.Outcome kafka = system.audit(Map.of("DEDUP_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1"));
        assertThat(kafka.status()).isEqualTo(1);
        assertThat(kafka.err()).contains("DEDUP_KAFKA_BOOTSTRAP_SERVERS has '127.0.0.1'; write host:port");

        AuditedSystem.Outcome postgres = system.audit(
                Map.of("DEDUP_POSTGRES_URL", "jdbc:postgresql://" + address + "/dedup"), "--stream", VIEW_EVENTS);
        assertThat(postgres.status()).isEqualTo(1);
        assertThat(postgres.err())
                .contains("cannot read the table view_events of Postgres at jdbc:postgresql://" + address);

        AuditedSystem.Outcome clickHouse =
                system.audit(Map.of("DEDUP_CLICKHOUSE_URL", "http://" + address), "--stream", USER_LOGINS);
        assertThat(clickHouse.status()).isEqualTo(1);
        assertThat(clickHouse.err()).contains("cannot read the table user_logins of ClickHouse at http://" + address);
    }

    /** A transaction's marker takes an offset that no reader ever sees, and so does what was aborted. */
    @Test
    @Order(5)
    void looksThroughTransactions() throws Exception {
        AuditedSystem.Sent before = system.send(system.viewEvents, event("before"), START);
        system.store(before);
        long end = before.offset() + 1;
        try (KafkaProducer<byte[], byte[]> producer = system.transactions()) {
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(VIEW_EVENTS, before.partition(), START, null, event("aborted")))
                    .get();
            producer.abortTransaction();
            producer.beginTransaction();
            byte[] value = event("committed");
            Event event = new EventReader(system.viewEvents).read(value);
            long offset = producer.send(new ProducerRecord<>(VIEW_EVENTS, before.partition(), START, null, value))
                    .get()
                    .offset();
            producer.commitTransaction();
            system.store(new AuditedSystem.Sent(before.partition(), offset, START, value, event));
            // The job has read the last record, and cannot know that a marker follows.
            system.commit(system.viewEvents);
            system.commit(system.viewEvents, before.partition(), offset + 1);

            AuditedSystem.Outcome outcome = audit(VIEW_EVENTS);
            assertThat(outcome.status()).as(outcome.out() + outcome.err()).isZero();
            assertThat(offset).isEqualTo(end + 2);
            assertThat(outcome.stream(VIEW_EVENTS).get("withoutRecord").asLong())
                    .isEqualTo(3);

            producer.beginTransaction();
            producer.send(new ProducerRecord<>(VIEW_EVENTS, before.partition(), START, null, event("open")))
                    .get();
            AuditedSystem.Outcome open = system.audit("--stream", VIEW_EVENTS, "--wait", "100ms");
            assertThat(open.status()).isEqualTo(1);
            assertThat(open.err())
                    .contains("a transaction is open in the topic 'view-events': partition " + before.partition()
                            + " from offset " + (offset + 2));
            producer.abortTransaction();
            assertThat(audit(VIEW_EVENTS).status()).isZero();
        }
    }

    @Test
    @Order(5)
    void followsReplays() throws Exception {
        String code = "rejected-by-postgres";
        AuditedSystem.Sent original = system.send(system.viewEvents, event("mended"), START);
        system.deadLetter(system.viewEvents, original, "Postgres refused the row: a constraint");
        AuditedSystem.Sent copy = system.send(system.viewEvents, event("mended"), START + 1);
        system.duplicate(system.viewEvents, copy);
        system.commit(system.viewEvents);
        Path file = Files.writeString(
                system.path("replayed.csv"),
                Ledger.HEADER + "\n" + line(original.fingerprint(), original) + line(copy.fingerprint(), copy));
        AuditedSystem.Outcome open = system.audit("--stream", VIEW_EVENTS, "--ledger", file.toString());
        assertThat(open.status()).as(open.out()).isZero();
        assertThat(open.stream(VIEW_EVENTS).get("acknowledgedDeadLetters").asLong())
                .isEqualTo(2);
        long openBefore = open.stream(VIEW_EVENTS).get("deadLettersOpen").asLong();

        // Rejected once more, then stored, then sent again in error.
        AuditedSystem.Sent first = system.replay(system.viewEvents, original, 1, code, START + 10);
        system.deadLetterOfReplay(system.viewEvents, original, first, 1);
        AuditedSystem.Sent second = system.replay(system.viewEvents, original, 2, code, START + 11);
        system.commit(system.viewEvents);
        assertOffender(audit(VIEW_EVENTS), VIEW_EVENTS, "missing", second.position(), original.fingerprint());
        system.store(original);
        AuditedSystem.Sent third = system.replay(system.viewEvents, original, 2, code, START + 12);
        system.commit(system.viewEvents);
        assertOffender(audit(VIEW_EVENTS), VIEW_EVENTS, "replay-unexpected", third.position(), original.fingerprint());
        system.duplicate(system.viewEvents, third);

        AuditedSystem.Outcome outcome = system.audit("--stream", VIEW_EVENTS, "--ledger", file.toString());
        assertThat(outcome.status()).as(outcome.out()).isZero();
        JsonNode report = outcome.stream(VIEW_EVENTS);
        assertThat(report.get("replayed").asLong()).isEqualTo(3);
        assertThat(report.get("deadLettersOpen").asLong()).isEqualTo(openBefore - 1);
        assertThat(report.get("acknowledgedStored").asLong()).isEqualTo(1);
        assertThat(report.get("acknowledgedDuplicates").asLong()).isEqualTo(1);
        assertThat(report.get("acknowledgedDeadLetters").asLong()).isZero();
        assertThat(report.get("refused").asLong()).isZero();

        // What no letter is about must not be let through.
        AuditedSystem.Sent none = system.replay(system.viewEvents, UNIQUE.get(7), 1, code, START + 13);
        system.commit(system.viewEvents);
        assertThat(audit(VIEW_EVENTS).out()).contains("replay-unexpected");
        system.duplicate(system.viewEvents, none);
    }

    /** A letter is written at least once: the job has died after it, and the table takes the row now. */
    @Test
    @Order(5)
    void aLetterWhoseEventIsStoredAllTheSameIsNotOpen() throws Exception {
        AuditedSystem.Sent sent = system.send(system.viewEvents, event("stored later"), START);
        system.deadLetter(system.viewEvents, sent, "Postgres refused the row: a constraint");
        system.commit(system.viewEvents);
        long open =
                audit(VIEW_EVENTS).stream(VIEW_EVENTS).get("deadLettersOpen").asLong();

        system.store(sent);

        AuditedSystem.Outcome outcome = audit(VIEW_EVENTS);
        assertThat(outcome.status()).as(outcome.out()).isZero();
        assertThat(outcome.stream(VIEW_EVENTS).get("deadLettersOpen").asLong()).isEqualTo(open - 1);
    }

    /** As after a correction of the stream definition: what was no event is one now. */
    @Test
    @Order(5)
    void followsReplaysOfWhatWasNoEvent() throws Exception {
        AuditedSystem.Sent original = system.send(system.viewEvents, event("corrected"), START);
        system.deadLetter(system.viewEvents, original, "the event lacks the fields");
        system.commit(system.viewEvents);
        assertThat(audit(VIEW_EVENTS).out()).contains("dead-letter-unexpected");

        AuditedSystem.Sent replay = system.replay(system.viewEvents, original, 1, "missing-field", START + 20);
        system.store(original);
        AuditedSystem.Sent again = system.replay(system.viewEvents, original, 1, "missing-field", START + 21);
        system.duplicate(system.viewEvents, again);
        system.commit(system.viewEvents);

        AuditedSystem.Outcome outcome = audit(VIEW_EVENTS);
        assertThat(replay.offset()).isGreaterThan(original.offset());
        assertThat(outcome.status()).as(outcome.out()).isZero();
    }

    @Test
    @Order(5)
    void aDiscardedLetterIsNotOpen() throws Exception {
        long open =
                audit(VIEW_EVENTS).stream(VIEW_EVENTS).get("deadLettersOpen").asLong();
        AuditedSystem.Sent sent = system.send(system.viewEvents, event("discarded"), START);
        system.deadLetter(system.viewEvents, sent, "Postgres refused the row: a constraint");
        system.commit(system.viewEvents);
        assertThat(audit(VIEW_EVENTS).stream(VIEW_EVENTS).get("deadLettersOpen").asLong())
                .isEqualTo(open + 1);

        system.discard(system.viewEvents, sent, 0);

        assertThat(audit(VIEW_EVENTS).stream(VIEW_EVENTS).get("deadLettersOpen").asLong())
                .isEqualTo(open);
    }

    @Test
    @Order(5)
    void startsAgainWhereRecordsAreRemovedWhileItReads() throws Exception {
        TopicRange stale = new TopicRange("removed-while-read", new long[] {0}, new long[] {2});
        system.kafka.createTopics(new NewTopic(stale.topic(), 1, (short) 1));
        system.fill(stale.topic(), 2);
        system.admin
                .deleteRecords(Map.of(new TopicPartition(stale.topic(), 0), RecordsToDelete.beforeOffset(1)))
                .all()
                .get();
        Progress silent = new Progress(new PrintStream(OutputStream.nullOutputStream(), true, UTF_8));
        try (TopicReader topics = new TopicReader(system.kafka.bootstrapServers(), silent)) {
            assertThatThrownBy(() -> topics.read(stale, record -> {}))
                    .isInstanceOf(TopicReader.RemovedWhileReadException.class);
        }
    }

    @Test
    @Order(6)
    void isExactAgainOnceAllIsMended() throws Exception {
        assertExact();
    }

    @Test
    @Order(7)
    void whatIsRemovedFromTheTopicIsUncheckedUnlessItIsLost() throws Exception {
        AuditedSystem.Sent gone =
                UNIQUE.stream().filter(it -> it.partition() == 1).findFirst().orElseThrow();
        system.admin
                .deleteRecords(
                        Map.of(new TopicPartition(VIEW_EVENTS, 1), RecordsToDelete.beforeOffset(gone.offset() + 10)))
                .all()
                .get();

        AuditedSystem.Outcome outcome = system.audit("--stream", VIEW_EVENTS, "--ledger", ledger.toString());
        assertThat(outcome.status()).as(outcome.out()).isZero();
        assertThat(outcome.stream(VIEW_EVENTS).get("unchecked").asLong()).isPositive();

        system.sql("DELETE FROM view_events WHERE fingerprint = '\\x" + gone.fingerprint() + "'");
        AuditedSystem.Outcome lost = system.audit("--stream", VIEW_EVENTS, "--ledger", ledger.toString());
        assertThat(lost.status()).isEqualTo(1);
        List<String> named = new ArrayList<>();
        lost.stream(VIEW_EVENTS)
                .get("offenders")
                .forEach(it -> named.add(it.get("kind").asText() + " "
                        + it.get("partition").asText() + ":" + it.get("offset").asText() + " "
                        + it.get("fingerprint").asText()));
        assertThat(named).contains("acknowledged-missing " + gone.position() + " " + gone.fingerprint());
    }

    @Test
    @Order(8)
    void saysWhatWasDeletedBeforeTheJobHadReadIt() throws Exception {
        AuditedSystem.Sent first = system.send(system.viewEvents, event("read"), START);
        system.store(first);
        system.commit(system.viewEvents);
        int partition = first.partition();
        for (int i = 0; i < 20; i++) {
            byte[] value = event("unread " + i);
            system.send(system.viewEvents, partition, value, null, START);
        }
        long begin = first.offset() + 21;
        TopicPartition topicPartition = new TopicPartition(VIEW_EVENTS, partition);
        system.admin
                .deleteRecords(Map.of(topicPartition, RecordsToDelete.beforeOffset(begin)))
                .all()
                .get();
        String unread = partition + ":" + (first.offset() + 1) + "-" + (begin - 1);

        // The job is still down, and the audit does not wait for what is gone.
        AuditedSystem.Outcome down = audit(VIEW_EVENTS);
        assertThat(down.status()).as(down.out()).isEqualTo(1);
        assertThat(down.stream(VIEW_EVENTS).at("/broken/retention-lost").asLong())
                .isEqualTo(20);
        assertThat(down.out()).contains(partition + ":" + (first.offset() + 1));
        assertThat(down.stream(VIEW_EVENTS).get("unaccountedOffsets").toString())
                .contains(unread);

        // It has gone on behind them, and knows.
        system.commit(system.viewEvents);
        system.lost(20);
        AuditedSystem.Outcome behind = audit(VIEW_EVENTS);
        assertThat(behind.status()).as(behind.out()).isEqualTo(1);
        assertThat(behind.stream(VIEW_EVENTS).at("/broken/retention-lost").asLong())
                .isEqualTo(20);
        assertThat(behind.stream(VIEW_EVENTS).get("retentionLost").asLong()).isEqualTo(20);
        assertThat(behind.out()).contains(unread);
        system.lost(0);
    }

    @Test
    @Order(7)
    void countsWhatIsUncheckedWhereRowsHaveNoPosition() throws Exception {
        AuditedSystem.Sent gone = LOGINS.stream()
                .filter(it -> it.partition() != LOGINS.get(0).partition() && it.offset() > 0)
                .filter(it -> (LOGINS.indexOf(it) + 1) % 3 == 0)
                .min(Comparator.comparingLong(AuditedSystem.Sent::offset))
                .orElseThrow();
        system.admin
                .deleteRecords(Map.of(
                        new TopicPartition(USER_LOGINS, gone.partition()),
                        RecordsToDelete.beforeOffset(gone.offset() + 1)))
                .all()
                .get();

        AuditedSystem.Outcome outcome = audit(USER_LOGINS);

        assertThat(outcome.status()).as(outcome.out()).isZero();
        // The rows of those that are gone; the flags of those but the last, whose copy is there; that copy, and that of
        // the
        // first login, which for all the audit can know may be one of something that is gone.
        assertThat(outcome.stream(USER_LOGINS).get("unchecked").asLong())
                .isEqualTo((gone.offset() + 1) + gone.offset() + 2);
    }
}
