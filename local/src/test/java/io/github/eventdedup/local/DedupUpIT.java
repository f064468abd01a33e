package io.github.eventdedup.local;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.local.system.FlinkRest;
import io.github.eventdedup.local.system.RunState;
import io.github.eventdedup.local.system.Status;
import io.github.eventdedup.local.testing.Clients;
import io.github.eventdedup.local.testing.DedupCommand;
import io.github.eventdedup.local.testing.RunningSystem;
import io.github.eventdedup.servers.PausedProcesses;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.io.TempDir;

/** The whole system by its own command. One system for all tests, each of which goes on from the one before. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
class DedupUpIT {

    private static final List<String> PARTS =
            List.of("taskmanager", "kafka", "postgres", "clickhouse", "jobmanager", "zookeeper", "ingest", "relay");

    /** Fixed by hand to repeat a run that failed. */
    private final long seed = System.nanoTime();

    @TempDir
    private static Path directory;

    private RunningSystem system;
    private DedupCommand dedup;
    private Clients clients;
    private Path savepointByHand;

    @BeforeAll
    void up() throws Exception {
        System.out.println("DedupUpIT: seed " + seed);
        // Longer than what is left of the 255 characters of a file name, where one is made of a path.
        system = new RunningSystem(
                directory.resolve("data-in-a-directory-with-a-name-of-more-than-60-characters-in-all"));
        dedup = system.dedup;
        clients = system.clients;
    }

    @AfterAll
    void down() throws Exception {
        system.close();
    }

    @Test
    @Order(1)
    void storesEachEventOnce() throws Exception {
        List<String> sample = Clients.sample();
        List<Clients.Answer> answers = clients.post(sample, 3, seed);

        StreamDefinition stream = StreamDefinition.read(DedupCommand.HOME.resolve("streams/view-events.yaml"));
        EventReader reader = new EventReader(stream);
        List<String> sent = Clients.shuffled(sample, 3, seed);
        for (int i = 0; i < sent.size(); i++) {
            assertThat(answers.get(i).body().path("fingerprint").asText())
                    .isEqualTo(reader.read(sent.get(i).getBytes(StandardCharsets.UTF_8))
                            .fingerprint()
                            .toString());
        }
        answers.forEach(system::acknowledged);
        system.awaitStored();
        assertThat(counts()).isEqualTo("600 152 448");

        String fingerprint = answers.get(0).body().path("fingerprint").asText();
        Clients.Answer receipt = clients.receipt(fingerprint);
        assertThat(receipt.status()).as(receipt.body().toString()).isEqualTo(200);
        assertThat(receipt.body().path("fingerprint").asText()).isEqualTo(fingerprint);
        assertThat(receipt.body().path("escapes").asInt(-1)).isZero();
    }

    /** The path of a user who inserts eight rows, then three, and has all of them sent again. */
    @Test
    @Order(1)
    void storesEachLoginOnceInClickHouse() throws Exception {
        String count = "SELECT count(), uniqExact(id) FROM dedup.user_logins";
        for (int rows : List.of(8, 3)) {
            system.logins.insert(rows);
            system.logins.awaitStored();
            assertThat(system.logins.clickHouse(count)).containsExactly(rows == 8 ? "8\t8" : "11\t11");
        }
        DedupCommand.Result relay = dedup.call("relay", "--once");
        assertThat(relay.status()).as(relay.output()).isZero();
        // It may have waited for the relay that looks for new rows each second, and says so.
        assertThat(relay.output().lines()).noneMatch(line -> line.startsWith("Sent: "));

        system.execute("UPDATE user_logins SET sent_to_kafka = FALSE");
        system.logins.awaitStored();
        await().atMost(RunningSystem.STORED_WITHIN)
                .until(() -> Objects.equals(system.jobStatus("user-logins").duplicate(), 11L));
        assertThat(system.logins.clickHouse(count)).containsExactly("11\t11");
    }

    @Test
    @Order(2)
    void refusesASecondSupervisor() throws Exception {
        DedupCommand.Result result = dedup.call("up", "--detach");

        assertThat(result.status()).isEqualTo(1);
        assertThat(result.output().strip().lines()).singleElement().asString().startsWith("already running: pid ");
    }

    @Test
    @Order(2)
    void refusesThePortsOfAnotherSystem() throws Exception {
        DedupCommand mistaken = new DedupCommand(dedup.home(), dedup.data(), dedup.portOffset() + 1);

        for (String command : List.of("down", "status", "up")) {
            DedupCommand.Result result = mistaken.call(command);
            assertThat(result.status()).isEqualTo(1);
            assertThat(result.output().strip().lines())
                    .singleElement()
                    .asString()
                    .contains("has --port-offset " + dedup.portOffset());
        }
        system.awaitAllUp();
    }

    @Test
    @Order(3)
    void theJobHasTheConfiguredParallelism() throws Exception {
        assertThat(system.parallelism()).isEqualTo(2);
    }

    @Test
    @Tag("faults")
    @Order(5)
    void aJobStoppedByHandStaysStoppedUntilTheNextUp() throws Exception {
        // Where nobody would look for it.
        Path elsewhere = directory.resolve("elsewhere");
        FlinkRest flink = system.flink;
        // As the web UI does: for seconds Flink answers others what it has answered here.
        assertThat(system.checkpoints("completed")).isPositive();
        String savepoint = flink.stop(system.job(), elsewhere, RunningSystem.STORED_WITHIN);
        savepointByHand = Path.of(URI.create(savepoint)).resolve("_metadata");
        assertThat(savepointByHand).exists();
        Path noted = dedup.layout().flink().resolve("view-events.stopped-with");
        await().atMost(RunningSystem.STORED_WITHIN).until(() -> Files.exists(noted));

        // The next JobManager knows nothing of the job.
        system.kill("jobmanager");
        await().atMost(RunningSystem.RECOVERED_WITHIN).until(flink::answers);
        await().atMost(RunningSystem.STORED_WITHIN)
                .during(Duration.ofSeconds(10))
                .ignoreExceptionsInstanceOf(IOException.class)
                .until(() -> flink.job("view-events").isEmpty());

        system.succeed("down");
        assertThat(system.succeed("up", "--detach")).contains("restored from " + savepoint);
        system.awaitStored();
        await().atMost(RunningSystem.STORED_WITHIN).until(() -> !Files.exists(noted));
    }

    @Test
    @Order(4)
    void carriesOnAfterDownAndUp() throws Exception {
        assertThat(system.succeed("down")).contains("view-events: stopped with a savepoint");
        assertThat(dedup.processes()).isEmpty();
        assertThat(system.succeed("up", "--detach")).contains("restored from");

        clients.post(Clients.sample(), 3, seed + 1).forEach(system::acknowledged);
        system.awaitStored();
        assertThat(counts()).isEqualTo("1200 152 1048");
    }

    private String counts() throws Exception {
        JsonNode job = system.counts("view-events");
        return job.path("received") + " " + job.path("unique") + " " + job.path("duplicate");
    }

    /** An operator's mistake in the database keeps one job from starting; clients must not notice. */
    @Test
    @Tag("faults")
    @Order(6)
    void aJobThatCannotStartStopsNothingElse() throws Exception {
        system.execute("ALTER TABLE view_events RENAME COLUMN sid TO sid_of_before");
        try {
            system.succeed("down");

            DedupCommand.Result up = dedup.call("up", "--detach");
            assertThat(up.status()).as(up.output()).isEqualTo(Status.SOME_NOT_UP);
            assertThat(up.output()).contains("not all of it runs:", "job view-events: ", "'sid'");
            clients.post(Clients.sample().subList(0, 10), 1, seed + 2).forEach(system::acknowledged);
            assertThat(system.jobStatus("user-logins").state()).isEqualTo("RUNNING");
            DedupCommand.Result status = dedup.call("status");
            assertThat(status.status()).as(status.output()).isEqualTo(Status.SOME_NOT_UP);
            assertThat(status.output()).contains("  job view-events is NOT_RUNNING: ", "'sid'");
        } finally {
            system.execute("ALTER TABLE view_events RENAME COLUMN sid_of_before TO sid");
        }
        system.awaitStored();
        await().atMost(RunningSystem.STORED_WITHIN)
                .untilAsserted(() -> assertThat(dedup.call("status").status()).isZero());
    }

    @Test
    @Tag("faults")
    @Order(7)
    void waitsForACancelledJobAndSaysWhenNothingRuns() throws Exception {
        String id = system.job().id();
        system.succeed("flink", "cancel", id);
        assertThat(system.flink.get("/jobs/" + id).path("state").asText())
                .as("what has ended may be followed by a TRUNCATE")
                .isEqualTo("CANCELED");
        system.succeed("down");
        assertThat(savepointByHand).as("not ours to delete").exists();
        DedupCommand.Result status = dedup.call("status");
        assertThat(status.status()).isEqualTo(Status.NOTHING_RUNS);
        assertThat(status.output()).contains("nothing runs: start it with ./dedup up");
        system.succeed("up", "--detach");
    }

    @Test
    @Tag("faults")
    @Order(7)
    void saysWhatWorksForNothing() throws Exception {
        system.logins.alter("ALTER TABLE user_logins RESET SETTING non_replicated_deduplication_window");
        try {
            system.logins.insert(1);
            awaitStatus("job user-logins is RUNNING: waits, no row is stored: cannot insert rows, the table user_logins"
                    + " remembers 0 parts");
        } finally {
            system.logins.alter("ALTER TABLE user_logins MODIFY SETTING non_replicated_deduplication_window = 1000");
        }
        system.execute("ALTER TABLE user_logins RENAME username TO username_of_before");
        try {
            // Between two attempts it has no connection, and so is "starting".
            awaitStatus("relay is (up|starting): waits, no row is sent: ");
        } finally {
            system.execute("ALTER TABLE user_logins RENAME username_of_before TO username");
        }
        system.logins.awaitStored();
        await().atMost(RunningSystem.STORED_WITHIN)
                .untilAsserted(() -> assertThat(dedup.call("status").status()).isZero());
    }

    private void awaitStatus(String problem) {
        await().atMost(RunningSystem.STORED_WITHIN).untilAsserted(() -> {
            DedupCommand.Result status = dedup.call("status");
            assertThat(status.output()).containsPattern(problem);
            assertThat(status.status()).isEqualTo(Status.SOME_NOT_UP);
        });
    }

    /** A server that is stopped takes connections and never answers. */
    @Test
    @Tag("faults")
    @Order(7)
    void saysWhatIsPaused() throws Exception {
        PausedProcesses paused = new PausedProcesses();
        try {
            ProcessHandle postgres =
                    new RunState(dedup.layout().run()).process("postgres").orElseThrow();
            for (ProcessHandle process :
                    Stream.concat(Stream.of(postgres), postgres.descendants()).toList()) {
                paused.pause(process);
            }
            DedupCommand.Result status = dedup.call("status");
            assertThat(status.status()).as(status.output()).isEqualTo(Status.SOME_NOT_UP);
            assertThat(status.output()).contains("postgres is starting");
        } finally {
            paused.resume();
        }
        system.awaitAllUp();
    }

    @Test
    void namesADataDirectoryThatCannotBeWritten() throws Exception {
        DedupCommand other = DedupCommand.in(Files.writeString(directory.resolve("file"), ""));
        for (String[] arguments : new String[][] {{"up"}, {"up", "--detach"}}) {
            DedupCommand.Result result = other.call(arguments);
            assertThat(result.status()).isEqualTo(1);
            assertThat(result.output().strip().lines())
                    .singleElement()
                    .asString()
                    .startsWith("cannot write to the data directory " + other.data());
        }
    }

    @Test
    @Tag("faults")
    @Order(8)
    void takesOverFromASupervisorThatWasKilled() throws Exception {
        RunState runState = new RunState(dedup.layout().run());
        List<ProcessHandle> orphans = dedup.processes();
        system.kill(RunState.SUPERVISOR);
        assertThat(runState.process("kafka")).isPresent();

        assertThat(system.succeed("up", "--detach")).contains("an earlier supervisor was killed");
        assertThat(orphans).noneMatch(ProcessHandle::isAlive);
        system.awaitStored();
    }

    @Test
    @Tag("faults")
    @Order(9)
    void losesNothingWhenTheWholeMachineDies() throws Exception {
        system.assertNothingIsLostWhile("machine", () -> {
            RunningSystem.awaitFlink(() -> system.checkpoints("completed") > 0);
            system.kill(RunState.SUPERVISOR);
            system.kill(PARTS.toArray(String[]::new));
            assertThat(system.succeed("up", "--detach")).contains("restored from", "/chk-");
        });
    }

    @Test
    void refusesADataDirectoryThatFlinkMistakes() throws Exception {
        for (String name : List.of("my data", "100%", "данные")) {
            DedupCommand.Result result =
                    DedupCommand.in(directory.resolve(name)).call("up");
            assertThat(result.status()).isEqualTo(1);
            assertThat(result.output().strip().lines())
                    .singleElement()
                    .asString()
                    .startsWith("--data-dir ")
                    .contains("another directory");
        }
        assertThat(directory.resolve("my data")).doesNotExist();
    }

    @Test
    void refusesADataDirectoryWithoutAName() throws Exception {
        Process process = new ProcessBuilder(
                        dedup.layout().home().resolve("dedup").toString(), "status", "--data-dir", "")
                .redirectErrorStream(true)
                .start();
        assertThat(new String(process.getInputStream().readAllBytes(), UTF_8))
                .contains("--data-dir: is empty; give a directory")
                .doesNotContain("\tat ");
        assertThat(process.waitFor()).isEqualTo(1);
    }

    /** It would forget the streams that are left out as well, and the next `up` would store their rows twice. */
    @Test
    void refusesToForgetWhatItLeavesOut() throws Exception {
        DedupCommand other = DedupCommand.in(directory.resolve("other"));
        DedupCommand.Result result = other.call("up", "--fresh", "--without-clickhouse");

        assertThat(result.status()).isEqualTo(1);
        assertThat(result.output().strip().lines()).singleElement().asString().startsWith("--fresh would also discard");
    }

    @Test
    void namesAPortThatIsTaken() throws Exception {
        DedupCommand other = DedupCommand.in(directory.resolve("other"));
        try (ServerSocket taken = new ServerSocket(other.layout().ingestPort(), 1, InetAddress.getLoopbackAddress())) {
            for (String[] arguments : new String[][] {{"up"}, {"up", "--detach"}}) {
                DedupCommand.Result result = other.call(arguments);
                assertThat(result.status()).isEqualTo(1);
                assertThat(result.output().strip().lines())
                        .singleElement()
                        .asString()
                        .contains("port " + taken.getLocalPort(), "ingest", "--port-offset");
                assertThat(other.processes()).isEmpty();
            }
        }
    }
}
