package io.github.eventdedup.local;

import static io.github.eventdedup.local.testing.RunningSystem.RECOVERED_WITHIN;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.eventdedup.local.system.FlinkRest;
import io.github.eventdedup.local.testing.Clients;
import io.github.eventdedup.local.testing.DedupCommand;
import io.github.eventdedup.local.testing.RunningSystem;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
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
 * Does what docs/operations.md says, with the commands that stand there, on one system that clients post to all the time.
 * Each test goes on from the one before.
 */
@Tag("faults")
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
class OperationsIT {

    private static final Pattern SAVEPOINT = Pattern.compile("Savepoint completed. Path: (\\S+)");

    @TempDir
    private static Path directory;

    /** What has been typed so far. */
    private final Set<Command> typed = new HashSet<>();

    private RunningSystem system;
    private Path streamFile;
    private Path jar;
    private String savepoint;

    @BeforeAll
    void up() throws Exception {
        system = new RunningSystem(directory.resolve("data"), "--without-clickhouse");
        streamFile = DedupCommand.HOME.resolve("streams/view-events.yaml");
        jar = DedupCommand.HOME.resolve("job/target/deduplication-job.jar");
    }

    @AfterAll
    void down() throws Exception {
        system.close();
    }

    @Test
    @Order(1)
    void theWebUiShowsReadableOperatorsAndTheirCounters() throws Exception {
        assertThat(system.status().path("processes"))
                .as("ClickHouse is left out, and what ends there")
                .extracting(process -> process.path("name").asText())
                .containsExactly("kafka", "postgres", "zookeeper", "jobmanager", "taskmanager", "ingest");
        String list = succeed("See what runs", "flink list");
        assertThat(list)
                .contains(system.job().id() + " : view-events (RUNNING)")
                .doesNotContain("Exception", "ERROR");

        assertThat(operators())
                .anySatisfy(name -> assertThat(name).contains("read view-events", "identify", "dead-letters"))
                .anySatisfy(name -> assertThat(name).contains("deduplicate", "store", "duplicates"));
        await().atMost(RECOVERED_WITHIN)
                .untilAsserted(() -> assertThat(system.flink.counts(system.job()))
                        .containsKeys("received", "unique", "duplicate", "deadLettered", "refused", "escapes"));
    }

    @Test
    @Order(1)
    void aProofNeedsBothStreams() throws Exception {
        DedupCommand.Result result = system.dedup.call("prove", "--minutes", "0.1");

        assertThat(result.status()).isEqualTo(1);
        assertThat(result.output()).contains("was started --without-clickhouse");
    }

    @Test
    @Order(2)
    void stopsWithASavepointAndRestores() throws Exception {
        system.assertNothingIsLostWhile("stop", () -> {
            assertThat(succeed("Stop with a savepoint", "flink savepoint")).contains("Savepoint completed");
            stop();
            run("Restore", "-s SAVEPOINT");
        });
        assertThat(system.flink.restoredFrom(system.job())).contains(savepoint);
    }

    @Test
    @Order(3)
    void refusesToStartWithoutTheStateThatIsThere() throws Exception {
        system.assertNothingIsLostWhile("resume", () -> {
            assertThat(fail("Start without state", "--fresh").lines().limit(2))
                    .last()
                    .asString()
                    .contains("has a job already, " + system.job().id(), "flink stop");
            stop();

            String refusal = fail("Start without state", "view-events.yaml");
            assertThat(refusal.lines().toList()).element(0).isEqualTo("The job was not submitted:");
            assertThat(refusal.lines().toList())
                    .element(1)
                    .asString()
                    .contains("has state", "--resume", "-s", "--fresh");
            assertThat(refusal).contains(savepoint);
            assertThat(system.job().isOver()).isTrue();

            run("Restore", "--resume");
        });
        assertThat(system.flink.restoredFrom(system.job())).contains(savepoint);
    }

    /** With every record still in Kafka it decides everything again, and nothing changes. */
    @Test
    @Order(4)
    void startsFreshWhenToldTo() throws Exception {
        system.assertNothingIsLostWhile("fresh", () -> {
            stop();
            run("Start without state", "--fresh");
        });
        assertThat(system.flink.restoredFrom(system.job())).isEmpty();
    }

    @Test
    @Order(5)
    void rescalesUpAndDown() throws Exception {
        system.assertNothingIsLostWhile("rescale", () -> {
            stop();
            run("Rescale", "-p 4");
            assertThat(system.parallelism()).isEqualTo(4);

            stop();
            String toOne = command("Rescale", "-p 4").replace("-p 4", "-p 1");
            system.succeed(words(toOne));
            awaitRunning();
            assertThat(system.parallelism()).isEqualTo(1);
        });
    }

    @Test
    @Order(6)
    void rollsOutANewJarAndBack() throws Exception {
        Path released = jar;
        system.assertNothingIsLostWhile("jar", () -> {
            stop();
            String before = savepoint;
            jar = directory.resolve("deduplication-job-2.jar");
            Files.copy(released, jar);
            // Other contents, so that Flink distributes and loads it as what it is, another version.
            try (FileSystem contents = FileSystems.newFileSystem(jar)) {
                Files.writeString(contents.getPath("META-INF", "version"), "2");
            }
            run("Roll out a new jar, and roll back", "-s SAVEPOINT");

            // Back to before the new one: what it did is done again.
            stop();
            savepoint = before;
            jar = released;
            assertThat(run("Roll out a new jar, and roll back", "-s SAVEPOINT"))
                    .contains("Warning: the state at", "A newer one", "rows that are in the table stay as they are");
            assertThat(system.flink.restoredFrom(system.job())).contains(before);
        });
    }

    @Test
    @Order(7)
    void changesTheWindowInBothDirections() throws Exception {
        String definition = Files.readString(streamFile);
        streamFile = directory.resolve("view-events.yaml");
        system.assertNothingIsLostWhile("window", () -> {
            for (String window : List.of("14d", "7d")) {
                stop();
                String changed = definition.replace("window: 7d", "window: " + window);
                assertThat(changed).contains("window: " + window);
                if (window.equals("14d")) {
                    Files.writeString(streamFile, changed);
                    assertThat(fail("Change the window", "-s SAVEPOINT"))
                            .contains("retention.ms=691200000", "allow-short-retention: true");
                    changed += "allow-short-retention: true\n";
                }
                Files.writeString(streamFile, changed);
                run("Change the window", "-s SAVEPOINT");
            }
        });
    }

    @Test
    @Order(8)
    void refusesStateOfAnotherFingerprint() throws Exception {
        String definition = Files.readString(streamFile);
        system.assertNothingIsLostWhile("fingerprint", () -> {
            stop();
            Files.writeString(streamFile, definition.replace(", sid]", "]"));
            for (String how : List.of("-s SAVEPOINT", "--resume")) {
                assertThat(fail("Restore", how).lines().limit(2))
                        .last()
                        .asString()
                        .contains(savepoint, "remembers fingerprints over", "sid", "--fresh");
            }
            Files.writeString(streamFile, definition);
            run("Restore", "-s SAVEPOINT");
        });
    }

    /** Backpressure, and no checkpoint that fails. */
    @Test
    @Order(9)
    void aSlowDatabaseShowsAsBackpressure() throws Exception {
        system.execute("CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
                + " 'BEGIN PERFORM pg_sleep(0.02); RETURN NEW; END'");
        system.execute("CREATE TRIGGER slow BEFORE INSERT ON view_events FOR EACH ROW EXECUTE FUNCTION slow()");
        // More events than the database takes.
        system.assertNothingIsLostWhile("slow", Duration.ofMillis(20), () -> {
            RunningSystem.awaitFlink(this::isBackpressured);
            long completed = system.checkpoints("completed");
            RunningSystem.awaitFlink(() -> system.checkpoints("completed") >= completed + 2);
            system.execute("DROP TRIGGER slow ON view_events");
        });
        assertThat(system.checkpoints("failed")).isZero();
    }

    @Test
    @Order(10)
    void survivesTheDeathOfJobManagerAndTaskManager() throws Exception {
        FlinkRest.Job before = system.job();
        system.assertNothingIsLostWhile("killed", () -> {
            system.kill("jobmanager", "taskmanager");
            system.awaitAllUp();
        });
        assertThat(system.job().id()).as("it is the same job, not another").isEqualTo(before.id());
        assertThat(system.flink.restoredFrom(system.job()).orElseThrow()).contains(before.id(), "/chk-");
    }

    /** The last one with events: what was rejected counts as unique without a row. */
    @Test
    @Order(11)
    void replaysWhatATableHasRejected() throws Exception {
        system.execute("ALTER TABLE view_events ADD CONSTRAINT mistake CHECK (sid <> 'mistaken') NOT VALID");
        String event = Clients.withSession(Clients.sample().get(0), "mistaken");
        String fingerprint = system.clients.postUntilAccepted(event);
        await().atMost(RECOVERED_WITHIN)
                .until(() -> succeed("Dead letters", "list").contains("rejected-by-postgres"));
        assertThat(succeed("Dead letters", "show")).contains("newest 1 of 1 dead letter", fingerprint, "mistake");
        system.execute("ALTER TABLE view_events DROP CONSTRAINT mistake");

        assertThat(succeed("Dead letters", "--dry-run")).contains("would be sent again: 1");
        String replay = command("Dead letters", "replay --stream view-events --reason-code rejected-by-postgres");
        assertThat(system.succeed(words(replay))).contains("sent again: 1, refused: 0");
        await().atMost(RECOVERED_WITHIN)
                .until(() -> system.query("SELECT encode(fingerprint, 'hex') FROM view_events WHERE sid = 'mistaken'")
                        .equals(List.of(fingerprint)));
        assertThat(system.succeed(words(replay))).contains("sent again: 0, refused: 0");
        assertThat(succeed("Dead letters", "discard")).contains("0 dead letters discarded");
        assertThat(system.dedup
                        .call("dead-letters", "list", "--stream", "unknown")
                        .output())
                .contains("--stream unknown: no file in", "view-events")
                .doesNotContain("Exception");
    }

    @Test
    @Order(12)
    void everyCommandOfThePageWasTyped() throws Exception {
        assertThat(typed).hasSameElementsAs(commands());
    }

    private List<String> operators() throws Exception {
        return system.vertices().map(vertex -> vertex.path("name").asText()).toList();
    }

    /** What colours an operator in the web UI. */
    private boolean isBackpressured() throws Exception {
        for (JsonNode vertex : system.vertices().toList()) {
            String path = "/jobs/" + system.job().id() + "/vertices/"
                    + vertex.path("id").asText() + "/backpressure";
            if (system.flink.get(path).path("backpressureLevel").asText().equals("high")) {
                return true;
            }
        }
        return false;
    }

    private void stop() throws Exception {
        String output = succeed("Stop with a savepoint", "flink stop");
        Matcher printed = SAVEPOINT.matcher(output);
        assertThat(printed.find()).as(output).isTrue();
        savepoint = printed.group(1);
    }

    private String run(String section, String option) throws Exception {
        String output = succeed(section, option);
        assertThat(output).contains("Job has been submitted with JobID");
        awaitRunning();
        return output;
    }

    private void awaitRunning() {
        RunningSystem.awaitFlink(() -> system.flink.runs(system.job()));
    }

    private String succeed(String section, String part) throws Exception {
        return system.succeed(words(command(section, part)));
    }

    private String fail(String section, String end) throws Exception {
        DedupCommand.Result result = system.dedup.call(words(command(section, end)));
        assertThat(result.status()).as(result.output()).isEqualTo(1);
        return result.output();
    }

    /** The one command of a section with this in it, or rather at its end where several have. */
    private String command(String section, String part) throws Exception {
        List<Command> found = commands().stream()
                .filter(command -> command.section().equals(section))
                .filter(command -> command.line().contains(part))
                .toList();
        if (found.size() > 1) {
            found = found.stream()
                    .filter(command -> command.line().endsWith(part))
                    .toList();
        }
        assertThat(found).as(part + " in " + section).hasSize(1);
        typed.add(found.get(0));
        return found.get(0).line();
    }

    /** A line to type, and the heading it stands under. */
    private record Command(String section, String line) {}

    private static List<Command> commands() throws Exception {
        List<Command> commands = new ArrayList<>();
        String section = "";
        for (String line : Files.readAllLines(DedupCommand.HOME.resolve("docs/operations.md"))) {
            if (line.startsWith("## ")) {
                section = line.substring("## ".length());
            } else if (line.startsWith("    ")) {
                commands.add(new Command(section, line.strip()));
            }
        }
        return commands;
    }

    /** As a shell would hand them over, with what stands for something replaced by it. */
    private String[] words(String command) throws Exception {
        String typed = command.replaceFirst("^\\./dedup ", "")
                .replace("\"$PWD/.dedup", system.dedup.data().toString())
                .replace("\"", "")
                .replace("streams/view-events.yaml", streamFile.toString())
                .replace("job/target/deduplication-job.jar", jar.toString());
        if (typed.contains("JOB_ID")) {
            // What `flink list` prints.
            typed = typed.replace("JOB_ID", system.job().id());
        }
        if (typed.contains("SAVEPOINT")) {
            typed = typed.replace("SAVEPOINT", savepoint);
        }
        return typed.split(" ");
    }
}
