package io.github.eventdedup.local;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.eventdedup.local.system.FlinkRest;
import io.github.eventdedup.local.testing.DedupCommand;
import io.github.eventdedup.local.testing.RunningSystem;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import javax.tools.ToolProvider;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.io.TempDir;

/**
 * A proof that cannot fail proves nothing: what holds is proved, and a system that is broken on purpose is found out, in each
 * of the ways that matter. One system for all tests, each of which goes on from the one before.
 */
@Tag("faults")
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
class ProveIT {

    private static final String STREAM = "view-events";
    private static final String INGEST_JAR = "http-ingest/target/http-ingest.jar";

    @TempDir
    private static Path directory;

    private RunningSystem system;
    private Path home;

    @BeforeAll
    void up() throws Exception {
        home = symbolicHome();
        system = new RunningSystem(DedupCommand.in(home, directory.resolve("data")));
    }

    @AfterAll
    void down() throws Exception {
        system.close();
    }

    /** The project, but for the ingest's jar, which can be another one here. */
    private static Path symbolicHome() throws Exception {
        Path home = Files.createDirectories(directory.resolve("home"));
        for (String part : List.of(
                "dedup",
                "pom.xml",
                "streams",
                "sql",
                "flink-conf",
                "event",
                "servers",
                "outbox-relay",
                "job",
                "proof",
                "local",
                "http-ingest/pom.xml",
                "http-ingest/src",
                "http-ingest/target/lib",
                INGEST_JAR)) {
            Files.createDirectories(home.resolve(part).getParent());
            Files.createSymbolicLink(home.resolve(part), DedupCommand.HOME.resolve(part));
        }
        return home;
    }

    private record Proof(int status, String output, JsonNode report) {

        /** The words for what is wrong. */
        List<String> problems() {
            List<String> problems = new ArrayList<>();
            report.path("problems").forEach(problem -> problems.add(problem.asText()));
            return problems;
        }
    }

    private Proof prove(String... options) throws Exception {
        List<String> command = new ArrayList<>(List.of("prove"));
        command.addAll(List.of(options));
        DedupCommand.Result result = system.dedup.call(command.toArray(String[]::new));
        String last = result.output().strip().lines().reduce("", (before, line) -> line);
        assertThat(last).as(result.output()).endsWith("report.md");
        Path reports = Path.of(last).getParent();
        assertThat(reports.resolve("plot.svg")).exists();
        return new Proof(
                result.status(),
                result.output(),
                new ObjectMapper().readTree(reports.resolve("report.json").toFile()));
    }

    private Proof proveBriefly(String seed) throws Exception {
        return prove("--minutes", "0.1", "--faults", "none", "--wait", "30", "--seed", seed);
    }

    @Test
    @Order(1)
    void provesASystemThatIsKilledAndPaused() throws Exception {
        Proof proof = prove("--minutes", "1", "--seed", "7");

        assertThat(proof.status()).as(proof.output()).isZero();
        assertThat(proof.output()).contains("PROVED", "view-events: lost 0", "user-logins: lost 0");
        assertThat(proof.report().path("faults")).as(proof.output()).hasSizeGreaterThanOrEqualTo(2);
        Path log = system.dedup.layout().log("supervisor");
        for (JsonNode fault : proof.report().path("faults")) {
            for (JsonNode killed : fault.path("killed")) {
                assertThat(log).content(StandardCharsets.UTF_8).contains(killed.asText() + ": ended with status 137");
            }
        }
        assertThat(proof.report().at("/load/acknowledged").asLong()).isGreaterThan(10_000);
        assertThat(proof.report().at("/logins/inserted").asLong()).isPositive();
        assertThat(proof.report().at("/logins/sent again").asLong()).isPositive();
        for (JsonNode stream : proof.report().at("/audit/streams")) {
            assertThat(stream.path("duplicates").asLong()).as(stream.toString()).isPositive();
        }
    }

    @Test
    @Order(2)
    void findsARowThatIsNotThere() throws Exception {
        system.execute("CREATE TABLE aside AS SELECT * FROM view_events LIMIT 1");
        system.execute("DELETE FROM view_events WHERE fingerprint IN (SELECT fingerprint FROM aside)");

        Proof proof = proveBriefly("8");

        assertThat(proof.status()).as(proof.output()).isEqualTo(1);
        assertThat(proof.output()).contains("BROKEN", "view-events: lost 1, duplicates 0, escapes 0");
        assertThat(proof.problems()).anySatisfy(problem -> assertThat(problem).contains("missing in the table"));
        system.execute("INSERT INTO view_events SELECT * FROM aside");
    }

    /** Answers before Kafka has the event: those that are under way when the broker dies are lost. */
    @Test
    @Order(3)
    void findsAnIngestThatDoesNotWaitForKafka() throws Exception {
        Path jar = home.resolve(INGEST_JAR);
        Files.delete(jar);
        Files.copy(DedupCommand.HOME.resolve(INGEST_JAR), jar);
        compileInto(
                jar,
                "events/EventPublisher",
                Map.of(
                        "ACKS_CONFIG, \"all\"", "ACKS_CONFIG, \"0\"",
                        "ENABLE_IDEMPOTENCE_CONFIG, true", "ENABLE_IDEMPOTENCE_CONFIG, false"));
        system.kill("ingest");
        system.awaitAllUp();

        Proof proof = proveBriefly("9");

        assertThat(proof.status()).as(proof.output()).isEqualTo(1);
        assertThat(proof.problems())
                .as(proof.output())
                .anySatisfy(problem -> assertThat(problem).contains("lost, acknowledged but not there"));

        Files.copy(DedupCommand.HOME.resolve(INGEST_JAR), jar, StandardCopyOption.REPLACE_EXISTING);
        system.kill("ingest");
        system.awaitAllUp();
    }

    /** Replaces a class of a jar by one made from its source with other words in it. */
    private static void compileInto(Path jar, String name, Map<String, String> replacements) throws Exception {
        String path = "io/github/eventdedup/ingest/" + name;
        Path file = DedupCommand.HOME.resolve("http-ingest/src/main/java/" + path + ".java");
        String source = Files.readString(file, StandardCharsets.UTF_8);
        for (Map.Entry<String, String> replacement : replacements.entrySet()) {
            assertThat(source).contains(replacement.getKey());
            source = source.replace(replacement.getKey(), replacement.getValue());
        }
        Path work = Files.createTempDirectory(directory, "compile");
        Path changed = work.resolve(file.getFileName());
        Files.writeString(changed, source, StandardCharsets.UTF_8);
        assertThat(ToolProvider.getSystemJavaCompiler()
                        .run(
                                null,
                                null,
                                null,
                                "-proc:none",
                                "-nowarn",
                                "-d",
                                work.toString(),
                                "-cp",
                                jar.toString(),
                                changed.toString()))
                .isZero();
        try (FileSystem contents = FileSystems.newFileSystem(jar);
                var classes = Files.list(work.resolve(path).getParent())) {
            for (Path compiled : classes.toList()) {
                Files.copy(
                        compiled,
                        contents.getPath(path)
                                .resolveSibling(compiled.getFileName().toString()),
                        StandardCopyOption.REPLACE_EXISTING);
            }
        }
    }

    /** The job forgets what it saw, and Kafka no longer has it either: the same events again are new to it. */
    @Test
    @Order(4)
    void findsStateThatWasThrownAway() throws Exception {
        loadTheSameEvents();
        FlinkRest.Job job = system.job();
        Path savepoint =
                Path.of(URI.create(system.flink.stop(job, directory.resolve("savepoint"), Duration.ofMinutes(1))));
        assertThat(savepoint).exists();
        deleteRecords();
        system.flink.submit(
                home.resolve("job/target/deduplication-job.jar"),
                List.of("--stream", home.resolve("streams/view-events.yaml").toString(), "--fresh"),
                2,
                Optional.empty());
        RunningSystem.awaitFlink(() -> system.flink.runs(system.job()));

        loadTheSameEvents();
        Proof proof = proveBriefly("10");

        assertThat(proof.status()).as(proof.output()).isEqualTo(1);
        assertThat(proof.problems())
                .as(proof.output())
                .anySatisfy(problem -> assertThat(problem).matches("view-events: [1-9][0-9]* escapes"));
    }

    private void loadTheSameEvents() throws Exception {
        DedupCommand.Result result = system.dedup.call("load", "--seed", "5", "--events", "2000", "--duplicates", "0");
        assertThat(result.status()).as(result.output()).isZero();
    }

    private void deleteRecords() throws Exception {
        try (Admin admin =
                Admin.create(Map.of("bootstrap.servers", system.dedup.layout().kafkaBootstrapServers()))) {
            Map<TopicPartition, OffsetSpec> latest = new HashMap<>();
            admin.describeTopics(List.of(STREAM))
                    .allTopicNames()
                    .get(1, TimeUnit.MINUTES)
                    .get(STREAM)
                    .partitions()
                    .forEach(partition ->
                            latest.put(new TopicPartition(STREAM, partition.partition()), OffsetSpec.latest()));
            Map<TopicPartition, RecordsToDelete> all = new HashMap<>();
            admin.listOffsets(latest)
                    .all()
                    .get(1, TimeUnit.MINUTES)
                    .forEach((partition, end) -> all.put(partition, RecordsToDelete.beforeOffset(end.offset())));
            admin.deleteRecords(all).all().get(1, TimeUnit.MINUTES);
        }
    }
}
