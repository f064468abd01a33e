package io.github.eventdedup.event;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.fail;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class StreamDefinitionTest {

    private static final String MINIMAL = """
            stream: s
            fingerprint: [id]
            window: 7d
            sink:
              postgres:
                table: t
                columns: { a: x }
            """;

    private static final String CLICKHOUSE = MINIMAL.replace("postgres", "clickhouse");

    @TempDir
    Path directory;

    @Test
    void readsTheRepositorysStream() throws Exception {
        StreamDefinition stream = Sample.viewEvents();
        assertThat(stream.stream()).isEqualTo("view-events");
        assertThat(stream.duplicatesTopic()).isEqualTo("view-events.duplicates");
        assertThat(stream.deadLettersTopic()).isEqualTo("view-events.dead-letters");
        assertThat(stream.fingerprint()).containsExactly("userId", "content_id", "event_name", "event_datetime", "sid");
        assertThat(stream.window()).isEqualTo(Duration.ofDays(7));
        assertThat(stream.table().name()).isEqualTo("view_events");
        assertThat(stream.table().columns())
                .hasSize(10)
                .startsWith(new Column("user_id", "userId", ColumnType.TEXT))
                .contains(new Column("event_datetime", "event_datetime", ColumnType.TIMESTAMP))
                .endsWith(new Column("playtime_ms", "playtime_ms", ColumnType.BIGINT));
        assertThat(document(stream)).isEqualTo(new PostgresTable.Document("event", PostgresTable.Document.Type.JSON));
    }

    @Test
    void readsAStreamOfAnOutboxForClickHouse() throws Exception {
        StreamDefinition stream = StreamDefinition.read(Path.of("../streams/user-logins.yaml"));
        assertThat(stream)
                .isEqualTo(new StreamDefinition(
                        "user-logins",
                        List.of("id"),
                        Duration.ofDays(7),
                        Duration.ofDays(1),
                        new Outbox(
                                "user_logins",
                                "id",
                                "sent_to_kafka",
                                "username",
                                false,
                                List.of(
                                        new Outbox.Field("id", "id"),
                                        new Outbox.Field("user", "username"),
                                        new Outbox.Field("event", "event_type"),
                                        new Outbox.Field("timestamp", "event_time"))),
                        new ClickHouseTable(
                                "user_logins",
                                List.of(
                                        new Column("id", "id", ColumnType.TEXT),
                                        new Column("username", "user", ColumnType.TEXT),
                                        new Column("event_type", "event", ColumnType.TEXT),
                                        new Column("event_time", "timestamp", ColumnType.TEXT)))));
    }

    @Test
    void takesClickHousesNames() throws Exception {
        StreamDefinition stream =
                read(CLICKHOUSE.replace("table: t", "table: Db.T1").replace("a: x", "userName: x"));
        assertThat(stream.table())
                .isEqualTo(new ClickHouseTable("Db.T1", List.of(new Column("userName", "x", ColumnType.TEXT))));
        assertThat(stream.outbox()).isNull();
    }

    @Test
    void refusesWhatIsNoClickHouseTable() {
        refused(
                CLICKHOUSE.replace("table: t", "table: a.b.c"),
                "sink.clickhouse.table: 'a.b.c' is not a name of letters, digits and '_'");
        refused(
                CLICKHOUSE.replace("{ a: x }", "{}"),
                "sink.clickhouse.columns: must map columns to fields, as in 'username: user'");
        refused(
                CLICKHOUSE.replace("{ a: x }", "{ a: { field: x, type: bigint }, 'b`': y, c: 5 }"),
                "sink.clickhouse.columns.a: must be the name of a field; the column's type is that of the table",
                "sink.clickhouse.columns.b`: 'b`' is not a column name of letters, digits and '_'",
                "sink.clickhouse.columns.c: must be the name of a field, a string");
        refused(CLICKHOUSE + "    document: d", "sink.clickhouse.document: unknown key; known here: columns, table");
        refused(
                CLICKHOUSE + "  postgres: { table: t, columns: { a: x } }",
                "sink: must have one of the keys clickhouse, postgres");
        refused(
                CLICKHOUSE.replaceFirst("(?s)sink:.*", "sink: {}"),
                "sink: must have one of the keys clickhouse, postgres");
    }

    @Test
    void refusesWhatIsNoOutbox() {
        refused(
                MINIMAL + "outbox: user_logins",
                "outbox: must be a mapping with the keys fields, id, partition-by, restarted-ids, sent, table");
        refused(
                MINIMAL
                        + "outbox: { table: 'a b', id: Id, sent: 5, partition-by: [u], restarted-ids: maybe, fields: { x: 'y z' }, every: 1s }",
                "outbox.every: unknown key; known here: fields, id, partition-by, restarted-ids, sent, table",
                "outbox.table: 'a b' is not a name of lower-case letters, digits and '_'",
                "outbox.id: 'Id' is not a name of lower-case letters, digits and '_'",
                "outbox.sent: '5' is not a name of lower-case letters, digits and '_'",
                "outbox.partition-by: '' is not a name of lower-case letters, digits and '_'",
                "outbox.restarted-ids: 'maybe' is not one of refuse, send",
                "outbox.fields.x: 'y z' is not a name of lower-case letters, digits and '_'",
                "outbox.fields: lacks the field 'id', which is part of the fingerprint");
        refused(
                MINIMAL + "outbox: { fields: id }",
                "outbox.table: missing",
                "outbox.id: missing",
                "outbox.sent: missing",
                "outbox.fields: must map fields to columns, as in 'user: username'");
    }

    @Test
    void defaults() throws Exception {
        StreamDefinition stream = read(MINIMAL);
        assertThat(stream.ttlSlack()).isEqualTo(Duration.ofDays(1));
        assertThat(stream.table().columns()).containsExactly(new Column("a", "x", ColumnType.TEXT));
        assertThat(document(stream)).isNull();
        assertThat(read(MINIMAL.replace("{ a: x }", "{ a: { field: x } }"))).isEqualTo(stream);
    }

    @Test
    void shortRetentionIsAllowedInAsManyWords() throws Exception {
        assertThat(read(MINIMAL).allowsShortRetention()).isFalse();
        assertThat(read(MINIMAL + "allow-short-retention: true").allowsShortRetention())
                .isTrue();
        assertThat(read(MINIMAL + "allow-short-retention: false").allowsShortRetention())
                .isFalse();
        refused(MINIMAL + "allow-short-retention: 8d", "allow-short-retention: '8d' is not one of true, false");
    }

    @Test
    void readsEverythingThatCanBeSaid() throws Exception {
        StreamDefinition stream = read("""
                stream: a.b-c_1
                fingerprint: [id, "two words", ünï]
                window: 36h
                ttl-slack: 90m
                sink:
                  postgres:
                    table: events.t
                    columns:
                      a: { field: A, type: text }
                      b: { field: A, type: bigint }
                      c: { field: c, type: double }
                      d: { field: d, type: boolean }
                      e: { field: e, type: timestamp }
                    document: { column: doc, type: jsonb }
                """);
        assertThat(stream)
                .isEqualTo(new StreamDefinition(
                        "a.b-c_1",
                        List.of("id", "two words", "ünï"),
                        Duration.ofHours(36),
                        Duration.ofMinutes(90),
                        null,
                        new PostgresTable(
                                "events.t",
                                List.of(
                                        new Column("a", "A", ColumnType.TEXT),
                                        new Column("b", "A", ColumnType.BIGINT),
                                        new Column("c", "c", ColumnType.DOUBLE),
                                        new Column("d", "d", ColumnType.BOOLEAN),
                                        new Column("e", "e", ColumnType.TIMESTAMP)),
                                new PostgresTable.Document("doc", PostgresTable.Document.Type.JSONB))));
        assertThat(document(read(MINIMAL + "    document: { column: doc }")))
                .isEqualTo(new PostgresTable.Document("doc", PostgresTable.Document.Type.JSON));
    }

    @ParameterizedTest
    @CsvSource({"1s, PT1S", "30s, PT30S", "90m, PT90M", "36h, PT36H", "7d, PT168H", "999999999d, PT23999999976H"})
    void readsDurations(String text, Duration duration) throws Exception {
        assertThat(read(MINIMAL.replace("7d", text)).window()).isEqualTo(duration);
        assertThat(read(MINIMAL + "ttl-slack: " + text).ttlSlack()).isEqualTo(duration);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"7", "0d", "7D", "-7d", "1.5h", "1w", "P7D", "7 d", "1000000000d", "7d7d", "seven days", "true"})
    void refusesOtherDurations(String text) {
        refused(MINIMAL.replace("7d", text), "window: '" + text + "' is not a duration; write 7d, 36h, 90m or 30s");
        refused(
                MINIMAL + "ttl-slack: " + text,
                "ttl-slack: '" + text + "' is not a duration; write 7d, 36h, 90m or 30s");
    }

    @Test
    void reportsEveryErrorAtOnce() throws Exception {
        Path file = write("""
                stream: View Events
                fingerprint: [id, id, 5]
                window: 7
                ttl-slack: soon
                retries: 3
                sink:
                  kafka: {}
                  postgres:
                    table: t; drop
                    index: none
                    columns:
                      Upper: u
                      fingerprint: f
                      kafka_offset: { field: k, type: number, size: 4 }
                      b: { type: bigint }
                      c: [d]
                    document: { column: b, type: xml, compressed: true }
                """);
        assertThatThrownBy(() -> StreamDefinition.read(file))
                .isExactlyInstanceOf(InvalidStreamDefinitionException.class)
                .hasMessage("""
                        %s is not a valid stream definition:
                          retries: unknown key; known here: allow-short-retention, fingerprint, outbox, sink, stream, ttl-slack, window
                          stream: 'View Events' is not a name of lower-case letters, digits, '.', '_' and '-'
                          fingerprint: 'id' is listed twice
                          fingerprint: must be the name of a field, a string
                          window: '7' is not a duration; write 7d, 36h, 90m or 30s
                          ttl-slack: 'soon' is not a duration; write 7d, 36h, 90m or 30s
                          sink.kafka: unknown key; known here: clickhouse, postgres
                          sink.postgres.index: unknown key; known here: columns, document, table
                          sink.postgres.table: 't; drop' is not a name of lower-case letters, digits and '_'
                          sink.postgres.columns.Upper: 'Upper' is not a column name of lower-case letters, digits and '_'
                          sink.postgres.columns.fingerprint: the column 'fingerprint' is filled by the job itself; choose another name
                          sink.postgres.columns.kafka_offset: the column 'kafka_offset' is filled by the job itself; choose another name
                          sink.postgres.columns.kafka_offset.size: unknown key; known here: field, type
                          sink.postgres.columns.kafka_offset.type: 'number' is not one of text, bigint, double, boolean, timestamp
                          sink.postgres.columns.b.field: must be the name of a field, a string
                          sink.postgres.columns.c: must be the name of a field, a string
                          sink.postgres.document.compressed: unknown key; known here: column, type
                          sink.postgres.document.column: the column 'b' is filled twice
                          sink.postgres.document.type: 'xml' is not one of json, jsonb""", file);
        assertThatThrownBy(() -> StreamDefinition.read(file))
                .isInstanceOfSatisfying(
                        InvalidStreamDefinitionException.class,
                        e -> assertThat(e.errors()).hasSize(19));
    }

    @Test
    void namesEveryMissingKey() {
        refused(
                "{}",
                "stream: missing",
                "fingerprint: missing; list the fields that make two events the same",
                "window: missing; write a duration such as 7d, 36h, 90m or 30s",
                "sink: missing; must be a mapping with the keys clickhouse, postgres");
        refused(
                MINIMAL.replace("table: t", "").replace("columns: { a: x }", "document: e"),
                "sink.postgres.table: missing",
                "sink.postgres.columns: must map columns to fields, as in 'user_id: userId'");
    }

    @Test
    void refusesItsOwnColumnsForTheDocumentToo() {
        for (String own : PostgresTable.OWN_COLUMNS) {
            refused(
                    MINIMAL.replace("a: x", own + ": x"),
                    "sink.postgres.columns." + own + ": the column '" + own
                            + "' is filled by the job itself; choose another name");
            refused(
                    MINIMAL + "    document: " + own,
                    "sink.postgres.document: the column '" + own
                            + "' is filled by the job itself; choose another name");
        }
        refused(MINIMAL + "    document: a", "sink.postgres.document: the column 'a' is filled twice");
    }

    @Test
    void refusesADocumentThatIsNoColumn() {
        String neither =
                "sink.postgres.document: must be the name of a column, or a mapping with the keys column, type";
        refused(MINIMAL + "    document: ~", neither);
        refused(MINIMAL + "    document: 5", neither);
        refused(MINIMAL + "    document: [doc]", neither);
        String noName = "sink.postgres.document.column: '' is not a column name of lower-case letters, digits and '_'";
        refused(MINIMAL + "    document: { type: jsonb }", noName);
        refused(MINIMAL + "    document: { column: true }", noName);
        refused(
                MINIMAL + "    document: { column: doc, type: ~ }",
                "sink.postgres.document.type: 'null' is not one of json, jsonb");
    }

    @Test
    void refusesADuplicateKeyAnywhere() {
        refused(MINIMAL + "stream: other", "the file: Duplicate field 'stream' (line 8)");
        refused(MINIMAL.replace("a: x", "a: x, a: y"), "the file: Duplicate field 'a' (line 7)");
    }

    /** An anchor by itself is harmless; an alias would be read as its own name. */
    @Test
    void refusesAliases() throws Exception {
        assertThat(read(MINIMAL.replace("table: t", "table: &table t"))).isEqualTo(read(MINIMAL));
        refused(
                MINIMAL.replace("table: t", "table: &field t").replace("a: x", "a: *field, b: *field"),
                "*field: is an alias; write out what it stands for (line 7)",
                "*field: is an alias; write out what it stands for (line 7)");
        refused(
                MINIMAL.replace("stream: s", "stream: *other"),
                "*other: is an alias; write out what it stands for (line 1)");
    }

    @Test
    void refusesWhatIsNotOneMapping() {
        String notAMapping =
                "the file: must be a mapping with the keys allow-short-retention, fingerprint, outbox, sink, stream, ttl-slack, window";
        for (String yaml : List.of("null", "text", "5", "[]", "- stream: s", "--- |\n  text")) {
            refused(yaml, notAMapping);
        }
        for (String yaml : List.of("", "\n", "# only a comment\n")) {
            refused(yaml, notAMapping.replace("file: ", "file: missing; "));
        }
        refused(MINIMAL + "---\n" + MINIMAL, "the file: holds more than one YAML document (line 9)");
    }

    @Test
    void refusesWhatIsNotYaml() throws Exception {
        refused("a: b: c", "the file: mapping values are not allowed here (line 1)");
        refused(
                "{",
                "the file: while parsing a flow node: expected the node content, but found '<stream end>' (line 1)");
        for (String yaml : List.of(
                "\t", "\0", "a: \u0007", "? [a]\n: b", "*a : b", "!!float x", "!!binary '@'", "%YAML 9.9\n---\n")) {
            assertThatThrownBy(() -> read(yaml)).isExactlyInstanceOf(InvalidStreamDefinitionException.class);
        }
        assertThatThrownBy(() -> read("[".repeat(100_000))).isExactlyInstanceOf(InvalidStreamDefinitionException.class);
        Path latin1 = directory.resolve("latin1.yaml");
        Files.write(latin1, "stream: é".getBytes(StandardCharsets.ISO_8859_1));
        assertThatThrownBy(() -> StreamDefinition.read(latin1))
                .isExactlyInstanceOf(InvalidStreamDefinitionException.class)
                .hasMessage(latin1 + " is not a valid stream definition:\n  the file: is not UTF-8");
    }

    @Test
    void damagedDefinitionsAreReadOrRefused() throws Exception {
        Random random = new Random(Sample.SEED);
        String whole = Files.readString(Path.of("../streams/view-events.yaml"));
        String alphabet = "{}[]:,-&*!|>'\"%@`#?~ \n\t0x_.ae5\u0001\ufeff\ud83d";
        for (int i = 0; i < 3000; i++) {
            StringBuilder yaml = new StringBuilder(whole);
            for (int times = 1 + random.nextInt(3); times > 0; times--) {
                int at = random.nextInt(yaml.length());
                String by = alphabet.charAt(random.nextInt(alphabet.length())) + (random.nextBoolean() ? "" : " ");
                yaml.replace(at, Math.min(yaml.length(), at + random.nextInt(3)), by);
            }
            try {
                new StreamDefinitionParser(Path.of("damaged.yaml")).parse(yaml.toString());
            } catch (InvalidStreamDefinitionException e) {
                assertThat(e.errors()).as("seed %d: %s", Sample.SEED, yaml).isNotEmpty();
            } catch (RuntimeException | Error e) {
                fail("seed " + Sample.SEED + ": " + yaml, e);
            }
        }
    }

    @Test
    void passesOnThatAFileIsMissing() {
        assertThatThrownBy(() -> StreamDefinition.read(directory.resolve("none.yaml")))
                .isInstanceOf(NoSuchFileException.class);
    }

    private static PostgresTable.Document document(StreamDefinition stream) {
        return ((PostgresTable) stream.table()).document();
    }

    private void refused(String yaml, String... errors) {
        assertThatThrownBy(() -> read(yaml))
                .as(yaml)
                .isInstanceOfSatisfying(
                        InvalidStreamDefinitionException.class,
                        e -> assertThat(e.errors()).containsExactly(errors));
    }

    private StreamDefinition read(String yaml) throws IOException, InvalidStreamDefinitionException {
        return StreamDefinition.read(write(yaml));
    }

    private Path write(String yaml) throws IOException {
        return Files.writeString(directory.resolve("stream.yaml"), yaml);
    }
}
