package io.github.eventdedup.job.launch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.settings.Endpoints;
import io.github.eventdedup.job.settings.PostgresLogin;
import io.github.eventdedup.job.testing.Fixtures;
import io.github.eventdedup.job.testing.Servers;
import io.github.eventdedup.servers.FreePort;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Everything that would only fail once the job runs is said before, in a line each that says what to do. */
class PreflightIT {

    @TempDir
    private static Path directory;

    private static final long MEMORY_MILLIS = Duration.ofDays(8).toMillis();

    private static Servers servers;
    private static PostgresLogin login;
    private static StreamDefinition stream;

    @BeforeAll
    static void startServers() throws Exception {
        servers = Servers.start(directory);
        login = servers.login();
        stream = Fixtures.viewEvents();
        Fixtures.createTopics(servers.endpoints(), stream);
    }

    @AfterAll
    static void stopServers() throws Exception {
        servers.close();
    }

    @BeforeEach
    void createTable() throws Exception {
        dropAll();
        Fixtures.createTable(login);
        topicSetting(stream.stream(), "message.timestamp.type", "LogAppendTime");
        topicSetting(stream.deadLettersTopic(), "max.message.bytes", "5242880");
        topicSetting(stream.stream(), "cleanup.policy", "delete");
        topicSetting(stream.stream(), "retention.ms", Long.toString(MEMORY_MILLIS));
        topicSetting(stream.stream(), "retention.bytes", "-1");
        topicSetting(stream.stream(), "unclean.leader.election.enable", "false");
    }

    @Test
    void passesWhereEverythingIsThere() {
        assertThatCode(() -> Preflight.check(stream, servers.endpoints())).doesNotThrowAnyException();
    }

    @Test
    void namesEveryTopicThatIsMissing() {
        StreamDefinition other = new StreamDefinition(
                "other", stream.fingerprint(), stream.window(), stream.ttlSlack(), null, stream.table());
        assertThat(findings(other, servers.endpoints()))
                .containsExactly(
                        "Kafka has no topic 'other': create it",
                        "Kafka has no topic 'other.duplicates': create it",
                        "Kafka has no topic 'other.dead-letters': create it");
    }

    @Test
    void refusesTopicsWhoseSettingsWouldBreakTheJobLater() throws Exception {
        topicSetting(stream.stream(), "message.timestamp.type", "CreateTime");
        topicSetting(stream.deadLettersTopic(), "max.message.bytes", "4194304");
        assertThat(findings(stream, servers.endpoints()))
                .satisfiesExactly(
                        line -> assertThat(line).contains("message.timestamp.type=CreateTime", "LogAppendTime"),
                        line -> assertThat(line).contains("view-events.dead-letters", "max.message.bytes"));
    }

    @Test
    void refusesATopicThatLosesRecordsBeforeTheyAreRead() throws Exception {
        topicSetting(stream.stream(), "cleanup.policy", "compact,delete");
        topicSetting(stream.stream(), "retention.ms", Long.toString(MEMORY_MILLIS - 1));
        topicSetting(stream.stream(), "retention.bytes", "1073741824");
        topicSetting(stream.stream(), "unclean.leader.election.enable", "true");
        assertThat(findings(stream, servers.endpoints()))
                .satisfiesExactlyInAnyOrder(
                        line -> assertThat(line).contains("cleanup.policy=compact,delete", "set it to delete"),
                        line -> assertThat(line)
                                .contains("retention.ms=691199999", "691200000", "allow-short-retention: true"),
                        line -> assertThat(line).contains("retention.bytes=1073741824", "allow-short-retention: true"),
                        line -> assertThat(line).contains("unclean.leader.election.enable=true", "false"));

        StreamDefinition told = new StreamDefinition(
                stream.stream(), stream.fingerprint(), stream.window(), stream.ttlSlack(), null, stream.table(), true);
        assertThat(findings(told, servers.endpoints()))
                .as("never allowed: no retention says when they go")
                .satisfiesExactlyInAnyOrder(
                        line -> assertThat(line).contains("cleanup.policy"),
                        line -> assertThat(line).contains("unclean.leader.election.enable"));
        topicSetting(stream.stream(), "retention.ms", "-1");
        topicSetting(stream.stream(), "retention.bytes", "-1");
        assertThat(findings(stream, servers.endpoints())).hasSize(2);
    }

    @Test
    void saysThatKafkaAndPostgresDoNotAnswer() throws Exception {
        PostgresLogin nowhere = new PostgresLogin("jdbc:postgresql://127.0.0.1:" + FreePort.find() + "/dedup", "dedup");
        assertThat(findings(stream, endpoints("127.0.0.1:" + FreePort.find(), nowhere)))
                .satisfiesExactly(
                        line -> assertThat(line)
                                .contains("Kafka at", "DEDUP_KAFKA_BOOTSTRAP_SERVERS")
                                .doesNotContain("null"),
                        line -> assertThat(line).contains("Postgres at", "DEDUP_POSTGRES_URL"));
    }

    @Test
    void saysThatTheLoginDoesNotWork() {
        assertThat(findings(
                        stream,
                        endpoints(
                                servers.kafka().bootstrapServers(),
                                new PostgresLogin(servers.postgres().jdbcUrl(), "nobody"))))
                .singleElement()
                .asString()
                .contains("user 'nobody'", "DEDUP_POSTGRES_USER");
    }

    @Test
    void namesWhatTheTableLacks() throws Exception {
        Fixtures.execute(
                login,
                "ALTER TABLE view_events DROP CONSTRAINT view_events_pkey, DROP COLUMN platform,"
                        + " ALTER playtime_ms TYPE int, ALTER event TYPE jsonb USING event::jsonb");
        assertThat(findings(stream, servers.endpoints()))
                .containsExactlyInAnyOrder(
                        "table 'view_events' has no column 'platform': add it, as text",
                        "column 'playtime_ms' of table 'view_events' is integer: the stream definition needs bigint",
                        "column 'event' of table 'view_events' is jsonb: the stream definition needs json",
                        "table 'view_events' has no primary key: it must be (fingerprint), the last guard against"
                                + " duplicates");
    }

    @Test
    void namesTimestampsThatAreRounded() throws Exception {
        Fixtures.execute(
                login,
                "DROP DOMAIN IF EXISTS millis; CREATE DOMAIN millis AS timestamptz(3);"
                        + " ALTER TABLE view_events ALTER event_datetime TYPE millis, ALTER received_at TYPE timestamptz(0)");
        assertThat(findings(stream, servers.endpoints()))
                .containsExactlyInAnyOrder(
                        "column 'event_datetime' of table 'view_events' keeps 3 digits of a second, and would round the"
                                + " others: make it timestamp with time zone",
                        "column 'received_at' of table 'view_events' keeps 0 digits of a second, and would round the"
                                + " others: make it timestamp with time zone");
    }

    @Test
    void namesColumnsThatNobodyFills() throws Exception {
        Fixtures.execute(
                login,
                "ALTER TABLE view_events ADD region text NOT NULL, ADD loaded timestamptz NOT NULL DEFAULT now(),"
                        + " ADD id bigint GENERATED ALWAYS AS IDENTITY");
        assertThat(findings(stream, servers.endpoints()))
                .singleElement()
                .asString()
                .contains("column 'region'", "give it a default");
    }

    @Test
    void saysThatTheTableIsMissing() throws Exception {
        Fixtures.execute(login, "DROP TABLE view_events");
        assertThat(findings(stream, servers.endpoints()))
                .containsExactly("Postgres has no table 'view_events': apply the files of sql/postgres");
    }

    @Test
    void namesPrivilegesThatAreMissing() throws Exception {
        Fixtures.execute(login, "DROP ROLE IF EXISTS reader");
        Fixtures.execute(login, "CREATE ROLE reader LOGIN PASSWORD 'dedup'; GRANT SELECT ON view_events TO reader");
        try {
            assertThat(findings(
                            stream,
                            endpoints(
                                    servers.kafka().bootstrapServers(),
                                    new PostgresLogin(servers.postgres().jdbcUrl(), "reader"))))
                    .containsExactly(
                            "user 'reader' may not INSERT on table 'view_events': grant it",
                            "user 'reader' may not UPDATE on table 'view_events': grant it");
        } finally {
            Fixtures.execute(login, "DROP OWNED BY reader; DROP ROLE reader");
        }
    }

    @Test
    void refusesTablesThatWouldRejectOrLoseEachRow() throws Exception {
        refused("ALTER TABLE view_events SET UNLOGGED", "is UNLOGGED (view_events)", "SET LOGGED");
        refused(
                "ALTER TABLE view_events DROP CONSTRAINT view_events_pkey, ADD PRIMARY KEY (fingerprint) DEFERRABLE",
                "DEFERRABLE",
                "make it NOT DEFERRABLE");
        refused(
                "ALTER TABLE view_events DROP COLUMN platform,"
                        + " ADD platform text GENERATED ALWAYS AS (upper(user_id)) STORED",
                "column 'platform'",
                "is generated");
        refused(
                "ALTER TABLE view_events ALTER playtime_ms SET NOT NULL,"
                        + " ALTER playtime_ms ADD GENERATED ALWAYS AS IDENTITY",
                "column 'playtime_ms'",
                "GENERATED BY DEFAULT");
        refused("ALTER TABLE view_events ALTER escapes DROP DEFAULT", "escapes", "default");
        refused(
                "CREATE RULE swallow AS ON INSERT TO view_events DO INSTEAD NOTHING",
                "rules ON INSERT or ON UPDATE (swallow)",
                "drop them");
        refused(
                "ALTER TABLE view_events RENAME TO base; CREATE VIEW view_events AS SELECT * FROM base",
                "'view_events' is a view",
                "name the table itself");
        refused(
                "ALTER TABLE view_events RENAME TO base; CREATE TABLE view_events (LIKE base INCLUDING ALL)"
                        + " PARTITION BY HASH (fingerprint); CREATE UNLOGGED TABLE part PARTITION OF view_events"
                        + " FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
                "is UNLOGGED (part)",
                "SET LOGGED");
    }

    private void refused(String change, String... words) throws Exception {
        Fixtures.execute(login, change);
        assertThat(findings(stream, servers.endpoints()))
                .singleElement()
                .asString()
                .contains(words);
        dropAll();
        Fixtures.createTable(login);
    }

    private static void dropAll() throws Exception {
        String kind = Fixtures.row(login, "SELECT max(relkind::text) FROM pg_class WHERE relname = 'view_events'")
                .get(0);
        if (kind != null) {
            Fixtures.execute(login, "DROP " + (kind.equals("v") ? "VIEW" : "TABLE") + " view_events CASCADE");
        }
        Fixtures.execute(login, "DROP TABLE IF EXISTS base");
    }

    @Test
    void acceptsKeysDomainsAndPartitionsThatServe() throws Exception {
        Fixtures.execute(
                login,
                "ALTER TABLE view_events DROP CONSTRAINT view_events_pkey,"
                        + " ADD PRIMARY KEY (fingerprint) INCLUDE (user_id);"
                        + " DROP DOMAIN IF EXISTS label; CREATE DOMAIN label AS text CHECK (value <> '');"
                        + " ALTER TABLE view_events ALTER sid TYPE label");
        try {
            Preflight.check(stream, servers.endpoints());
        } finally {
            Fixtures.execute(login, "DROP TABLE view_events; DROP DOMAIN label");
        }
    }

    @Test
    void seesRowLevelSecurityAndPrivilegesOfColumnsAndSequences() throws Exception {
        Fixtures.execute(
                login,
                "DROP ROLE IF EXISTS columns; CREATE ROLE columns LOGIN PASSWORD 'dedup';"
                        + " GRANT SELECT, INSERT ON view_events TO columns; GRANT UPDATE (escapes) ON view_events TO columns");
        Endpoints asColumns = endpoints(
                servers.kafka().bootstrapServers(),
                new PostgresLogin(servers.postgres().jdbcUrl(), "columns"));
        try {
            Preflight.check(stream, asColumns);

            Fixtures.execute(login, "ALTER TABLE view_events ADD id bigserial, ENABLE ROW LEVEL SECURITY");
            assertThat(findings(stream, asColumns))
                    .satisfiesExactly(
                            line -> assertThat(line).contains("row-level security", "user 'columns'", "BYPASSRLS"),
                            line -> assertThat(line)
                                    .contains("sequence view_events_id_seq", "GRANT USAGE ON SEQUENCE"));
            // Its owner is not subject to it.
            Preflight.check(stream, servers.endpoints());
        } finally {
            Fixtures.execute(login, "DROP OWNED BY columns; DROP ROLE columns");
        }
    }

    @Test
    void aDatabaseThatForgetsIsOnlyWarnedOfWhereThatIsAllowed() throws Exception {
        Fixtures.execute(login, "ALTER ROLE dedup SET synchronous_commit = off");
        try {
            assertThat(findings(stream, servers.endpoints()))
                    .singleElement()
                    .asString()
                    .contains("DEDUP_POSTGRES_ALLOW_NONDURABLE=true");
            Preflight.check(stream, new Endpoints(servers.kafka().bootstrapServers(), login, null, true));
        } finally {
            Fixtures.execute(login, "ALTER ROLE dedup RESET synchronous_commit");
        }
    }

    @Test
    void refusesADatabaseThatForgetsCommittedRows() throws Exception {
        Fixtures.execute(login, "ALTER ROLE dedup SET synchronous_commit = off");
        try {
            assertThat(findings(stream, servers.endpoints()))
                    .singleElement()
                    .asString()
                    .contains("synchronous_commit=off", "turn it on");
        } finally {
            Fixtures.execute(login, "ALTER ROLE dedup RESET synchronous_commit");
        }
    }

    private static Endpoints endpoints(String kafkaBootstrapServers, PostgresLogin postgres) {
        return new Endpoints(kafkaBootstrapServers, postgres, null);
    }

    private static List<String> findings(StreamDefinition stream, Endpoints endpoints) {
        ConfigurationException refusal =
                catchThrowableOfType(ConfigurationException.class, () -> Preflight.check(stream, endpoints));
        return refusal.getMessage().lines().toList();
    }

    private static void topicSetting(String topic, String name, String value) throws Exception {
        Fixtures.setTopicSetting(servers.endpoints(), topic, name, value);
    }
}
