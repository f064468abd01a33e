package io.github.eventdedup.relay;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.github.eventdedup.relay.TestOutbox.RelayProcess;
import io.github.eventdedup.relay.outbox.OutboxTable;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.sql.Connection;
import java.sql.Statement;
import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/** Relays that follow a table: beside each other, beside other transactions, with dependencies that become unavailable. */
@Timeout(180)
@ExtendWith(TestServers.class)
class FollowIT {

    private TestOutbox outbox;
    private Connection other;

    @BeforeEach
    void create() throws Exception {
        outbox = new TestOutbox();
        other = outbox.servers.connect();
        other.setAutoCommit(false);
    }

    @AfterEach
    void close() throws Exception {
        outbox.servers.resumeKafka();
        other.close();
        outbox.close();
    }

    private void other(String sql) throws Exception {
        try (Statement statement = other.createStatement()) {
            statement.execute(sql);
        }
    }

    @Test
    void twoSendEachRowOnce() throws Exception {
        int rows = 100_000;
        RelayProcess first = outbox.relay();
        RelayProcess second = outbox.relay();
        first.awaitFollowing();
        second.awaitFollowing();
        for (int i = 0; i < 10; i++) {
            outbox.insert(rows / 10, 1000);
        }
        outbox.awaitAllSent();
        first.stop();
        second.stop();
        assertThat(outbox.assertAllInOrder(rows)).isZero();
    }

    /** NOTIFY would cost commits, and PREPARE TRANSACTION does not take it. */
    @Test
    void theSchemaBringsNoTrigger() {
        assertThat(outbox.number("SELECT count(*) FROM pg_trigger WHERE tgrelid = '" + outbox.table + "'::regclass"))
                .isZero();
    }

    /** As earlier versions of the schema made it. */
    @Test
    void followsATableWithATrigger() throws Exception {
        outbox.execute("CREATE FUNCTION notify_" + outbox.table + "() RETURNS trigger LANGUAGE plpgsql AS"
                + " $$BEGIN PERFORM pg_notify('" + outbox.table + "', ''); RETURN NULL; END$$;"
                + " CREATE TRIGGER inserted AFTER INSERT ON " + outbox.table
                + " FOR EACH STATEMENT EXECUTE FUNCTION notify_" + outbox.table + "()");
        RelayProcess relay = outbox.relay();
        relay.awaitFollowing();
        outbox.insert("alice");
        outbox.awaitAllSent();
        relay.stop();
    }

    @Test
    void sendsWhatIsNullAndWhatIsCommittedLate() throws Exception {
        other("INSERT INTO " + outbox.table + " (username) VALUES ('late')");
        int rows = 2 * OutboxTable.BATCH_ROWS + 1;
        outbox.execute("INSERT INTO " + outbox.table + " (username, sent_to_kafka)"
                + " SELECT 'null', NULL FROM generate_series(1, " + rows + ")");
        RelayProcess relay = outbox.relay();
        relay.awaitFollowing();
        outbox.awaitAllSent();
        assertThat(outbox.messages()).hasSize(rows).doesNotContainKey(1L);
        other.commit();
        outbox.awaitAllSent();
        assertThat(outbox.messages()).hasSize(rows + 1).containsKey(1L);
        relay.stop();
    }

    @Test
    void leavesOutWhatIsLockedAndTakesItLater() throws Exception {
        outbox.insert(10, 10);
        other("SELECT FROM " + outbox.table + " WHERE id IN (3, 4) FOR UPDATE");
        RelayProcess relay = outbox.relay();
        await().atMost(Duration.ofSeconds(60)).until(() -> outbox.unsent() == 2);
        assertThat(outbox.messages()).hasSize(8).doesNotContainKeys(3L, 4L);
        other.commit();
        outbox.awaitAllSent();
        assertThat(outbox.messages()).hasSize(10);
        relay.stop();
    }

    @Test
    void aFlagThatIsResetDuringTheBatchIsNotLost() throws Exception {
        RelayProcess relay = outbox.relay();
        relay.awaitFollowing();
        outbox.insert("alice");
        outbox.awaitAllSent();
        outbox.servers.pauseKafka();
        outbox.insert("bob");
        await().atMost(Duration.ofSeconds(60)).until(() -> outbox.waitingInTransaction() == 1);
        Thread reset = new Thread(() -> {
            try {
                other("UPDATE " + outbox.table + " SET sent_to_kafka = FALSE WHERE username = 'bob'");
                other.commit();
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        });
        reset.start();
        await().atMost(Duration.ofSeconds(60))
                .until(() ->
                        outbox.number("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == 1);
        outbox.servers.resumeKafka();
        reset.join();
        await().atMost(Duration.ofSeconds(60)).until(() -> outbox.topicSize() >= 3);
        outbox.awaitAllSent();
        relay.stop();
        assertThat(outbox.assertAllInOrder(2)).isEqualTo(1);
    }

    @Test
    void sendsNoRowWhoseIdStartsAgain() throws Exception {
        String table = outbox.table;
        RelayProcess relay = outbox.relay();
        relay.awaitFollowing();
        outbox.insert(25, 5);
        outbox.awaitAllSent();
        outbox.execute("TRUNCATE " + table + " RESTART IDENTITY");
        outbox.insert(5, 5);
        relay.awaitLog("the ids of '" + table + "' start again: within the window of the stream row 25 was sent");
        relay.stop();
        // Another relay, as after a restore, knows it from the topic.
        RelayProcess once = outbox.relay("--once");
        assertThat(once.endsWith(1)).isEmpty();
        assertThat(once.errors())
                .contains("the ids of '" + table + "' start again")
                .contains("after 25");
        assertThat(outbox.unsent()).isEqualTo(5);
        assertThat(outbox.topicSize()).isEqualTo(25);
        // As docs/limits.md says.
        outbox.execute("BEGIN; UPDATE " + table + " SET id = id + 25 WHERE sent_to_kafka IS NOT TRUE;"
                + " SELECT setval(pg_get_serial_sequence('" + table + "', 'id'), (SELECT max(id) FROM " + table + "));"
                + " COMMIT");
        assertThat(outbox.once()).hasSize(5);
        outbox.insert("next");
        assertThat(outbox.once()).hasSize(1);
        assertThat(outbox.messages()).hasSize(31);
    }

    /** A client may POST to the stream, or write to its topic, ids that no row will ever have. */
    @Test
    void takesAnEventOfOtherOriginForNoRow() throws Exception {
        outbox.insert(3, 1);
        assertThat(outbox.once()).hasSize(3);
        outbox.send("{\"id\":9000000000,\"user\":\"x\",\"event\":\"e\",\"timestamp\":1}");
        outbox.insert("next");
        RelayProcess relay = outbox.relay("--once");
        assertThat(relay.endsWith(0)).hasSize(1);
        assertThat(relay.errors()).isEmpty();
    }

    @Test
    void sendsRowsWhoseIdsStartAgainWhereItIsToldTo() throws Exception {
        String table = outbox.table;
        outbox.insert(25, 5);
        assertThat(outbox.once()).hasSize(25);
        outbox.execute("TRUNCATE " + table + " RESTART IDENTITY");
        outbox.insert("other");
        String yaml = Files.readString(outbox.streamFile());
        Files.writeString(outbox.streamFile(), yaml.replace("  id: id\n", "  id: id\n  restarted-ids: send\n"));
        RelayProcess relay = outbox.relay("--once");
        assertThat(relay.endsWith(0)).hasSize(1);
        assertThat(relay.errors())
                .contains("start again")
                .contains("1 rows of " + table + " were sent before with other values and the same fingerprint")
                .contains("[1]");
    }

    /** A time in the fingerprint tells rows apart whose ids are the same. */
    @Test
    void sendsRowsWhoseIdsStartAgainUnderATime() throws Exception {
        Files.writeString(
                outbox.streamFile(),
                Files.readString(outbox.streamFile()).replace("fingerprint: [id]", "fingerprint: [id, timestamp]"));
        outbox.insert(3, 1);
        assertThat(outbox.once()).first().asString().contains("\"timestamp\":\"2025-11-12T16:33:51.001000Z\"");
        outbox.execute("TRUNCATE " + outbox.table + " RESTART IDENTITY");
        outbox.insert("again");
        RelayProcess relay = outbox.relay("--once");
        assertThat(relay.endsWith(0)).hasSize(1);
        assertThat(relay.errors()).isEmpty();
        assertThat(outbox.records().stream().map(record -> new String(record.key(), StandardCharsets.ISO_8859_1)))
                .doesNotHaveDuplicates()
                .hasSize(4);
    }

    @Test
    void takesNoIdThatIsLowForARestart() throws Exception {
        String table = outbox.table;
        other("INSERT INTO " + table + " (username) VALUES ('late')");
        outbox.insert(20, 5);
        RelayProcess relay = outbox.relay();
        relay.awaitFollowing();
        outbox.awaitAllSent();
        // An application that cleans up, a row that is committed late, and one that is to be sent again.
        outbox.execute("DELETE FROM " + table + " WHERE id > 2");
        other.commit();
        outbox.awaitAllSent();
        outbox.execute("UPDATE " + table + " SET sent_to_kafka = false WHERE id = 2");
        outbox.awaitAllSent();
        relay.stop();
        assertThat(outbox.topicSize()).isEqualTo(22);
        assertThat(relay.errors()).doesNotContain("WARN");
    }

    @Test
    void saysThatARowWasChangedAfterItWasSent() throws Exception {
        RelayProcess relay = outbox.relay();
        relay.awaitFollowing();
        outbox.insert("alice");
        outbox.awaitAllSent();
        outbox.execute("UPDATE " + outbox.table + " SET username = 'bob', sent_to_kafka = false");
        relay.awaitLog("1 rows of " + outbox.table + " were sent before with other values");
        relay.stop();
        assertThat(outbox.unsent()).isZero();
    }

    @Test
    void waitsForKafka() throws Exception {
        RelayProcess relay = outbox.relay();
        relay.awaitFollowing();
        outbox.insert("alice");
        outbox.awaitAllSent();
        outbox.servers.kafka().kill();
        try {
            outbox.insert(100, 10);
            relay.awaitLog("Cannot send, retrying; no rows are lost: Kafka at");
        } finally {
            outbox.servers.kafka().start();
        }
        outbox.awaitAllSent();
        relay.awaitLog("Resuming");
        relay.stop();
        outbox.assertAllInOrder(101);
        assertThat(relay.errors().lines()).hasSizeLessThan(10);
    }

    /** As on a machine that starts everything at once. */
    @Test
    void givesAKafkaThatIsSlowToAnswerTime() throws Exception {
        outbox.servers.pauseKafka();
        RelayProcess relay;
        try {
            relay = outbox.relay();
            await().atMost(Duration.ofSeconds(60))
                    .until(() -> outbox.number("SELECT count(*) FROM pg_stat_activity WHERE application_name"
                                    + " = 'outbox-relay'")
                            == 1);
            await().atMost(Duration.ofSeconds(20))
                    .during(Duration.ofSeconds(8))
                    .until(() -> relay.process().isAlive());
        } finally {
            outbox.servers.resumeKafka();
        }
        relay.awaitFollowing();
        relay.stop();
    }

    @Test
    void waitsForPostgres() throws Exception {
        RelayProcess relay = outbox.relay();
        relay.awaitFollowing();
        outbox.insert("alice");
        outbox.awaitAllSent();
        outbox.database.close();
        outbox.servers.postgres().kill();
        try {
            relay.awaitLog("Cannot send, retrying; no rows are lost: Postgres");
        } finally {
            outbox.servers.postgres().start();
        }
        try (Connection again = outbox.servers.connect();
                Statement statement = again.createStatement()) {
            statement.execute("INSERT INTO " + outbox.table + " (username) VALUES ('bob')");
        }
        await().atMost(Duration.ofSeconds(60)).until(() -> outbox.topicSize() == 2);
        relay.awaitLog("Resuming");
        relay.stop();
        assertThat(relay.errors().lines()).hasSizeLessThan(10);
    }

    @Test
    void stopsWhileItStandsBy() throws Exception {
        other("SELECT pg_advisory_lock(" + OutboxTable.LOCK_CLASS + ", '" + outbox.table + "'::regclass::oid::int)");
        RelayProcess relay = outbox.relay();
        RelayProcess once = outbox.relay("--once");
        relay.awaitLog("Another relay is sending");
        once.awaitLog("Another relay is sending");
        relay.stop();
        once.process().destroy();
        assertThat(once.endsWith(1)).isEmpty();
        assertThat(once.errors()).contains("told to stop before everything was sent");
    }

    @Test
    void stopsWhileKafkaIsAway() throws Exception {
        RelayProcess relay = outbox.relay();
        relay.awaitFollowing();
        outbox.insert("alice");
        outbox.awaitAllSent();
        outbox.servers.pauseKafka();
        outbox.insert("bob");
        await().atMost(Duration.ofSeconds(60)).until(() -> outbox.waitingInTransaction() == 1);
        relay.stop();
        assertThat(outbox.unsent()).isEqualTo(1);
        outbox.servers.resumeKafka();
        assertThat(outbox.once()).hasSize(1);
    }

    @Test
    void looksOnlyAtWhatIsUnsent() throws Exception {
        int sent = 200_000;
        outbox.execute("INSERT INTO " + outbox.table + " (username, event_type, sent_to_kafka)"
                + " SELECT 'user', 'login', true FROM generate_series(1, " + sent + "); ANALYZE " + outbox.table);
        outbox.insert(10, 2);
        assertThat(outbox.once()).hasSize(10);
        String statistics = "SELECT %s FROM pg_stat_user_tables WHERE relname = '" + outbox.table + "'";
        await().atMost(Duration.ofSeconds(60)).until(() -> outbox.number(String.format(statistics, "n_tup_upd")) == 10);
        assertThat(outbox.number(String.format(statistics, "seq_tup_read"))).isLessThanOrEqualTo(sent);
        assertThat(outbox.number("SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = '" + outbox.table
                        + "_unsent'"))
                .isBetween(10L, 100L);
        assertThat(outbox.number("SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = '" + outbox.table
                        + "_pkey'"))
                .isLessThan(100);
    }
}
