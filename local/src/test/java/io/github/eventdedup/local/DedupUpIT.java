package io.github.eventdedup.local;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.servers.PostgresServer;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.io.TempDir;

/** The whole system by its own command. One system for all tests, each of which goes on from the one before. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
class DedupUpIT {

    private static final Duration STORED_WITHIN = Duration.ofSeconds(60);
    private static final Duration RECOVERED_WITHIN = Duration.ofMinutes(3);

    /** Fixed by hand to repeat a run that failed. */
    private final long seed = System.nanoTime();

    @TempDir
    private static Path directory;

    private DedupCommand dedup;
    private Clients clients;

    @BeforeAll
    void up() throws Exception {
        System.out.println("DedupUpIT: seed " + seed);
        dedup = DedupCommand.in(directory.resolve("data"));
        clients = new Clients(dedup.layout().ingestPort());
        succeed("up", "--detach");
    }

    /** Also after a failure: whatever was started must be gone. */
    @AfterAll
    void down() throws Exception {
        clients.close();
        DedupCommand.Result result = dedup.call("down");
        List<ProcessHandle> left = dedup.processes();
        left.forEach(ProcessHandle::destroyForcibly);
        assertThat(result.status()).as(result.output()).isZero();
        assertThat(left).isEmpty();
        assertThat(dedup.layoutPorts()).allMatch(DedupCommand::isFree);
    }

    @Test
    @Order(1)
    void storesEachEventOnce() throws Exception {
        List<String> sample = Clients.sample();
        List<Clients.Answer> answers = clients.post(sample, 3, seed);

        assertThat(answers).allMatch(answer -> answer.status() == 202);
        StreamDefinition stream = StreamDefinition.read(DedupCommand.HOME.resolve("streams/view-events.yaml"));
        EventReader reader = new EventReader(stream);
        List<String> sent = Clients.shuffled(sample, 3, seed);
        for (int i = 0; i < sent.size(); i++) {
            assertThat(answers.get(i).body().path("fingerprint").asText())
                    .isEqualTo(reader.read(sent.get(i).getBytes(StandardCharsets.UTF_8))
                            .fingerprint()
                            .toString());
        }
        awaitCounts(600, 152, 448);
        assertThat(query("SELECT count(*), sum(escapes) FROM view_events")).isEqualTo("152 0");
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
        DedupCommand mistaken = new DedupCommand(dedup.data(), dedup.portOffset() + 1);

        for (String command : List.of("down", "status", "up")) {
            DedupCommand.Result result = mistaken.call(command);
            assertThat(result.status()).isEqualTo(1);
            assertThat(result.output().strip().lines())
                    .singleElement()
                    .asString()
                    .contains("has --port-offset " + dedup.portOffset());
        }
        awaitAllUp();
    }

    @Test
    @Order(3)
    void flinksCommandLineActsOnTheCluster() throws Exception {
        DedupCommand.Result result = dedup.call("flink", "list");

        assertThat(result.status()).as(result.output()).isZero();
        assertThat(result.output()).contains("view-events (RUNNING)").doesNotContain("Exception");
    }

    @Test
    @Order(3)
    void theJobUsesBothSlots() throws Exception {
        FlinkRest flink = new FlinkRest(dedup.layout().flinkPort());

        assertThat(flink.parallelism(flink.job("view-events").orElseThrow())).isEqualTo(2);
    }

    @Test
    @Order(4)
    void carriesOnAfterDownAndUp() throws Exception {
        assertThat(succeed("down")).contains("view-events: stopped with a savepoint");
        assertThat(dedup.processes()).isEmpty();
        assertThat(succeed("up", "--detach")).contains("restored from");

        assertThat(clients.post(Clients.sample(), 3, seed + 1)).allMatch(answer -> answer.status() == 202);
        awaitCounts(1200, 152, 1048);
        assertThat(query("SELECT count(*), sum(escapes) FROM view_events")).isEqualTo("152 0");
    }

    @Test
    @Order(5)
    void losesNothingWhenOneProcessAfterAnotherIsKilled() throws Exception {
        assertNothingIsLostWhile("one", () -> {
            for (String name : List.of("taskmanager", "kafka", "postgres", "jobmanager", "ingest")) {
                kill(name);
                awaitAllUp();
            }
        });
    }

    @Test
    @Order(6)
    void losesNothingWhenAllAreKilledAtOnce() throws Exception {
        assertNothingIsLostWhile("all", () -> {
            kill("taskmanager", "kafka", "postgres", "jobmanager", "ingest");
            awaitAllUp();
        });
    }

    @Test
    @Order(7)
    void takesOverFromASupervisorThatWasKilled() throws Exception {
        RunState runState = new RunState(dedup.layout().run());
        long unique = status().path("jobs").get(0).path("unique").asLong();
        List<ProcessHandle> orphans = dedup.processes();
        ProcessHandle supervisor = runState.process(RunState.SUPERVISOR).orElseThrow();
        supervisor.destroyForcibly();
        supervisor.onExit().get(10, TimeUnit.SECONDS);
        assertThat(runState.process("kafka")).isPresent();

        assertThat(succeed("up", "--detach")).contains("an earlier supervisor was killed");
        assertThat(orphans).noneMatch(ProcessHandle::isAlive);
        await().atMost(STORED_WITHIN)
                .untilAsserted(() -> assertThat(
                                status().path("jobs").get(0).path("unique").asLong())
                        .isEqualTo(unique));
    }

    @Test
    @Order(8)
    void aJobStoppedByHandStaysStoppedUntilTheNextUp() throws Exception {
        FlinkRest flink = new FlinkRest(dedup.layout().flinkPort());
        Path savepoints = dedup.layout().savepoints();
        String savepoint = flink.stop(flink.job("view-events").orElseThrow(), savepoints, STORED_WITHIN);
        Path held = dedup.layout().flink().resolve("view-events.stopped-by-hand");
        await().atMost(STORED_WITHIN).until(() -> Files.exists(held));

        // The next JobManager knows nothing of the job.
        kill("jobmanager");
        await().atMost(RECOVERED_WITHIN).until(flink::answers);
        await().atMost(STORED_WITHIN)
                .during(Duration.ofSeconds(10))
                .until(() -> flink.job("view-events").isEmpty());

        succeed("down");
        assertThat(succeed("up", "--detach")).contains("restored from");
        assertThat(held).doesNotExist();
        succeed("down");
        assertThat(Path.of(URI.create(savepoint)).resolve("_metadata")).exists();
        succeed("up", "--detach");
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

    /** Clients that try until they are answered 202, half of them twice: each event must be one row in the end. */
    private void assertNothingIsLostWhile(String session, Executable trouble) throws Exception {
        List<String> sample = Clients.sample();
        long before = status().path("jobs").get(0).path("unique").asLong();
        AtomicBoolean done = new AtomicBoolean();
        AtomicInteger accepted = new AtomicInteger();
        List<Future<?>> running = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            int client = i;
            running.add(clients.run(() -> {
                for (int n = 0; !done.get(); n++) {
                    String event = Clients.withSession(sample.get(n % sample.size()), session + "-" + client + "-" + n);
                    clients.postUntilAccepted(event);
                    accepted.incrementAndGet();
                    if (n % 2 == 0) {
                        clients.postUntilAccepted(event);
                    }
                    Thread.sleep(20);
                }
                return null;
            }));
        }
        try {
            trouble.run();
        } finally {
            done.set(true);
        }
        for (Future<?> client : running) {
            client.get(1, TimeUnit.MINUTES);
        }

        String stored = "SELECT count(*), sum(escapes) FROM view_events WHERE sid LIKE '" + session + "-%'";
        await().atMost(RECOVERED_WITHIN)
                .untilAsserted(() -> assertThat(query(stored)).isEqualTo(accepted.get() + " 0"));
        await().atMost(STORED_WITHIN).untilAsserted(() -> {
            JsonNode job = status().path("jobs").get(0);
            assertThat(job.path("unique").asLong()).as(job.toString()).isEqualTo(before + accepted.get());
            assertThat(job.path("deadLettered").asLong()).isZero();
            assertThat(job.path("received").asLong())
                    .isEqualTo(
                            job.path("unique").asLong() + job.path("duplicate").asLong());
        });
    }

    private interface Executable {
        void run() throws Exception;
    }

    private void kill(String... names) throws Exception {
        RunState runState = new RunState(dedup.layout().run());
        List<ProcessHandle> victims = new ArrayList<>();
        for (String name : names) {
            victims.add(runState.process(name).orElseThrow());
        }
        victims.forEach(ProcessHandle::destroyForcibly);
        for (ProcessHandle victim : victims) {
            victim.onExit().get(10, TimeUnit.SECONDS);
        }
    }

    private String succeed(String... arguments) throws Exception {
        DedupCommand.Result result = dedup.call(arguments);
        assertThat(result.status()).as(result.output() + logs()).isZero();
        return result.output();
    }

    /** The folder is gone when somebody reads the report: the end of each log belongs into it. */
    private String logs() throws Exception {
        StringBuilder text = new StringBuilder();
        Path logs = dedup.layout().log("any").getParent();
        if (Files.exists(logs)) {
            try (var files = Files.list(logs)) {
                for (Path file : files.sorted().toList()) {
                    List<String> lines = Files.readAllLines(file);
                    text.append(System.lineSeparator()).append("== ").append(file.getFileName());
                    lines.subList(Math.max(0, lines.size() - 30), lines.size())
                            .forEach(line -> text.append(System.lineSeparator()).append(line));
                }
            }
        }
        return text.toString();
    }

    private JsonNode status() throws Exception {
        DedupCommand.Result result = dedup.call("status", "--json");
        assertThat(result.status()).as(result.output()).isZero();
        return new ObjectMapper().readTree(result.output());
    }

    private void awaitCounts(long received, long unique, long duplicate) {
        await().atMost(STORED_WITHIN).untilAsserted(() -> {
            JsonNode job = status().path("jobs").get(0);
            assertThat(job.path("received").asLong()).isEqualTo(received);
            assertThat(job.path("unique").asLong()).isEqualTo(unique);
            assertThat(job.path("duplicate").asLong()).isEqualTo(duplicate);
            assertThat(job.path("deadLettered").asLong(-1)).isZero();
        });
    }

    private void awaitAllUp() {
        await().atMost(RECOVERED_WITHIN).pollDelay(Duration.ofSeconds(1)).untilAsserted(() -> {
            JsonNode status = status();
            assertThat(status.path("processes"))
                    .as(status.toString())
                    .allMatch(process -> process.path("health").asText().equals("up"));
            assertThat(status.path("jobs").get(0).path("state").asText()).isEqualTo("RUNNING");
        });
    }

    private String query(String sql) throws SQLException {
        try (Connection connection = DriverManager.getConnection(
                        dedup.layout().postgres().jdbcUrl(), PostgresServer.USER, PostgresServer.PASSWORD);
                Statement statement = connection.createStatement();
                ResultSet result = statement.executeQuery(sql)) {
            result.next();
            return result.getString(1) + " " + result.getString(2);
        }
    }
}
