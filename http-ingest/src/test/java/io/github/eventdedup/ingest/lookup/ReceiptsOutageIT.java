package io.github.eventdedup.ingest.lookup;

import static io.github.eventdedup.ingest.testing.TestEvents.STREAM;
import static io.github.eventdedup.ingest.testing.TestEvents.VECTOR_FINGERPRINT;
import static io.github.eventdedup.ingest.testing.TestEvents.fingerprint;
import static io.github.eventdedup.ingest.testing.TestEvents.problem;
import static io.github.eventdedup.ingest.testing.TestIngest.await;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.eventdedup.ingest.benchmark.Load;
import io.github.eventdedup.ingest.testing.RawClient;
import io.github.eventdedup.ingest.testing.RawClient.Answer;
import io.github.eventdedup.ingest.testing.TestEvents;
import io.github.eventdedup.ingest.testing.TestIngest;
import io.github.eventdedup.ingest.testing.TestKafka;
import io.github.eventdedup.ingest.testing.TestPostgres;
import io.github.eventdedup.servers.FreePort;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.Statement;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * The database comes late, dies, hangs, is slow, refuses and comes back; the ingest, a process of its own, is never
 * restarted and takes events all the while.
 */
@Timeout(180)
class ReceiptsOutageIT {

    private static final String RECEIPT = "/v1/streams/view-events/events/" + VECTOR_FINGERPRINT;
    private static final String PASSWORD = "correct-horse";

    /** {@link Receipts#TIMEOUT}, and what a busy machine needs. */
    private static final Duration SOON = Receipts.TIMEOUT.plusSeconds(10);

    @TempDir
    private static Path kafkaDirectory;

    private static TestKafka kafka;

    @TempDir
    private Path directory;

    private TestPostgres postgres;
    private Path passwordFile;
    private int port;
    private Process process;

    @BeforeAll
    static void startKafka() throws Exception {
        kafka = new TestKafka(kafkaDirectory);
        kafka.start();
        kafka.createTopic(STREAM, Map.of());
    }

    @AfterAll
    static void stopKafka() {
        if (kafka != null) {
            kafka.close();
        }
    }

    @BeforeEach
    void start() throws Exception {
        postgres = new TestPostgres(directory.resolve("postgres"));
        passwordFile = Files.writeString(directory.resolve("password"), PASSWORD + "\n");
        port = FreePort.find();

        ProcessBuilder builder = TestIngest.process(
                kafka,
                port,
                TestEvents.streams(directory),
                directory.resolve("tmp"),
                Map.of(
                        "DEDUP_DRAIN_TIMEOUT",
                        "10s",
                        "DEDUP_POSTGRES_URL",
                        postgres.url(),
                        "DEDUP_POSTGRES_USER",
                        TestPostgres.READER,
                        "DEDUP_POSTGRES_PASSWORD_FILE",
                        passwordFile.toString()));
        process = builder.redirectErrorStream(true)
                .redirectOutput(directory.resolve("log").toFile())
                .start();
        TestIngest.awaitReady(port);
    }

    @AfterEach
    void stop() throws Exception {
        try {
            if (process != null) {
                process.destroyForcibly().waitFor();
            }
        } finally {
            postgres.close();
        }
    }

    private void startPostgres() throws Exception {
        postgres.start();
        postgres.createTable(PASSWORD);
        postgres.store("view_events", VECTOR_FINGERPRINT, Instant.now(), 0, 17);
    }

    @Test
    void isAwayWhileTheDatabaseIsAndBackWhenItIs() throws Exception {
        assertUnavailable();
        startPostgres();
        awaitReceipt();

        Load load = new Load(port, 4);
        try (load) {
            await().until(() -> load.count(202) > 100);
            postgres.kill();
            long before = load.count(202);
            for (int i = 0; i < 3; i++) {
                assertUnavailable();
            }
            await().until(() -> load.count(202) > before + 100);

            postgres.start();
            awaitReceipt();
        }
        assertThat(load.outcomes()).allSatisfy(outcome -> fingerprint(outcome.answer()));
        // Neither for each request, nor with stack traces.
        assertThat(log().lines().filter(line -> line.contains("No receipts for view-events")))
                .hasSize(2);
        assertThat(log().lines().filter(line -> line.contains("Receipts for view-events are available again")))
                .hasSize(2);
        assertThat(log())
                .contains("refused")
                .doesNotContain("\tat ", PASSWORD)
                .as("the pool's own lines, among them a stack trace a minute")
                .doesNotContain("Hikari");
    }

    @Test
    void answersEverybodySoonWhileTheDatabaseHangs() throws Exception {
        startPostgres();
        awaitReceipt();

        Load load = new Load(port, 4);
        try (load) {
            await().until(() -> load.count(202) > 100);
            postgres.pause();
            long before = load.count(202);
            assertThat(problems(20))
                    .hasSize(20)
                    .allSatisfy(
                            detail -> assertThat(detail)
                                    .isEqualTo(
                                            "the database cannot be asked at the moment; events are taken all the same; try again"));
            List<String> many = problems(Receipts.CONNECTIONS + Receipts.WAITING + 32);
            assertThat(many.stream().filter(detail -> detail.startsWith("too many receipts")))
                    .hasSizeGreaterThanOrEqualTo(32)
                    .hasSizeLessThan(many.size());
            await().until(() -> load.count(202) > before + 100);

            postgres.resume();
            awaitReceipt();
        }
        assertThat(load.outcomes()).allSatisfy(outcome -> fingerprint(outcome.answer()));
        assertThat(log()).doesNotContain("\tat ", PASSWORD);
    }

    /** Asks that many times at once, and has what every one of the refusals says. */
    private List<String> problems(int count) throws Exception {
        List<RawClient> clients = new ArrayList<>();
        try {
            for (int i = 0; i < count; i++) {
                clients.add(new RawClient(port));
            }
            long start = System.nanoTime();
            for (RawClient client : clients) {
                client.send("GET " + RECEIPT + " HTTP/1.1\r\n", new byte[0]);
            }
            List<String> details = new ArrayList<>();
            for (RawClient client : clients) {
                details.add(problem(client.read(), 503));
            }
            assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(SOON);
            return details;
        } finally {
            for (RawClient client : clients) {
                client.close();
            }
        }
    }

    @Test
    void givesUpATableThatIsLocked() throws Exception {
        startPostgres();
        awaitReceipt();
        try (Connection other = postgres.connect();
                Statement statement = other.createStatement()) {
            other.setAutoCommit(false);
            // On a busy machine the client may be told before the database has given up.
            await().until(() -> {
                statement.execute("LOCK TABLE view_events");
                assertUnavailable();
                other.rollback();
                awaitReceipt();
                return log().contains("statement timeout");
            });
        }
        assertThat(log()).contains("No receipts for view-events");
    }

    @Test
    void endsInOrderWhileTheDatabaseHangs() throws Exception {
        startPostgres();
        awaitReceipt();
        postgres.pause();
        try (RawClient client = new RawClient(port)) {
            client.send("GET " + RECEIPT + " HTTP/1.1\r\n", new byte[0]);
            process.destroy();
            problem(client.read(), 503);
        }
        assertThat(process.waitFor(20, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).as(log()).isZero();
        assertThat(log()).endsWith("Stopped\n").doesNotContain("\tat ");
    }

    @Test
    void logsInWithThePasswordThatTheFileHasNow() throws Exception {
        startPostgres();
        awaitReceipt();
        postgres.changePassword("battery-staple");
        postgres.disconnectReader();
        // The first may meet the connection that has just gone, and say so.
        assertUnavailable();
        assertUnavailable();

        Files.writeString(passwordFile, "battery-staple");
        awaitReceipt();
        Files.delete(passwordFile);
        postgres.disconnectReader();
        assertUnavailable();
        Files.writeString(passwordFile, "battery-staple");
        awaitReceipt();
        assertThat(log()).doesNotContain("\tat ", PASSWORD, "battery-staple");
    }

    private void assertUnavailable() throws Exception {
        long start = System.nanoTime();
        Answer answer = RawClient.get(port, RECEIPT);
        assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(SOON);
        problem(answer, 503);
    }

    private void awaitReceipt() {
        await().untilAsserted(() -> {
            Answer answer = RawClient.get(port, RECEIPT);
            assertThat(answer.status()).as(answer.body()).isEqualTo(200);
        });
    }

    private String log() throws Exception {
        return Files.readString(directory.resolve("log"));
    }
}
