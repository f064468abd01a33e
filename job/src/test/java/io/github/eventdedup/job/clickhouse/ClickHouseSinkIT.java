package io.github.eventdedup.job.clickhouse;

import static io.github.eventdedup.job.testing.StreamTopics.header;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.clickhouse.client.api.Client;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.launch.Preflight;
import io.github.eventdedup.job.settings.Endpoints;
import io.github.eventdedup.job.testing.CutOff;
import io.github.eventdedup.job.testing.Fixtures;
import io.github.eventdedup.job.testing.JobMetrics;
import io.github.eventdedup.job.testing.JobMetrics.Counts;
import io.github.eventdedup.job.testing.LimitingProxy;
import io.github.eventdedup.job.testing.StreamTopics;
import io.github.eventdedup.servers.ClickHouseServer;
import io.github.eventdedup.servers.FreePort;
import io.github.eventdedup.servers.KafkaServer;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.JobStatus;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.core.execution.SavepointFormatType;
import org.apache.flink.runtime.minicluster.MiniCluster;
import org.apache.flink.util.IOUtils;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The whole job between a real Kafka and a real ClickHouse, whose table is the user's plain MergeTree. Every scenario ends with
 * all counts and every row compared, without FINAL.
 */
public class ClickHouseSinkIT {

    private static final Duration PATIENCE = Duration.ofMinutes(3);
    private static final int EPOCH = 1_762_955_631;
    private static final int KEPT = 40;
    private static final ObjectMapper JSON = new ObjectMapper();

    @TempDir
    private static Path directory;

    private static KafkaServer kafka;
    private static ClickHouseServer clickHouse;
    private static int clickHousePort;
    private static CutOff way;
    private static Endpoints endpoints;
    private static Client client;
    private static MiniCluster flink;

    /** TaskManagers are numbered by their birth: the earlier ones are dead. */
    private static int terminated;

    private StreamDefinition stream;
    private StreamTopics topics;
    private JobID job;
    private JobMetrics metrics;

    /** The rows that the table is to hold: by id, in the form of {@link #rows}. */
    private final Map<Long, String> expected = new TreeMap<>();

    private long sent;

    @BeforeAll
    static void startServers() throws Exception {
        kafka = new KafkaServer(directory.resolve("kafka"), FreePort.find());
        int port = FreePort.find();
        clickHousePort = port;
        clickHouse = Fixtures.clickHouse(directory, port);
        kafka.start();
        clickHouse.start();
        way = new CutOff(FreePort.find(), port);
        endpoints = new Endpoints(kafka.bootstrapServers(), null, Fixtures.login(way.port()));
        client = Fixtures.login(port).connect();
        flink = Fixtures.flink(directory.resolve("checkpoints"));
        flink.start();
    }

    @AfterAll
    static void stopServers() throws Exception {
        IOUtils.closeAll(client, flink, way, clickHouse, kafka);
    }

    @BeforeEach
    void startJob(TestInfo test) throws Exception {
        StreamDefinition logins = Fixtures.userLogins();
        stream = new StreamDefinition(
                test.getTestMethod().orElseThrow().getName().toLowerCase(Locale.ROOT),
                logins.fingerprint(),
                logins.window(),
                logins.ttlSlack(),
                null,
                logins.table());
        createTable();
        Fixtures.createTopics(endpoints, stream);
        topics = new StreamTopics(kafka.bootstrapServers(), stream);
        Preflight.check(stream, endpoints);
        submit(new Configuration());
    }

    private static void createTable() throws IOException {
        client.queryAll("DROP TABLE IF EXISTS user_logins SYNC");
        client.queryAll(Files.readString(Fixtures.file("sql/clickhouse/001-user-logins.sql")));
    }

    private void submit(Configuration more) throws Exception {
        job = Fixtures.submit(flink, stream, endpoints, more);
        metrics = new JobMetrics(flink, job, stream.stream());
    }

    @AfterEach
    void stopJob() throws Exception {
        way.restore();
        topics.close();
        if (!flink.getJobStatus(job).get().isGloballyTerminalState()) {
            flink.cancelJob(job).get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
        }
        await().atMost(PATIENCE).until(() -> flink.getJobStatus(job).get().isGloballyTerminalState());
    }

    @Test
    void eachRowIsStoredOnceHoweverOftenItIsSent() throws Exception {
        for (int round = 0; round < 3; round++) {
            sendLogins(1, 500);
        }

        awaitRows(new Counts(1500, 500, 1000, 0, 0, 0));
    }

    @Test
    void anyUsernameArrivesAsItIsOrIsADeadLetterWithItsReason() throws Exception {
        List<String> names = List.of(
                "'; DROP TABLE user_logins --",
                "\"`\\\\",
                "a\nb\r\tc",
                "👩‍👩‍👧 ю",
                "",
                " ",
                "\u0001\u007f",
                "\\N",
                "x".repeat(250_000));
        for (int i = 0; i < names.size(); i++) {
            send(i + 1, names.get(i), EPOCH);
        }
        topics.send(null, login(100, "x".repeat(1 << 20), EPOCH + ".0").getBytes(UTF_8));
        topics.send(null, login(101, "\0", EPOCH + ".0").getBytes(UTF_8));
        sent += 2;

        awaitRows(new Counts(names.size() + 2, names.size(), 0, 2, 0, 0));
        assertThat(topics.deadLetters().values())
                .extracting(letter -> header(letter, "reason"))
                .anyMatch(reason -> reason.contains("is too large"))
                .anyMatch(reason -> reason.contains("U+0000"));
    }

    @Test
    void whatDoesNotFitTheTableIsADeadLetter() throws Exception {
        Map<String, String> bad = new LinkedHashMap<>();
        bad.put(
                "has -1 in the field 'id', which the column 'id' of type UInt32 cannot hold",
                login(-1, "a", EPOCH + ".0"));
        bad.put("has 4294967296 in the field 'id'", login(1L << 32, "a", EPOCH + ".0"));
        bad.put("in the field 'timestamp', which the column 'event_time'", login(1, "a", "-0.5"));
        bad.put("in the field 'timestamp', which must be", login(2, "a", "true"));
        bad.put(
                "has no value in the field 'user', which the column 'username' of type String must have",
                "{\"id\":3,\"user\":null,\"event\":\"login\",\"timestamp\":1.0}");
        bad.put("has no value in the field 'event'", "{\"id\":4,\"user\":\"a\",\"timestamp\":1.0}");
        bad.values().forEach(event -> topics.send(null, event.getBytes(UTF_8)));
        sent += bad.size();
        send(5, "good", EPOCH);

        awaitRows(new Counts(bad.size() + 1, 1, 0, bad.size(), 0, 0));
        bad.forEach((reason, event) -> assertThat(topics.deadLetters().values())
                .as(reason)
                .filteredOn(letter -> header(letter, "reason").contains(reason))
                .singleElement()
                .satisfies(letter -> assertThat(letter.value()).isEqualTo(event.getBytes(UTF_8))));
    }

    @Test
    void aRowThatClickHouseRefusesBecomesADeadLetterAndTheRestIsStored() throws Exception {
        client.queryAll("ALTER TABLE user_logins ADD CONSTRAINT known CHECK event_type != 'refused'");
        for (int i = 1; i <= 1000; i++) {
            if (i % 100 == 7) {
                topics.send("{\"id\":%d,\"user\":\"u\",\"event\":\"refused\",\"timestamp\":1.0}".formatted(i));
                sent++;
            } else {
                send(i, "u" + i, EPOCH + i);
            }
        }

        awaitRows(new Counts(1000, 1000, 0, 0, 10, 0));
        assertThat(topics.deadLetters().values())
                .allSatisfy(letter -> assertThat(header(letter, "reason"))
                        .startsWith("ClickHouse refused the row: ")
                        .contains("known"));
        assertThat(metrics.restarts()).isZero();
    }

    /** ClickHouse has no key: only the job keeps a second copy out. */
    @Test
    void aRejectedRowIsStoredOnceHoweverOftenItIsReplayed() throws Exception {
        client.queryAll("ALTER TABLE user_logins ADD CONSTRAINT mistake CHECK username != 'rejected'");
        topics.send(login(1, "rejected", EPOCH + ".0"));
        topics.send(login(2, "good", EPOCH + ".0"));
        await().atMost(PATIENCE).until(() -> metrics.counts().equals(new Counts(2, 2, 0, 0, 1, 0)) && count() == 1);
        await().atMost(PATIENCE)
                .untilAsserted(
                        () -> assertThat(deadLetters("list")).contains(": 1 dead letter", "rejected-by-clickhouse"));
        client.queryAll("ALTER TABLE user_logins DROP CONSTRAINT mistake");
        topics.send(login(1, "rejected", EPOCH + ".0"));
        await().atMost(PATIENCE).until(() -> metrics.count("duplicate") == 1);

        assertThat(deadLetters("replay")).contains("sent again: 1, refused: 0");
        await().atMost(PATIENCE).until(() -> count() == 2);
        assertThat(deadLetters("replay")).contains("sent again: 0, refused: 0");
        // As if it had been killed before it could note what it did.
        String handled = stream.deadLettersTopic() + ".handled";
        try (Admin admin = endpoints.kafka()) {
            admin.deleteTopics(List.of(handled)).all().get();
            await().atMost(PATIENCE)
                    .until(() -> !admin.listTopics().names().get().contains(handled));
        }
        assertThat(deadLetters("replay")).contains("sent again: 1, refused: 0");
        flink.cancelJob(job).get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
        await().atMost(PATIENCE).until(() -> flink.getJobStatus(job).get() == JobStatus.CANCELED);
        submit(Configuration.fromMap(Map.of("execution.state-recovery.path", newestCheckpoint())));
        await().atMost(PATIENCE).until(() -> metrics.counts().equals(new Counts(5, 3, 2, 0, 1, 0)));
        sent = 0;
        send(3, "last", EPOCH);
        await().atMost(PATIENCE).until(() -> count() >= 3);
        assertThat(client.queryAll("SELECT id FROM user_logins ORDER BY id"))
                .extracting(row -> row.getLong("id"))
                .containsExactly(1L, 2L, 3L);
    }

    private String deadLetters(String... arguments) throws Exception {
        Path definitions = Files.createDirectories(directory.resolve(stream.stream()));
        String definition = Files.readString(Fixtures.file("streams/user-logins.yaml"));
        Files.writeString(
                definitions.resolve("stream.yaml"),
                definition.replace("stream: user-logins", "stream: " + stream.stream()));
        return Fixtures.deadLetters(
                definitions,
                Map.of(
                        "DEDUP_KAFKA_BOOTSTRAP_SERVERS",
                        kafka.bootstrapServers(),
                        "DEDUP_CLICKHOUSE_URL",
                        "http://127.0.0.1:" + way.port()),
                arguments);
    }

    /** The table has the block before the view sees it: to try again in pieces would store it twice. */
    @Test
    void whatAMaterializedViewRejectsIsWaitedForUntilTheViewIsCorrected() throws Exception {
        client.queryAll("CREATE OR REPLACE TABLE numbers_only (n UInt32) ENGINE = MergeTree ORDER BY n");
        client.queryAll(
                "CREATE MATERIALIZED VIEW numbers_of_users TO numbers_only AS SELECT toUInt32(username) AS n FROM"
                        + " user_logins");
        try {
            sendLogins(1, 100);
            await().atMost(PATIENCE).until(() -> metrics.count("waiting") > 0);
        } finally {
            client.queryAll("DROP VIEW numbers_of_users SYNC");
        }

        awaitRows(new Counts(100, 100, 0, 0, 0, 0));
        assertThat(metrics.restarts()).isZero();
    }

    /** What the checkpoint holds has the types of before; the job that is submitted anew knows those of now. */
    @Test
    void aTableThatIsAlteredUnderTheJobLosesNothing() throws Exception {
        sendLogins(1, 100);
        await().atMost(PATIENCE).until(() -> count() == 100);
        client.queryAll("ALTER TABLE user_logins MODIFY COLUMN id UInt64");
        client.queryAll("ALTER TABLE user_logins MODIFY COLUMN username LowCardinality(String)");
        sendLogins(101, 100);
        await().atMost(PATIENCE).until(() -> metrics.count("waiting") > 0);
        assertThat(count()).isEqualTo(100);

        flink.cancelJob(job).get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
        await().atMost(PATIENCE).until(() -> flink.getJobStatus(job).get() == JobStatus.CANCELED);
        submit(Configuration.fromMap(Map.of("execution.state-recovery.path", newestCheckpoint())));
        awaitRows(new Counts(200, 200, 0, 0, 0, 0));
    }

    /**
     * A recovery comes while rejected rows are being told from the others, and finds that nothing is rejected any more. A row
     * is then in the table or a dead letter, never both, and never twice.
     */
    @Test
    void rowsAreStoredOnceOrDeadLettersWhateverIsMendedBetweenARejectionAndARecovery() throws Exception {
        client.queryAll("ALTER TABLE user_logins ADD CONSTRAINT known CHECK id % 100 != 7");
        sendLogins(1, 2000);
        topics.awaitSent();
        await().atMost(PATIENCE).ignoreExceptions().until(() -> count() > 0);
        client.queryAll("ALTER TABLE user_logins DROP CONSTRAINT known");
        flink.terminateTaskManager(terminated++).get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
        flink.startTaskManager();

        await().atMost(PATIENCE)
                .untilAsserted(
                        () -> assertThat(count() + topics.deadLetters().size()).isEqualTo(expected.size()));
        for (ConsumerRecord<byte[], byte[]> letter : topics.deadLetters().values()) {
            expected.remove(JSON.readTree(letter.value()).path("id").asLong());
        }
        assertThat(rows()).isEqualTo(List.copyOf(expected.values()));
        assertThat(metrics.count("refused")).isEqualTo(2000 - expected.size());
    }

    /**
     * A restored job inserts the batches of its savepoint again, and ClickHouse checks constraints before it looks at tokens.
     * What is stored already must not look rejected, as a whole or in pieces.
     */
    @Test
    void aConstraintThatIsAddedWhileTheJobIsStoppedDoublesNothing() throws Exception {
        stopJob();
        topics = new StreamTopics(kafka.bootstrapServers(), stream);
        // So that the savepoint has all rows.
        submit(Configuration.fromMap(Map.of("execution.checkpointing.interval", "1h")));
        sendLogins(1, 1000);
        await().atMost(PATIENCE).until(() -> metrics.allRun() && metrics.count("unique") == 1000);
        String savepoint = flink.stopWithSavepoint(
                        job, directory.toUri().toString(), false, SavepointFormatType.CANONICAL)
                .get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
        await().atMost(PATIENCE).until(() -> flink.getJobStatus(job).get() == JobStatus.FINISHED);
        assertThat(count()).isEqualTo(1000);
        client.queryAll("ALTER TABLE user_logins ADD CONSTRAINT late CHECK id % 100 != 7");

        submit(Configuration.fromMap(Map.of("execution.state-recovery.path", savepoint)));
        send(2001, "after", EPOCH);
        awaitRows(new Counts(1001, 1001, 0, 0, 0, 0));
    }

    @Test
    void aTableThatForgetsUnderTheJobGetsNoRowUntilItRemembersAgain() throws Exception {
        sendLogins(1, 100);
        await().atMost(PATIENCE).until(() -> count() == 100);
        client.queryAll("ALTER TABLE user_logins RESET SETTING non_replicated_deduplication_window");
        sendLogins(101, 100);
        await().atMost(PATIENCE).until(() -> metrics.count("waiting") > 0);
        assertThat(count()).isEqualTo(100);
        client.queryAll("ALTER TABLE user_logins MODIFY SETTING non_replicated_deduplication_window = 1000");
        awaitRows(new Counts(200, 200, 0, 0, 0, 0));
    }

    /** The recipe of docs/operations.md: the table forgets its tokens too, so nothing that comes again is dropped. */
    @Test
    void afterATruncateAJobWithoutStateStoresEverythingAgain() throws Exception {
        sendLogins(1, 500);
        awaitRows(new Counts(500, 500, 0, 0, 0, 0));
        flink.stopWithSavepoint(job, directory.toUri().toString(), false, SavepointFormatType.CANONICAL)
                .get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
        await().atMost(PATIENCE).until(() -> flink.getJobStatus(job).get() == JobStatus.FINISHED);
        client.queryAll("TRUNCATE TABLE user_logins");

        submit(new Configuration());
        awaitRows(new Counts(500, 500, 0, 0, 0, 0));
    }

    /** As ClickHouse has it for rows of its text formats. */
    @Test
    void nullBecomesTheDefaultOfTheColumnWhateverDies() throws Exception {
        stopJob();
        topics = new StreamTopics(kafka.bootstrapServers(), stream);
        client.queryAll("DROP TABLE user_logins SYNC");
        client.queryAll("CREATE TABLE user_logins (id UInt32, username LowCardinality(String) DEFAULT concat('u', id),"
                + " event_type String DEFAULT 'it''s', event_time DateTime('UTC') DEFAULT toDateTime(7 + id, 'UTC'))"
                + " ENGINE = MergeTree PARTITION BY intDiv(toUnixTimestamp(event_time), 100) ORDER BY event_time"
                + " SETTINGS non_replicated_deduplication_window = 10000");
        Preflight.check(stream, endpoints);
        submit(new Configuration());
        for (int id = 1; id <= 600; id++) {
            if (id % 3 == 0) {
                send(id, "named", 60 + id);
                continue;
            }
            topics.send("{\"id\":" + id + ",\"user\":null}");
            sent++;
            String name = HexFormat.of().withUpperCase().formatHex(("u" + id).getBytes(UTF_8));
            expected.put((long) id, id + " " + name + " it's " + (7 + id));
            if (id == 200 || id == 400) {
                int stored = id - 100;
                await().atMost(PATIENCE).ignoreExceptions().until(() -> count() >= stored);
                flink.terminateTaskManager(terminated++).get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
                flink.startTaskManager();
            }
        }

        awaitRows(new Counts(600, 600, 0, 0, 0, 0));
    }

    /** More partitions than one insert may have, and more parts than the table could remember of single inserts. */
    @Test
    void rowsOfThousandsOfPartitionsAreStoredOnceWhateverDies() throws Exception {
        recreate("PARTITION BY toDate(event_time)", 10_000);
        for (int id = 1; id <= 3000; id++) {
            send(id, "u", (long) (id % 1500) * 86_400 + id);
        }
        topics.awaitSent();
        for (int wanted : List.of(1, 1000)) {
            await().atMost(PATIENCE).ignoreExceptions().until(() -> count() >= wanted);
            flink.terminateTaskManager(terminated++).get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
            flink.startTaskManager();
        }

        awaitRows(new Counts(3000, 3000, 0, 0, 0, 0));
    }

    @Test
    void aMaterializedViewGetsEachRowOnceWhateverDies() throws Exception {
        client.queryAll("DROP VIEW IF EXISTS logins_a_user SYNC");
        client.queryAll("CREATE OR REPLACE TABLE logins_of_users (username String, n UInt64) ENGINE = SummingMergeTree"
                + " ORDER BY username SETTINGS non_replicated_deduplication_window = 1000");
        client.queryAll("CREATE MATERIALIZED VIEW logins_a_user TO logins_of_users AS SELECT username, count() AS n"
                + " FROM user_logins GROUP BY username");
        try {
            for (int round = 0; round < 3; round++) {
                for (int i = 0; i < 40; i++) {
                    sendLogins(1 + 400 * round + 10 * i, 10);
                    topics.awaitSent();
                }
                int stored = 400 * round + 1;
                await().atMost(PATIENCE).ignoreExceptions().until(() -> count() >= stored);
                flink.terminateTaskManager(terminated++).get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
                flink.startTaskManager();
            }

            awaitRows(new Counts(1200, 1200, 0, 0, 0, 0));
            assertThat(client.queryAll("SELECT sum(n) AS n FROM logins_of_users")
                            .get(0)
                            .getLong("n"))
                    .isEqualTo(1200);
        } finally {
            client.queryAll("DROP VIEW logins_a_user SYNC");
        }
    }

    /** A proxy in front of ClickHouse takes smaller bodies than a batch. */
    @Test
    void whatIsTooLargeForAProxyIsInsertedInPieces() throws Exception {
        try (LimitingProxy proxy = new LimitingProxy(clickHousePort, 64 << 10)) {
            stopJob();
            topics = new StreamTopics(kafka.bootstrapServers(), stream);
            submitThrough(proxy.port());
            for (int id = 1; id <= 200; id++) {
                send(id, incompressible(id, 2_000), EPOCH + id);
            }
            send(201, incompressible(201, 200_000), EPOCH);
            expected.remove(201L);

            awaitRows(new Counts(201, 201, 0, 0, 1, 0));
            assertThat(topics.deadLetters().values())
                    .singleElement()
                    .satisfies(letter -> assertThat(header(letter, "reason")).contains("413"));
            assertThat(metrics.restarts()).isZero();
            stopJob();
        }
    }

    /** Random hexadecimal text; the bodies of requests are compressed, to a bit more than half of it. */
    private static String incompressible(long seed, int length) {
        byte[] random = new byte[length / 2];
        new Random(seed).nextBytes(random);
        return HexFormat.of().formatHex(random);
    }

    private void submitThrough(int port) throws Exception {
        Endpoints through = new Endpoints(kafka.bootstrapServers(), null, Fixtures.login(port));
        job = Fixtures.submit(flink, stream, through, new Configuration());
        metrics = new JobMetrics(flink, job, stream.stream());
    }

    /** The table anew, and the job with it. */
    private void recreate(String partitioning, int window) throws Exception {
        stopJob();
        client.queryAll("DROP TABLE user_logins SYNC");
        client.queryAll("CREATE TABLE user_logins (id UInt32, username String, event_type String, event_time DateTime)"
                + " ENGINE = MergeTree " + partitioning + " ORDER BY event_time SETTINGS"
                + " non_replicated_deduplication_window = " + window);
        topics = new StreamTopics(kafka.bootstrapServers(), stream);
        Preflight.check(stream, endpoints);
        submit(new Configuration());
    }

    private String newestCheckpoint() throws Exception {
        Path checkpoints = directory.resolve("checkpoints").resolve(job.toString());
        try (var found = Files.list(checkpoints)) {
            return found.filter(path -> Files.exists(path.resolve("_metadata")))
                    .max(Comparator.comparingInt(path ->
                            Integer.parseInt(path.getFileName().toString().replace("chk-", ""))))
                    .orElseThrow()
                    .toUri()
                    .toString();
        }
    }

    @Test
    void aTaskManagerThatDiesAgainAndAgainChangesNothing() throws Exception {
        long seed = System.nanoTime();
        System.out.println("seed " + seed);
        Random random = new Random(seed);
        for (int round = 0; round < 6; round++) {
            sendLogins(1, 2000);
            sendLogins(3000 + 1000 * round, 500);
            long stored = random.nextInt(2500);
            await().atMost(PATIENCE).until(() -> count() >= Math.min(stored, expected.size()));
            flink.terminateTaskManager(terminated++).get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
            flink.startTaskManager();
        }

        awaitRows(new Counts(15_000, 5000, 10_000, 0, 0, 0));
        assertThat(metrics.restarts()).as("it died more than once").isGreaterThan(1);
    }

    @Test
    void clickHouseKilledAndBackUnderLoadLosesNothing() throws Exception {
        for (int round = 0; round < 3; round++) {
            sendLogins(1 + 1000 * round, 1000);
            if (round == 1) {
                await().atMost(PATIENCE).until(() -> count() > 0);
                clickHouse.kill();
            }
        }
        topics.awaitSent();
        assertThatTheJobRunsFor(Duration.ofSeconds(5));
        clickHouse.start();

        awaitRows(new Counts(3000, 3000, 0, 0, 0, 0));
        assertThat(metrics.restarts())
                .as("the committer waits, the job does not restart")
                .isZero();
    }

    @Test
    void clickHouseCutOffForHalfAMinuteLosesNothing() throws Exception {
        sendLogins(1, 1000);
        await().atMost(PATIENCE).until(() -> count() > 0);
        way.refuse();
        sendLogins(2001, 1000);
        assertThatTheJobRunsFor(Duration.ofSeconds(15));
        way.freeze();
        sendLogins(4001, 1000);
        assertThatTheJobRunsFor(Duration.ofSeconds(15));
        way.restore();

        awaitRows(new Counts(3000, 3000, 0, 0, 0, 0));
        assertThat(metrics.restarts()).isZero();
    }

    private void assertThatTheJobRunsFor(Duration time) {
        await().during(time)
                .atMost(time.plusSeconds(10))
                .until(() -> flink.getJobStatus(job).get() == JobStatus.RUNNING);
    }

    /** The checkpoint holds rows that are not inserted yet; which subtask inserts them does not matter. */
    @Test
    void savepointRestoreAndRescaleChangeNothing() throws Exception {
        for (int parallelism : List.of(1, 2, 1)) {
            sendLogins(1, 1000);
            sendLogins(2000 + 1000 * parallelism, 300);
            await().atMost(PATIENCE)
                    .until(() -> metrics.allRun() && metrics.count("received") > 0 && metrics.count("unique") > 0);
            String savepoint = flink.stopWithSavepoint(
                            job, directory.toUri().toString(), false, SavepointFormatType.CANONICAL)
                    .get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
            await().atMost(PATIENCE).until(() -> flink.getJobStatus(job).get() == JobStatus.FINISHED);
            submit(Configuration.fromMap(Map.of(
                    "execution.state-recovery.path", savepoint, "parallelism.default", Integer.toString(parallelism))));
        }

        awaitRows(new Counts(3900, 1600, 2300, 0, 0, 0));
    }

    /** The batches of a savepoint that an earlier version has taken are inserted by this one. */
    @ParameterizedTest
    @MethodSource("keptStates")
    void keptStateIsRestored(Path state) throws Exception {
        beginKept(Integer.parseInt(state.getFileName().toString()));
        restoreKept(state);
    }

    private static List<Path> keptStates() throws IOException {
        try (var states = Files.list(Fixtures.file("job/src/test/resources/state-clickhouse"))) {
            return states.map(Path::toAbsolutePath).sorted().toList();
        }
    }

    /** Leaves a savepoint to keep, with the next number, in target/state-clickhouse. */
    @Test
    void stateOfTodayIsRestored() throws Exception {
        beginKept(keptStates().size() + 1);
        // No checkpoint before the savepoint: all rows are in its batches.
        submit(Configuration.fromMap(
                Map.of("execution.checkpointing.interval", "1h", "execution.checkpointing.min-pause", "1h")));
        await().atMost(PATIENCE).until(() -> metrics.allRun() && metrics.count("unique") == KEPT);
        assertThat(count()).isZero();
        Path taken = Path.of(URI.create(
                flink.stopWithSavepoint(job, directory.toUri().toString(), false, SavepointFormatType.CANONICAL)
                        .get(PATIENCE.toSeconds(), TimeUnit.SECONDS)));
        await().atMost(PATIENCE).until(() -> flink.getJobStatus(job).get() == JobStatus.FINISHED);
        assertThat(rows()).isEqualTo(List.copyOf(expected.values()));

        Path state = Fixtures.file("job/target/state-clickhouse").toAbsolutePath();
        if (Files.exists(state)) {
            Fixtures.delete(state);
        }
        Files.move(taken, state);
        try (var files = Files.list(state)) {
            assertThat(files)
                    .as("Flink keeps what is small in the metadata itself")
                    .hasSize(1);
        }
        createTable();
        restoreKept(state);
    }

    /** A stream whose name, which is part of its state, and whose topic nobody else has. */
    private void beginKept(int number) throws Exception {
        stopJob();
        StreamDefinition logins = Fixtures.userLogins();
        Duration always = Duration.ofDays(100 * 365);
        stream = new StreamDefinition(
                "kept-logins-" + number, logins.fingerprint(), always, always, null, logins.table());
        Fixtures.createTopics(endpoints, stream);
        topics = new StreamTopics(kafka.bootstrapServers(), stream);
        sendLogins(1, KEPT);
        topics.awaitSent();
    }

    /** Into an empty table. */
    private void restoreKept(Path state) throws Exception {
        submit(Configuration.fromMap(
                Map.of("execution.state-recovery.path", state.toUri().toString())));
        awaitRows(new Counts(KEPT, KEPT, 0, 0, 0, 0));

        sendLogins(1, KEPT);
        sendLogins(1001, 10);
        awaitRows(new Counts(2 * KEPT + 10, KEPT + 10, KEPT, 0, 0, 0));
    }

    @Test
    void everyTypeThatCanBeWrittenIsReadByClickHouseAsItWasSent() throws Exception {
        Map<String, String> types = new LinkedHashMap<>();
        types.put("Int8", "-128");
        types.put("Int16", "-32768");
        types.put("Int32", "-2147483648");
        types.put("Int64", "-9223372036854775808");
        types.put("UInt8", "255");
        types.put("UInt16", "65535");
        types.put("UInt32", "4294967295");
        types.put("UInt64", "9223372036854775807");
        types.put("Float32", "1.5");
        types.put("Float64", "-2.25");
        types.put("Bool", "true");
        types.put("String", "\"ю\"");
        types.put("DateTime", "\"2025-11-12 13:53:51\"");
        types.put("DateTime64(3)", "\"2025-11-12 13:53:51.123\"");
        types.put("DateTime64(9, 'UTC')", "\"1969-12-31 23:59:59.123456000\"");
        types.put("LowCardinality(String)", "\"a\"");
        types.put("Nullable(Int64)", "null");
        types.put("LowCardinality(Nullable(String))", "null");
        StringBuilder table = new StringBuilder("CREATE TABLE types (");
        StringBuilder event = new StringBuilder("{\"id\":1");
        StringBuilder columns = new StringBuilder();
        int i = 0;
        for (Map.Entry<String, String> type : types.entrySet()) {
            table.append(i == 0 ? "" : ", ").append("c%d %s".formatted(i, type.getKey()));
            event.append(",\"c%d\":%s".formatted(i, type.getValue()));
            columns.append(i == 0 ? "" : ", ").append("c%d: c%d".formatted(i, i));
            i++;
        }
        client.queryAll("DROP TABLE IF EXISTS types SYNC");
        client.queryAll(table + ") ENGINE = MergeTree ORDER BY () SETTINGS non_replicated_deduplication_window = 1000");
        StreamDefinition typed =
                StreamDefinition.read(Files.writeString(directory.resolve("types.yaml"), """
                stream: types
                fingerprint: [id]
                window: 7d
                sink: { clickhouse: { table: dedup.types, columns: { %s } } }
                """.formatted(columns)));
        Fixtures.createTopics(endpoints, typed);
        Preflight.check(typed, endpoints);
        stopJob();
        job = Fixtures.submit(flink, typed, endpoints);
        topics = new StreamTopics(kafka.bootstrapServers(), typed);
        topics.send(event.append('}').toString());
        topics.awaitSent();

        await().atMost(PATIENCE)
                .untilAsserted(() -> assertThat(client.queryAll("SELECT count() AS n FROM types")
                                .get(0)
                                .getLong("n"))
                        .isEqualTo(1));
        String row = client.queryAll(
                        "SELECT toJSONString(tuple(*)) AS row FROM types SETTINGS"
                                + " output_format_json_quote_64bit_integers = 0, output_format_json_named_tuples_as_objects = 0")
                .get(0)
                .getString("row");
        assertThat(JSON.readTree(row)).isEqualTo(JSON.readTree(types.values().toString()));
    }

    /** Waits until the job has counted this, and compares it with every place that events end in. */
    private void awaitRows(Counts counts) throws Exception {
        topics.awaitSent();
        assertThat(sent).isEqualTo(counts.received());
        await().atMost(PATIENCE)
                .failFast(() -> flink.getJobStatus(job).get().isGloballyTerminalState())
                .untilAsserted(() -> assertThat(metrics.counts()).isEqualTo(counts));
        // A connection of before may have broken.
        await().atMost(PATIENCE).ignoreExceptions().until(() -> count() >= expected.size());
        assertThat(rows()).isEqualTo(List.copyOf(expected.values()));
        await().atMost(PATIENCE).untilAsserted(() -> {
            assertThat(topics.duplicates()).hasSize((int) counts.duplicate());
            assertThat(topics.deadLetters()).hasSize((int) (counts.deadLettered() + counts.refused()));
        });
    }

    private long count() {
        return client.queryAll("SELECT count() AS n FROM user_logins").get(0).getLong("n");
    }

    /** What the table holds, each row as often as it is there. */
    private List<String> rows() {
        return client
                .queryAll("SELECT id, hex(username) AS name, event_type, toUnixTimestamp(event_time) AS time"
                        + " FROM user_logins ORDER BY id")
                .stream()
                .map(row -> row.getLong("id") + " " + row.getString("name") + " " + row.getString("event_type") + " "
                        + row.getLong("time"))
                .toList();
    }

    private void sendLogins(int first, int count) throws Exception {
        for (int id = first; id < first + count; id++) {
            send(id, "user" + id % 100, EPOCH + id);
        }
    }

    private void send(long id, String user, long time) throws Exception {
        topics.send(login(id, user, time + ".0"));
        sent++;
        expected.put(id, id + " " + HexFormat.of().withUpperCase().formatHex(user.getBytes(UTF_8)) + " login " + time);
    }

    private static String login(long id, String user, String timestamp) throws Exception {
        return "{\"id\":" + id + ",\"user\":" + JSON.writeValueAsString(user) + ",\"event\":\"login\",\"timestamp\":"
                + timestamp + "}";
    }
}
