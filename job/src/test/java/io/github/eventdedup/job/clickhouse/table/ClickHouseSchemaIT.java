package io.github.eventdedup.job.clickhouse.table;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.clickhouse.client.api.Client;
import io.github.eventdedup.event.ClickHouseTable;
import io.github.eventdedup.event.Column;
import io.github.eventdedup.event.ColumnType;
import io.github.eventdedup.job.Setup;
import io.github.eventdedup.job.settings.ClickHouseLogin;
import io.github.eventdedup.job.testing.Fixtures;
import io.github.eventdedup.servers.ClickHouseServer;
import io.github.eventdedup.servers.FreePort;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.flink.util.IOUtils;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the job asks of a real ClickHouse before it is submitted. */
class ClickHouseSchemaIT {

    @TempDir
    private static Path directory;

    private static ClickHouseServer clickHouse;
    private static ClickHouseLogin login;
    private static Client client;
    private static ClickHouseTable table;

    @BeforeAll
    static void startServer() throws Exception {
        int port = FreePort.find();
        clickHouse = Fixtures.clickHouse(directory, port);
        clickHouse.start();
        login = Fixtures.login(port);
        client = login.connect();
        table = (ClickHouseTable) Fixtures.userLogins().table();
    }

    @AfterAll
    static void stopServer() throws Exception {
        IOUtils.closeAll(client, clickHouse);
    }

    @BeforeEach
    void createTable() throws Exception {
        execute("DROP TABLE IF EXISTS user_logins SYNC");
        execute(Files.readString(Fixtures.file("sql/clickhouse/001-user-logins.sql")));
    }

    @Test
    void theProjectsOwnTableIsAsItShouldBe() {
        ClickHouseSchema schema = ClickHouseSchema.of(login, table);
        assertThat(schema.findings()).isEmpty();
        assertThat(schema.format().tableColumns())
                .extracting(ClickHouseColumnWriter::type)
                .containsExactly("UInt32", "String", "String", "DateTime");
        assertThat(ClickHouseSchema.of(login, new ClickHouseTable("dedup.user_logins", table.columns())))
                .isEqualTo(schema);
    }

    @Test
    void namesTheSchemaFileThatCannotBeApplied(@TempDir Path files) throws Exception {
        Path two = Files.writeString(files.resolve("1.sql"), "CREATE TABLE a (i Int8) ENGINE = Log; SELECT 1");
        Path wrong = Files.writeString(files.resolve("2.sql"), "CREATE TABEL b ()");
        Path empty = Files.writeString(files.resolve("3.sql"), "-- nothing yet\n");
        Path right = Files.copy(Fixtures.file("sql/clickhouse/001-user-logins.sql"), files.resolve("4.sql"));
        execute("DROP TABLE user_logins SYNC");
        List<String> errors = new ArrayList<>();
        Setup.applySchema(List.of(two, wrong, empty, right), login, errors);
        assertThat(errors)
                .satisfiesExactly(
                        line -> assertThat(line)
                                .startsWith("--clickhouse: cannot apply " + two + " (")
                                .endsWith(
                                        ": it has more than one statement, and ClickHouse accepts one at a time; make a"
                                                + " file of each"),
                        line -> assertThat(line)
                                .startsWith("--clickhouse: cannot apply " + wrong + " (")
                                .contains("Syntax error"),
                        line -> assertThat(line).startsWith("--clickhouse: cannot apply " + empty + " ("));
        assertThat(ClickHouseSchema.of(login, table).findings()).isEmpty();
    }

    /** The user's own table has no such setting; and the printed statement has to be right. */
    @Test
    void aTableThatForgetsTokensIsRefusedWithTheStatementThatMendsIt() {
        execute("DROP TABLE user_logins SYNC");
        execute("CREATE TABLE user_logins (id UInt32, username String, event_type String, event_time DateTime)"
                + " ENGINE = MergeTree() ORDER BY event_time");

        String finding = theFinding(table);
        assertThat(finding)
                .startsWith("table `dedup`.`user_logins` has non_replicated_deduplication_window = 0: ")
                .contains("stored twice");

        execute(finding.substring(finding.indexOf("ALTER TABLE")));
        assertThat(ClickHouseSchema.of(login, table).findings()).isEmpty();

        execute("ALTER TABLE user_logins MODIFY SETTING non_replicated_deduplication_window = 999");
        assertThat(theFinding(table)).contains("non_replicated_deduplication_window = 999");
    }

    /** ClickHouse hands a batch that comes again on to views whose tables remember nothing. */
    @Test
    void aViewWhoseTableForgetsTokensIsNamedWithTheStatementThatCorrectsIt() {
        execute("CREATE OR REPLACE TABLE first_target (id UInt32) ENGINE = MergeTree ORDER BY id");
        execute(
                "CREATE OR REPLACE TABLE `second.target` (id UInt32) ENGINE = MergeTree PARTITION BY id % 10 ORDER BY id");
        execute("CREATE MATERIALIZED VIEW first_view TO first_target AS SELECT id FROM user_logins");
        execute("CREATE MATERIALIZED VIEW second_view TO `second.target` AS SELECT id FROM first_target");
        execute("CREATE MATERIALIZED VIEW inner_view ENGINE = MergeTree ORDER BY id AS SELECT id FROM user_logins");
        try {
            List<String> findings = ClickHouseSchema.of(login, table).findings();
            assertThat(findings)
                    .hasSize(3)
                    .anySatisfy(
                            line -> assertThat(line)
                                    .contains(
                                            "`dedup`.`first_view` fills table `dedup`.`first_target`, which would get rows twice"))
                    .anySatisfy(line -> assertThat(line)
                            .contains("`dedup`.`second_view`")
                            .endsWith("ALTER TABLE `dedup`.`second.target` MODIFY SETTING"
                                    + " non_replicated_deduplication_window = 10000"))
                    .anySatisfy(
                            line -> assertThat(line).contains("`dedup`.`inner_view` fills table `dedup`.`.inner_id."));
            findings.forEach(finding -> execute(finding.substring(finding.indexOf("ALTER TABLE"))));
            assertThat(ClickHouseSchema.of(login, table).findings()).isEmpty();
        } finally {
            execute("DROP VIEW inner_view SYNC");
            execute("DROP VIEW second_view SYNC");
            execute("DROP VIEW first_view SYNC");
        }
    }

    @Test
    void thePartitionOfARowIsKnownWhereFilledColumnsAreEnough() throws Exception {
        ClickHouseTable parted = new ClickHouseTable("parted", List.of(new Column("id", "id", ColumnType.TEXT)));
        for (String key : List.of("id % 3", "(id % 3, id % 3 + 1)", "day")) {
            execute(
                    "CREATE OR REPLACE TABLE parted (id UInt32, day Date DEFAULT today()) ENGINE = MergeTree PARTITION BY "
                            + key + " ORDER BY () SETTINGS non_replicated_deduplication_window = 10000");
            ClickHouseSchema schema = ClickHouseSchema.of(login, parted);
            assertThat(schema.rememberedParts()).isEqualTo(10_000);
            assertThat(schema.partitionKey().computable()).as(key).isEqualTo(!key.equals("day"));
            List<byte[]> rows = new ArrayList<>();
            for (long id = 0; id < 9; id++) {
                rows.add(schema.format().encode(List.of(id)));
            }
            long[] partitions = new ClickHousePartitions(login, schema).of(rows);
            assertThat(partitions).hasSize(9);
            assertThat(Arrays.stream(partitions).distinct().count()).as(key).isEqualTo(key.equals("day") ? 9 : 3);
            assertThat(partitions[4] == partitions[7]).as(key).isEqualTo(!key.equals("day"));
        }
    }

    @Test
    void aTableWithPartitionsHasToRememberMore() {
        execute("CREATE OR REPLACE TABLE parted (id UInt32) ENGINE = MergeTree PARTITION BY id ORDER BY ()"
                + " SETTINGS non_replicated_deduplication_window = 1000");
        assertThat(theFinding(new ClickHouseTable("parted", table.columns().subList(0, 1))))
                .endsWith("MODIFY SETTING non_replicated_deduplication_window = 10000");
    }

    @Test
    void aTableThatIsNotThereIsNamed() {
        assertThat(theFinding(new ClickHouseTable("elsewhere", table.columns())))
                .contains("no table `dedup`.`elsewhere`", "sql/clickhouse");
    }

    @Test
    void anEngineThatKeepsNoTokensIsRefused() {
        execute("CREATE OR REPLACE TABLE memory (id UInt32) ENGINE = Memory");
        assertThat(theFinding(new ClickHouseTable("memory", table.columns().subList(0, 1))))
                .contains("has the engine Memory", "MergeTree");
    }

    @Test
    void everyColumnThatCannotBeFilledIsNamed() {
        execute(
                "CREATE OR REPLACE TABLE odd (a Array(String), b String MATERIALIZED 'x', c String ALIAS b) ENGINE = MergeTree"
                        + " ORDER BY () SETTINGS non_replicated_deduplication_window = 1000");
        List<Column> columns = new ArrayList<>();
        for (String name : List.of("a", "b", "c", "d")) {
            columns.add(new Column(name, "field", ColumnType.TEXT));
        }

        assertThat(ClickHouseSchema.of(login, new ClickHouseTable("odd", columns))
                        .findings())
                .satisfiesExactly(
                        finding -> assertThat(finding).contains("'a'", "is Array(String)", "UInt32", "DateTime64"),
                        finding -> assertThat(finding).contains("'b'", "MATERIALIZED"),
                        finding -> assertThat(finding).contains("'c'", "ALIAS"),
                        finding -> assertThat(finding).contains("no column 'd'"));
    }

    @Test
    void aUserWhoMayNotInsertIsNamed() {
        ClickHouseLogin reader = new ClickHouseLogin(login.url(), login.database(), "default");

        assertThat(ClickHouseSchema.of(reader, table).findings())
                .singleElement()
                .asString()
                .contains("user 'default' may not insert into table `dedup`.`user_logins`: grant it");
    }

    @Test
    void aServerThatCannotBeUsedIsSaidWithWhatToDo() throws Exception {
        for (ClickHouseLogin wrong : List.of(
                new ClickHouseLogin("http://127.0.0.1:" + FreePort.find(), "dedup", "dedup"),
                new ClickHouseLogin(login.url(), "dedup", "nobody"))) {
            RuntimeException failure =
                    catchThrowableOfType(RuntimeException.class, () -> ClickHouseSchema.of(wrong, table));
            assertThat(ClickHouseErrors.cannotBeUsed(wrong, failure))
                    .startsWith("ClickHouse at " + wrong.url() + " cannot be used as user '" + wrong.user() + "': ")
                    .containsAnyOf("Connection refused", "Authentication failed")
                    .hasLineCount(1);
        }
    }

    private static String theFinding(ClickHouseTable table) {
        List<String> findings = ClickHouseSchema.of(login, table).findings();
        assertThat(findings).hasSize(1);
        return findings.get(0);
    }

    private static void execute(String sql) {
        var unused = client.queryAll(sql);
    }
}
