package io.github.eventdedup.relay;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.relay.TestOutbox.RelayProcess;
import io.github.eventdedup.relay.outbox.Destination;
import io.github.eventdedup.relay.outbox.OutboxPreflight;
import io.github.eventdedup.servers.FreePort;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.sql.PreparedStatement;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.utils.Utils;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/** What a relay run once sends, byte by byte, which rows it parks, and what keeps it from starting. */
@Timeout(180)
@ExtendWith(TestServers.class)
class OnceIT {

    private static final String OTHER_TABLE = """
            CREATE SCHEMA IF NOT EXISTS shop;
            CREATE DOMAIN shop.cents AS bigint;
            CREATE TABLE shop.orders (
                number bigint GENERATED ALWAYS AS IDENTITY (START WITH 9007199254740993) PRIMARY KEY,
                done boolean, placed timestamptz, day date, total numeric, price shop.cents, weight real, ratio double precision,
                small smallint, vip boolean, code char(5), name varchar(20), key uuid, raw json, doc jsonb, "order" text);
            """;
    private static final String OTHER_STREAM = """
            stream: orders
            fingerprint: [nr, vip, day]
            window: 1d
            outbox:
              table: shop.orders
              id: number
              sent: done
              partition-by: placed
              fields: { nr: number, placed: placed, day: day, total: total, price: price, weight: weight, ratio: ratio,
                small: small, vip: vip, code: code, name: name, key: key, raw: raw, doc: doc, "quoted \\" name": order }
            sink: { clickhouse: { table: orders, columns: { nr: nr } } }
            """;

    private TestOutbox outbox;

    @BeforeEach
    void create() throws Exception {
        outbox = new TestOutbox();
    }

    @AfterEach
    void close() throws Exception {
        outbox.close();
    }

    private void insert(Integer id, String user, String event, String time) throws Exception {
        try (PreparedStatement insert = outbox.database.prepareStatement("INSERT INTO " + outbox.table
                + " (id, username, event_type, event_time) VALUES (coalesce(?, nextval('" + outbox.table
                + "_id_seq')), ?, ?, ?::timestamp)")) {
            insert.setObject(1, id, java.sql.Types.INTEGER);
            insert.setString(2, user);
            insert.setString(3, event);
            insert.setString(4, time);
            insert.executeUpdate();
        }
    }

    @Test
    void sendsWhatThereIsAndEnds() throws Exception {
        for (int i = 0; i < 8; i++) {
            insert(621 + i, i % 2 == 0 ? "alice" : "bob", "login", "2025-11-12 14:20:31");
        }
        List<String> sent = LongStream.range(621, 629)
                .mapToObj(id -> "Sent: {\"id\":" + id + ",\"user\":\"" + (id % 2 == 1 ? "alice" : "bob")
                        + "\",\"event\":\"login\",\"timestamp\":1762957231.0}")
                .toList();
        assertThat(outbox.once()).isEqualTo(sent);
        assertThat(outbox.unsent()).isZero();
        assertThat(outbox.once()).isEmpty();
        for (int i = 0; i < 3; i++) {
            insert(700 + i, "carol", "logout", "2025-11-12 14:20:31.5");
        }
        assertThat(outbox.once())
                .containsExactly(
                        "Sent: {\"id\":700,\"user\":\"carol\",\"event\":\"logout\",\"timestamp\":1762957231.5}",
                        "Sent: {\"id\":701,\"user\":\"carol\",\"event\":\"logout\",\"timestamp\":1762957231.5}",
                        "Sent: {\"id\":702,\"user\":\"carol\",\"event\":\"logout\",\"timestamp\":1762957231.5}");
        assertThat(outbox.assertAllInOrder(11)).isZero();
    }

    @Test
    void writesEveryByteAsItShould() throws Exception {
        String[][] rows = {
            {"alice", "login", "2025-11-12 14:20:31", "\"alice\"", "\"login\"", "1762957231.0"},
            {"ö🙂", "", "1969-12-31 23:59:59.5", "\"ö🙂\"", "\"\"", "-0.5"},
            {"a\"b\\c", "x\ny\t", "1970-01-01", "\"a\\\"b\\\\c\"", "\"x\\ny\\t\"", "0.0"},
            {
                "\u0001\u001f\u007f",
                "</script>",
                "2025-11-12 14:20:31.123456",
                "\"\\u0001\\u001F\u007f\"",
                "\"</script>\"",
                "1762957231.123456"
            },
            {null, null, null, "null", "null", "null"},
            // The hour that New York leaves out, and the one that it has twice.
            {"'; --", "e", "2025-03-09 02:30:00", "\"'; --\"", "\"e\"", "1741487400.0"},
            {" ", "e", "2025-11-02 01:30:00.10", "\" \"", "\"e\"", "1762047000.1"},
            {
                "bc",
                "e",
                "0044-03-15 12:00:00 BC",
                "\"bc\"",
                "\"e\"",
                LocalDateTime.of(-43, 3, 15, 12, 0).toEpochSecond(ZoneOffset.UTC) + ".0"
            },
            {
                "leap",
                "e",
                "0001-02-29 00:00:00 BC",
                "\"leap\"",
                "\"e\"",
                LocalDateTime.of(0, 2, 29, 0, 0).toEpochSecond(ZoneOffset.UTC) + ".0"
            },
            // The last number that is read as seconds, and the first time that is no number.
            {"s", "e", "5138-11-16 09:46:39.999999", "\"s\"", "\"e\"", "99999999999.999999"},
            {"t", "e", "5138-11-16 09:46:40", "\"t\"", "\"e\"", "\"5138-11-16T09:46:40.000000Z\""},
            {"u", "e", "9999-12-31 23:59:59.999999", "\"u\"", "\"e\"", "\"9999-12-31T23:59:59.999999Z\""},
        };
        for (int i = 0; i < rows.length; i++) {
            insert(621 + i, rows[i][0], rows[i][1], rows[i][2]);
        }
        assertThat(outbox.once()).hasSize(rows.length);
        Map<Long, String> messages = outbox.messages();
        for (int i = 0; i < rows.length; i++) {
            long id = 621L + i;
            assertThat(messages.get(id))
                    .isEqualTo("{\"id\":" + id + ",\"user\":" + rows[i][3] + ",\"event\":" + rows[i][4]
                            + ",\"timestamp\":" + rows[i][5] + "}");
        }
        assertRecords();
    }

    @Test
    void keysByTheFingerprint() throws Exception {
        try (TestOutbox real = new TestOutbox(
                "user-logins",
                "user_logins",
                Files.readString(TestServers.file("sql/postgres/002-user-logins.sql")),
                Files.readString(TestServers.file("streams/user-logins.yaml")))) {
            real.execute("INSERT INTO user_logins VALUES (621, 'alice', 'login', '2025-11-12 14:20:31')");
            assertThat(real.once()).hasSize(1);
            assertThat(real.records()).singleElement().satisfies(record -> {
                assertThat(HexFormat.of().formatHex(record.key()))
                        .isEqualTo("5c88813dedf461f6a70c1aa82fc81ed46fccd58c4dbfd44de5cb6aefa388b462");
                assertThat(record.timestampType()).isEqualTo(TimestampType.LOG_APPEND_TIME);
            });
        }
    }

    /** Keys and partitions are those that the ingest and the job would compute of the message. */
    private void assertRecords() throws Exception {
        EventReader reader = new EventReader(StreamDefinition.read(outbox.streamFile()));
        for (ConsumerRecord<byte[], byte[]> record : outbox.records()) {
            assertThat(record.key())
                    .isEqualTo(reader.read(record.value()).fingerprint().bytes());
            String message = new String(record.value(), StandardCharsets.UTF_8);
            byte[] text = record.key();
            if (!message.contains("\"user\":null")) {
                try (PreparedStatement select =
                        outbox.database.prepareStatement("SELECT username FROM " + outbox.table + " WHERE id = ?")) {
                    select.setLong(1, TestOutbox.id(message));
                    try (var rows = select.executeQuery()) {
                        rows.next();
                        text = rows.getString(1).getBytes(StandardCharsets.UTF_8);
                    }
                }
            }
            assertThat(record.partition())
                    .as(message)
                    .isEqualTo(Utils.toPositive(Utils.murmur2(text)) % TestOutbox.PARTITIONS);
        }
    }

    @Test
    void sendsAnotherTableByConfigurationAlone() throws Exception {
        try (TestOutbox orders = new TestOutbox("orders", "shop.orders", OTHER_TABLE, OTHER_STREAM)) {
            orders.execute("""
                    INSERT INTO shop.orders (placed, day, total, price, weight, ratio, small, vip, code, name, key, raw, doc, "order")
                    VALUES ('2025-11-12 09:20:31-05', '2025-11-12', 12345678901234567890.50, 42, 1.5, 1e300, -7, true, 'JFK', 'ö',
                        '0b1a6e9e-2f6c-4b0e-9d5b-0d1f2c3b4a59', E'{"b": 1,\\n "a": 1e999}', '{"b":1,"a":[null]}', 'x'),
                        (NULL, '2025-11-12', NULL, NULL, NULL, NULL, NULL, false, NULL, NULL, NULL, NULL, NULL, NULL)""");
            String first =
                    "{\"nr\":9007199254740993,\"placed\":1762957231.0,\"day\":\"2025-11-12\",\"total\":12345678901234567890.50,"
                            + "\"price\":42,\"weight\":1.5,\"ratio\":1e+300,\"small\":-7,\"vip\":true,\"code\":\"JFK\",\"name\":\"ö\","
                            + "\"key\":\"0b1a6e9e-2f6c-4b0e-9d5b-0d1f2c3b4a59\",\"raw\":{\"b\": 1,\n \"a\": 1e999},"
                            + "\"doc\":{\"a\": [null], \"b\": 1},\"quoted \\\" name\":\"x\"}";
            assertThat(orders.once()).hasSize(2).first().isEqualTo("Sent: " + first.replace('\n', ' '));
            EventReader reader = new EventReader(StreamDefinition.read(orders.streamFile()));
            assertThat(orders.records())
                    .hasSize(2)
                    .allSatisfy(record -> assertThat(record.key())
                            .isEqualTo(reader.read(record.value()).fingerprint().bytes()));
            assertThat(orders.records())
                    .extracting(record -> new String(record.value(), StandardCharsets.UTF_8))
                    .contains(first);
            assertThat(orders.number("SELECT count(*) FROM shop.orders WHERE done"))
                    .isEqualTo(2);

            orders.execute("INSERT INTO shop.orders (day, vip, placed) VALUES ('2025-11-12', true, '290000-12-31'),"
                    + " ('2025-11-12', true, '4713-11-24 BC'), ('2025-11-12', true, '9999-12-31T23:59:59-01')");
            assertThat(orders.once()).isEmpty();
            assertThat(orders.number("SELECT count(*) FROM outbox_set_aside WHERE table_name = 'shop.orders'"
                            + " AND reason LIKE 'column placed is not a time of the years 1 to 9999%'"))
                    .isEqualTo(3);
            orders.execute("DELETE FROM shop.orders WHERE done IS NOT TRUE; DELETE FROM outbox_set_aside");
            // What json takes and an event does not, and a document too deep for it.
            orders.execute(
                    "INSERT INTO shop.orders (day, vip, raw) VALUES ('2025-11-12', true, '\"\\u0000\"'),"
                            + " ('2025-11-12', true, '\"\\ud800\"'), ('2025-11-12', true, (repeat('[', 1001) || repeat(']', 1001))::json)");
            assertThat(orders.once()).isEmpty();
            assertThat(orders.number(
                            "SELECT count(DISTINCT reason) FROM outbox_set_aside WHERE table_name = 'shop.orders'"
                                    + " AND reason LIKE 'the event would be a dead letter: it %'"))
                    .isEqualTo(3);
            orders.execute("DELETE FROM shop.orders WHERE done IS NOT TRUE; DELETE FROM outbox_set_aside");
            orders.execute(
                    "INSERT INTO shop.orders (day, vip, ratio, weight, total, placed) VALUES"
                            + " ('2025-11-12', true, 'NaN', 1, 1, now()), ('2025-11-12', true, 1, '-Infinity', 1, now()),"
                            + " ('2025-11-12', true, 1, 1, 'Infinity', now()), ('2025-11-12', true, 1, 1, 1, '-infinity'),"
                            + " ('infinity', true, 1, 1, 1, now()), ('2025-11-12 BC', true, 1, 1, 1, now()), (NULL, true, 1, 1, 1, now())");
            assertThat(orders.once()).isEmpty();
            assertThat(orders.number(
                            "SELECT count(DISTINCT reason) FROM outbox_set_aside WHERE table_name = 'shop.orders'"))
                    .isEqualTo(6);
        }
    }

    @Test
    void setsAsideWhatCannotBeSentAndGoesOn() throws Exception {
        insert(1, "alice", "login", "infinity");
        insert(2, "alice", "login", "2025-11-12 14:20:31");
        insert(3, "alice", "login", "-infinity");
        insert(4, "bob", "login", "2025-11-12 14:20:31");
        RelayProcess first = outbox.relay("--once");
        assertThat(first.endsWith(0)).hasSize(2);
        assertThat(first.errors().lines().filter(line -> line.contains("WARN")))
                .hasSize(2)
                .first()
                .asString()
                .contains("row 1 of " + outbox.table + " cannot be sent: column event_time is infinity");
        assertThat(outbox.unsent()).isEqualTo(2);
        assertThat(outbox.setAside()).isEqualTo(2);

        insert(5, "alice", "login", "2025-11-12 14:20:31");
        RelayProcess second = outbox.relay("--once");
        assertThat(second.endsWith(0)).hasSize(1);
        assertThat(second.errors()).doesNotContain("WARN");

        outbox.execute("UPDATE " + outbox.table + " SET event_time = '2025-11-12 14:20:31' WHERE id = 1");
        outbox.execute("DELETE FROM outbox_set_aside WHERE table_name = '" + outbox.table + "' AND row_id IN (1, 3)");
        RelayProcess third = outbox.relay("--once");
        assertThat(third.endsWith(0)).singleElement().asString().contains("\"id\":1,");
        assertThat(third.errors().lines().filter(line -> line.contains("WARN")))
                .singleElement()
                .asString()
                .contains("row 3 of");
        assertThat(outbox.messages()).containsOnlyKeys(1L, 2L, 4L, 5L);
    }

    @Test
    void takesWhateverAUserIsCalled() throws Exception {
        List<String> users = List.of(
                "O'Brien\"; DROP TABLE user_logins; --",
                "🙂👩‍👩‍👧\u202e",
                "line\nbreak\r\u2028",
                "\u0001\u0002\u001f\u007f\u0085",
                "{\"id\":1}",
                "m".repeat(EventReader.MAX_EVENT_BYTES - 100),
                "\u0001".repeat(EventReader.MAX_EVENT_BYTES / 6 - 20),
                "\u0001".repeat(EventReader.MAX_EVENT_BYTES / 6),
                "g".repeat(5 << 20),
                "last");
        for (String user : users) {
            outbox.insert(user);
        }
        RelayProcess relay = outbox.relay("--once");
        assertThat(relay.endsWith(0)).hasSize(8);
        assertThat(relay.errors().lines().filter(line -> line.contains("WARN")))
                .hasSize(2)
                .allSatisfy(line -> assertThat(line).contains("the event is too large: at least"));
        assertThat(outbox.messages()).containsOnlyKeys(1L, 2L, 3L, 4L, 5L, 6L, 7L, 10L);
        assertThat(outbox.unsent()).isEqualTo(2);
    }

    /** All of them together would not fit into the memory of the relay. */
    @Test
    void takesManyLargeRows() throws Exception {
        outbox.execute("INSERT INTO " + outbox.table
                + " (username, event_type) SELECT repeat('x', 250000), 'login' FROM generate_series(1, 1100)");
        RelayProcess relay = outbox.relay("--once");
        relay.process().waitFor();
        assertThat(relay.errors()).isEmpty();
        assertThat(outbox.unsent()).isZero();
        assertThat(outbox.topicSize()).isEqualTo(1100);
    }

    @Test
    void saysWhatKeepsItFromStarting() throws Exception {
        assertRefused(
                Map.of("DEDUP_POSTGRES_PASSWORD", "wrong"), "Postgres at jdbc:", "password authentication failed");
        assertRefused(
                Map.of("DEDUP_POSTGRES_URL", "jdbc:postgresql://127.0.0.1:" + FreePort.find() + "/dedup"),
                "cannot be used as user 'dedup': start it");
        assertRefused(
                Map.of("DEDUP_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:" + FreePort.find()),
                "Kafka at 127.0.0.1:",
                "start it");
        String yaml = Files.readString(outbox.streamFile());
        Files.writeString(outbox.streamFile(), yaml.replace("stream: " + outbox.stream, "stream: none"));
        assertRefused(Map.of(), "has no topic 'none'");
        Files.writeString(outbox.streamFile(), yaml.replaceAll("(?s)outbox:.*sink", "sink"));
        assertRefused(Map.of(), "has no outbox to relay");
        Files.writeString(
                outbox.streamFile(),
                yaml.replaceFirst("table: .*", "table: missing").replaceFirst("sent_to_kafka", "sent"));
        outbox.execute("ALTER TABLE outbox_set_aside RENAME TO hidden");
        try {
            assertRefused(
                    Map.of(),
                    "Postgres has no table 'missing'",
                    "Postgres has no table 'outbox_set_aside': apply the files of sql/postgres");
        } finally {
            outbox.execute("ALTER TABLE hidden RENAME TO outbox_set_aside");
        }
    }

    @Test
    void saysWhatIsWrongWithTheTable() throws Exception {
        String table = outbox.table;
        assertUnfit("user: username", "user: nobody", "table '" + table + "' has no column 'nobody'");
        assertUnfit(
                "  id: id",
                "  id: username",
                "column 'username' of table '" + table + "' is text: the id of an outbox must be a smallint",
                "column 'username' of table '" + table + "' does not identify its rows");
        assertUnfit(
                "sent: sent_to_kafka",
                "sent: id",
                "column 'id' of table '" + table + "' is integer: the flag of an outbox must be a boolean");
        outbox.execute("ALTER TABLE " + table + " ADD amount numeric");
        assertUnfit(
                "(?s)fingerprint: \\[id](.*)user: username",
                "fingerprint: [user]$1user: amount",
                "is numeric, which cannot be part of a fingerprint");
        assertUnfit(
                "(?s)sink:.*",
                "sink: { postgres: { table: t, columns: { a: { field: user, type: bigint } } } }",
                "column 'username' of table '" + table + "' is text, which does not fit column 'a' of the destination"
                        + " 't': it accepts an integer");
        outbox.execute("ALTER TABLE " + table + " ADD address inet");
        assertUnfit("user: username", "user: address", "is inet, which cannot be sent; these can: bigint, boolean, ");
        outbox.execute("ALTER TABLE " + table + " DROP CONSTRAINT " + table + "_pkey");
        assertUnfit("", "", "column 'id' of table '" + table + "' does not identify its rows: make it the primary key");
    }

    @Test
    void refusesAFlagThatCannotBeSet() throws Exception {
        String table = outbox.table;
        outbox.execute("ALTER TABLE " + table + " ADD fresh boolean GENERATED ALWAYS AS (id < 0) STORED;"
                + " CREATE VIEW " + table + "_view AS SELECT * FROM " + table + ";"
                + " CREATE TABLE " + table + "_child () INHERITS (" + table + ")");
        assertUnfit("table: " + table, "table: " + table + "_view", "'" + table + "_view' is a view");
        assertUnfit("", "", "table '" + table + "' has tables that inherit from it");
        outbox.execute("DROP TABLE " + table + "_child;" + " CREATE RULE keep AS ON UPDATE TO " + table
                + " DO INSTEAD NOTHING");
        assertUnfit("", "", "table '" + table + "' has a rule ON UPDATE DO INSTEAD");
        outbox.execute("DROP RULE keep ON " + table);
        assertUnfit(
                "sent: sent_to_kafka", "sent: fresh", "column 'fresh' of table '" + table + "' is generated: the flag");
        outbox.execute("SET default_transaction_read_only = on");
        try {
            assertUnfit("", "", "sessions of user 'dedup' are read-only");
        } finally {
            outbox.execute("RESET default_transaction_read_only");
        }
    }

    @Test
    void refusesPoliciesThatHideRows() throws Exception {
        String table = outbox.table;
        outbox.execute("CREATE ROLE tenant LOGIN PASSWORD 'dedup'; GRANT SELECT, UPDATE ON " + table + " TO tenant;"
                + " GRANT SELECT, INSERT ON outbox_set_aside TO tenant;"
                + " ALTER TABLE " + table + " ENABLE ROW LEVEL SECURITY;"
                + " CREATE POLICY own ON " + table + " TO tenant USING (username = current_user)");
        try {
            outbox.insert("alice");
            assertRefused(
                    Map.of("DEDUP_POSTGRES_USER", "tenant"),
                    "table '" + table + "' has row-level security, which hides rows from user 'tenant'");
            outbox.execute("CREATE POLICY relay ON " + table + " TO tenant USING (true)");
            assertThat(outbox.relay(Map.of("DEDUP_POSTGRES_USER", "tenant"), "--once")
                            .endsWith(0))
                    .hasSize(1);
            outbox.execute("CREATE POLICY strict ON " + table + " AS RESTRICTIVE USING (username <> 'bob')");
            assertRefused(Map.of("DEDUP_POSTGRES_USER", "tenant"), "has row-level security");
        } finally {
            outbox.execute("DROP OWNED BY tenant; DROP ROLE tenant");
        }
    }

    @Test
    void sendsNoRowWhoseFlagCannotBeSet() throws Exception {
        String table = outbox.table;
        outbox.execute("CREATE FUNCTION " + table + "_check() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
                + " IF NEW.username = 'raise' THEN RAISE 'not %', NEW.username USING ERRCODE = 'MY001'; END IF;"
                + " IF NEW.username = 'skip' THEN RETURN NULL; END IF;"
                + " IF NEW.username = 'reset' THEN NEW.sent_to_kafka = false; END IF;"
                + " RETURN NEW; END$$;"
                + " CREATE FUNCTION " + table + "_late() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
                + " IF NEW.username = 'archive' THEN DELETE FROM " + table + " WHERE id = NEW.id; END IF;"
                + " IF NEW.username = 'deferred' THEN RAISE 'not deferred'; END IF; RETURN NULL; END$$;"
                + " CREATE TRIGGER a BEFORE UPDATE ON " + table + " FOR EACH ROW EXECUTE FUNCTION " + table
                + "_check();"
                + " CREATE CONSTRAINT TRIGGER b AFTER UPDATE ON " + table + " DEFERRABLE INITIALLY DEFERRED"
                + " FOR EACH ROW EXECUTE FUNCTION " + table + "_late()");
        for (String user : List.of("raise", "skip", "reset", "deferred")) {
            outbox.execute("TRUNCATE " + table);
            outbox.insert(user);
            RelayProcess relay = outbox.relay("--once");
            assertThat(relay.endsWith(1)).isEmpty();
            assertThat(relay.errors())
                    .as(user)
                    .contains("rows of '" + table + "' cannot be flagged as sent, so none is sent");
            assertThat(relay.errors().lines()).hasSize(1);
        }
        outbox.execute("TRUNCATE " + table);
        for (String user : List.of("a", "raise", "b", "skip", "c", "reset", "d", "deferred", "e", "archive", "f")) {
            outbox.insert(user);
        }
        assertThat(outbox.once()).hasSize(7);
        assertThat(outbox.messages()).hasSize(7);
        assertThat(outbox.setAside()).isEqualTo(4);
        assertThat(outbox.unsent()).isEqualTo(4);
        assertThat(outbox.number("SELECT count(*) FROM " + table)).isEqualTo(10);
        assertThat(outbox.once()).isEmpty();
    }

    private void assertUnfit(String part, String replacement, String... findings) throws Exception {
        String yaml = Files.readString(outbox.streamFile()).replaceFirst(part, replacement);
        StreamDefinition stream =
                StreamDefinition.read(Files.writeString(outbox.directory.resolve("unfit.yaml"), yaml));
        assertThatThrownBy(() -> OutboxPreflight.check(
                        outbox.database,
                        stream,
                        "dedup",
                        new Destination(stream.table().columns(), Map.of(), "not asked")))
                .isInstanceOf(ConfigurationException.class)
                .message()
                .contains(findings)
                .satisfies(
                        message -> assertThat(message.lines()).hasSize(findings.length == 1 ? 1 : findings.length + 1));
    }

    @Test
    void needsNoMoreThanItsPrivileges() throws Exception {
        String table = outbox.table;
        outbox.execute("CREATE ROLE reader LOGIN PASSWORD 'dedup'; GRANT SELECT ON " + table + " TO reader");
        try {
            assertRefused(
                    Map.of("DEDUP_POSTGRES_USER", "reader"),
                    "user 'reader' may not UPDATE column 'sent_to_kafka' of table '" + table + "'",
                    "user 'reader' may not SELECT on table 'outbox_set_aside'",
                    "user 'reader' may not INSERT on table 'outbox_set_aside'");
            outbox.execute("GRANT UPDATE (sent_to_kafka) ON " + table + " TO reader;"
                    + " GRANT SELECT, INSERT ON outbox_set_aside TO reader");
            outbox.execute(
                    "INSERT INTO " + table + " (username, event_time) VALUES ('alice', now()), ('bob', 'infinity')");
            assertThat(outbox.relay(Map.of("DEDUP_POSTGRES_USER", "reader"), "--once")
                            .endsWith(0))
                    .hasSize(1);
            assertThat(outbox.setAside()).isEqualTo(1);
        } finally {
            outbox.execute("DROP OWNED BY reader; DROP ROLE reader");
        }
    }

    private void assertRefused(Map<String, String> settings, String... reasons) throws Exception {
        RelayProcess relay = outbox.relay(settings, "--once");
        assertThat(relay.endsWith(1)).isEmpty();
        assertThat(relay.errors())
                .contains(reasons)
                .startsWith("outbox-relay: ")
                .doesNotContain("\tat ");
        assertThat(relay.errors().lines().count()).isEqualTo(relay.errors().contains(":\n") ? reasons.length + 1 : 1);
    }
}
