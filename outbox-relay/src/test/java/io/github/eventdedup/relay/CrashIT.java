package io.github.eventdedup.relay;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.github.eventdedup.relay.TestOutbox.RelayProcess;
import io.github.eventdedup.relay.outbox.OutboxTable;
import io.github.eventdedup.servers.PausedProcesses;
import java.sql.Connection;
import java.sql.Statement;
import java.time.Duration;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/** Relays are killed at every step; the next one finishes what they have begun. */
@Timeout(180)
@ExtendWith(TestServers.class)
class CrashIT {

    private static final int ROWS = 500;
    private static final int USERS = 20;

    private TestOutbox outbox;

    private final PausedProcesses paused = new PausedProcesses();

    /** Holds what makes the relay's Postgres wait. */
    private Connection gate;

    @BeforeEach
    void create() throws Exception {
        outbox = new TestOutbox();
        gate = outbox.servers.connect();
    }

    @AfterEach
    void close() throws Exception {
        outbox.servers.resumeKafka();
        gate.close();
        outbox.close();
    }

    private void gate(String sql) throws Exception {
        try (Statement statement = gate.createStatement()) {
            statement.execute(sql);
        }
    }

    private static String relayLock(String function, TestOutbox outbox) {
        return "SELECT " + function + "(" + OutboxTable.LOCK_CLASS + ", '" + outbox.table + "'::regclass::oid::int)";
    }

    private void awaitWaiting() {
        await().atMost(Duration.ofSeconds(60)).until(() -> outbox.waitingInTransaction() == 1);
    }

    private void awaitHeld() {
        await().atMost(Duration.ofSeconds(60)).until(() -> outbox.heldByTest() == 1);
    }

    /** @return how many copies there are in the topic beyond the first */
    private long finish(long rows) throws Exception {
        // What a killed relay's Postgres was in the middle of ends before it notices.
        await().atMost(Duration.ofSeconds(60)).until(() -> outbox.connectedRelays() == 0);
        outbox.once();
        return outbox.assertAllInOrder(rows);
    }

    @Test
    void killedBeforeItHasTheLock() throws Exception {
        outbox.insert(ROWS, USERS);
        gate(relayLock("pg_advisory_lock", outbox));
        RelayProcess relay = outbox.relay();
        relay.awaitLog("Another relay is sending");
        relay.kill();
        gate("SELECT pg_advisory_unlock_all()");
        assertThat(finish(ROWS)).isZero();
    }

    @Test
    void killedBeforeKafkaHasAcknowledged() throws Exception {
        RelayProcess relay = outbox.relay();
        relay.awaitFollowing();
        outbox.insert("user-0");
        outbox.awaitAllSent();
        outbox.servers.pauseKafka();
        outbox.insert(ROWS, USERS);
        awaitWaiting();
        relay.kill();
        outbox.servers.resumeKafka();
        finish(ROWS + 1);
    }

    /** Nothing is sent before all of it can be flagged, what is deferred to the commit included. */
    @Test
    void killedBetweenTheFlagAndKafka() throws Exception {
        outbox.execute("CREATE FUNCTION " + outbox.table + "_wait() RETURNS trigger LANGUAGE plpgsql AS"
                + " 'BEGIN PERFORM pg_advisory_xact_lock_shared(7, 7); RETURN NULL; END';"
                + " CREATE CONSTRAINT TRIGGER wait AFTER UPDATE ON " + outbox.table + " DEFERRABLE INITIALLY DEFERRED"
                + " FOR EACH ROW EXECUTE FUNCTION " + outbox.table + "_wait()");
        gate("SELECT pg_advisory_lock(7, 7)");
        outbox.insert(ROWS, USERS);
        RelayProcess relay = outbox.relay("--once");
        awaitHeld();
        assertThat(outbox.topicSize()).isZero();
        assertThat(outbox.unsent()).isEqualTo(ROWS);
        relay.kill();
        // Not said, for it was not yet flagged.
        assertThat(relay.out()).isEmptyFile();
        gate("SELECT pg_advisory_unlock_all()");
        assertThat(finish(ROWS)).isZero();
    }

    @Test
    void killedBetweenKafkaAndTheCommit() throws Exception {
        outbox.insert(ROWS, USERS);
        // The commit waits for a standby that there is not.
        gate("ALTER SYSTEM SET synchronous_standby_names = 'nowhere'");
        gate("SELECT pg_reload_conf()");
        try {
            RelayProcess relay = outbox.relay("--once");
            await().atMost(Duration.ofSeconds(60))
                    .until(() ->
                            outbox.number("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == 1);
            assertThat(outbox.topicSize()).isEqualTo(ROWS);
            assertThat(outbox.unsent()).isEqualTo(ROWS);
            relay.kill();
            assertThat(relay.out()).isEmptyFile();
        } finally {
            gate("ALTER SYSTEM RESET synchronous_standby_names");
            gate("SELECT pg_reload_conf()");
        }
        // What Postgres was told to commit, it commits.
        assertThat(finish(ROWS)).isZero();
    }

    @Test
    void whatACrashedRelayHeldIsFree() throws Exception {
        RelayProcess first = outbox.relay();
        first.awaitFollowing();
        outbox.insert("user-0");
        outbox.awaitAllSent();
        RelayProcess second = outbox.relay();
        second.awaitFollowing();
        // Only the first can have the batch at hand.
        pauseBetweenBatches(second);
        outbox.servers.pauseKafka();
        outbox.insert(ROWS, USERS);
        awaitWaiting();
        paused.resume();
        second.awaitLog("Another relay is sending");
        first.kill();
        outbox.servers.resumeKafka();
        outbox.awaitAllSent();
        second.stop();
        outbox.assertAllInOrder(ROWS + 1);
    }

    private void pauseBetweenBatches(RelayProcess relay) {
        await().atMost(Duration.ofSeconds(60)).until(() -> {
            paused.pause(relay.process().toHandle());
            boolean between = outbox.inTransaction() == 0;
            if (!between) {
                paused.resume();
            }
            return between;
        });
    }

    @Test
    void killedAtAnyTime() throws Exception {
        int rows = 25_000;
        long seed = System.nanoTime();
        System.out.println("killedAtAnyTime: seed " + seed);
        SplittableRandom random = new SplittableRandom(seed);
        outbox.insert(rows, 50);
        while (outbox.unsent() > 0) {
            RelayProcess relay = outbox.relay();
            long until = outbox.topicSize() + random.nextLong(1, 10_000);
            await().atMost(Duration.ofSeconds(60))
                    .pollInterval(Duration.ofMillis(5))
                    .until(() -> outbox.topicSize() >= until || outbox.unsent() == 0);
            relay.kill();
        }
        System.out.println("killedAtAnyTime: copies " + finish(rows));
    }
}
