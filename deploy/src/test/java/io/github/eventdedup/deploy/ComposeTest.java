package io.github.eventdedup.deploy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.Yaml;
import org.yaml.snakeyaml.constructor.SafeConstructor;

/** What a reader of docker-compose.yml, the Dockerfile and .env.example has to be able to rely on; no engine needed. */
class ComposeTest {

    private static final Path ROOT = Path.of("").toAbsolutePath().getParent();
    private static final Path COMPOSE_FILE = ROOT.resolve("docker-compose.yml");
    private static final Set<String> ONE_SHOT = Set.of("setup", "submit");

    /** Without a port, or anything else that could be asked from outside the process. */
    private static final Set<String> SILENT = Set.of("relay");

    /** Submits a job, runs a part of one, or creates what jobs need: each takes the environment of every stream. */
    private static final List<String> JOB = List.of("setup", "taskmanager", "submit");

    /** {@code ${NAME}}, {@code ${NAME:-default}} or {@code ${NAME:?message}}; {@code $$} is an escaped dollar sign. */
    private static final Pattern VARIABLE = Pattern.compile("(?<!\\$)\\$\\{(\\w+)(?::([-?])([^}]*))?}");

    private final String text = read("docker-compose.yml");
    private final JsonNode compose = yaml("docker-compose.yml");
    private final Map<String, JsonNode> services = fields(compose.get("services"));
    private final List<List<String>> dockerfile = dockerfile();

    @Test
    void portsArePublishedOnLoopbackOnly() {
        Map<String, String> published = new TreeMap<>();
        services.forEach((name, service) -> service.path("ports")
                .forEach(port -> published.merge(name, withDefaults(port), (a, b) -> a + " " + b)));

        assertThat(published)
                .containsExactlyInAnyOrderEntriesOf(Map.of(
                        "clickhouse", "127.0.0.1:8123:8123",
                        "ingest", "127.0.0.1:8001:8001",
                        "jobmanager", "127.0.0.1:8081:8081",
                        "kafka", "127.0.0.1:9092:9092",
                        "postgres", "127.0.0.1:5432:5432"));
        assertThat(services.values()).noneMatch(service -> service.has("network_mode"));
    }

    @Test
    void everyImageHasAVersion() {
        List<String> images = new ArrayList<>(instructions("FROM").stream()
                .map(from -> from.stream()
                        .filter(word -> !word.startsWith("--"))
                        .findFirst()
                        .orElseThrow())
                .toList());
        Map<String, Integer> builds = new TreeMap<>();
        services.values().forEach(service -> {
            String image = service.path("image").asText();
            if (image.endsWith(":local")) {
                assertThat(service.path("pull_policy").asText()).as(image).isEqualTo("never");
                builds.merge(image, service.has("build") ? 1 : 0, Integer::sum);
            } else {
                images.add(image);
            }
        });

        assertThat(images).hasSize(8).allMatch(image -> image.matches("[\\w/-]+:\\d+\\.\\d+[\\w.-]*"));
        assertThat(builds)
                .isEqualTo(Map.of(
                        "event-deduplicator-flink:local", 1,
                        "event-deduplicator-ingest:local", 1,
                        "event-deduplicator-relay:local", 1));
        // The lines of March and August are those with long-term support; all four numbers, since tags of fewer move.
        assertThat(services.get("clickhouse").path("image").asText())
                .matches("clickhouse/clickhouse-server:\\d+\\.[38]\\.\\d+\\.\\d+");
    }

    @Test
    void imagesAreOfTheVersionsThatAreTestedWithoutContainers() {
        assertThat(instructions("FROM").stream().map(words -> words.get(0)))
                .contains("flink:" + System.getProperty("flink.version") + "-java17");
        assertThat(minorVersion(services.get("kafka").path("image").asText().split(":", 2)[1]))
                .isEqualTo(minorVersion(System.getProperty("kafka.version")));
        assertThat(minorVersion(services.get("postgres").path("image").asText().split(":", 2)[1]))
                .isEqualTo(minorVersion(System.getProperty("postgres.version")));
    }

    @Test
    void longRunningServicesComeBackAndSayHowTheyAre() {
        services.forEach((name, service) -> {
            if (ONE_SHOT.contains(name)) {
                assertThat(service.path("restart").asText()).as(name).isEqualTo("no");
            } else {
                assertThat(service.path("restart").asText()).as(name).isEqualTo("unless-stopped");
                if (!SILENT.contains(name)) {
                    assertThat(service.at("/healthcheck/test")).as(name).isNotEmpty();
                    assertThat(fields(service.get("healthcheck")))
                            .as(name)
                            .containsKeys("interval", "timeout", "retries", "start_period");
                }
            }
        });
    }

    @Test
    void startsInOrderAndWaitsForWhatRunsOnce() {
        Map<String, Set<String>> waitsFor = new TreeMap<>();
        services.forEach((name, service) -> {
            Set<String> others = new TreeSet<>();
            fields(service.path("depends_on")).forEach((other, how) -> {
                assertThat(services).containsKey(other);
                assertThat(how.path("condition").asText())
                        .as(name + " waits for " + other)
                        .isEqualTo(ONE_SHOT.contains(other) ? "service_completed_successfully" : "service_healthy");
                others.add(other);
            });
            waitsFor.put(name, others);
        });

        assertThat(waitsFor)
                .isEqualTo(Map.of(
                        "kafka", Set.of(),
                        "postgres", Set.of(),
                        "clickhouse", Set.of(),
                        "zookeeper", Set.of(),
                        "setup", Set.of("kafka", "postgres", "clickhouse"),
                        "jobmanager", Set.of("zookeeper"),
                        "taskmanager", Set.of("jobmanager", "setup"),
                        "submit", Set.of("setup", "taskmanager"),
                        "ingest", Set.of("kafka", "submit"),
                        "relay", Set.of("kafka", "postgres", "setup")));
    }

    @Test
    void setupReadsEveryDirectoryOfTheImageThatHasSomethingForIt() throws IOException {
        List<String> command = strings(services.get("setup").get("command"));
        Map<String, String> directories = new TreeMap<>();
        for (int i = 0; i < command.size(); i += 2) {
            directories.put(command.get(i), command.get(i + 1));
        }
        Map<String, String> expected = new TreeMap<>(Map.of("--streams", "/opt/dedup/streams"));
        try (Stream<Path> databases = Files.list(ROOT.resolve("sql"))) {
            databases
                    .map(directory -> directory.getFileName().toString())
                    .forEach(database -> expected.put("--" + database, "/opt/dedup/sql/" + database));
        }
        assertThat(directories).isEqualTo(expected);
        String setup = read("job/src/main/java/io/github/eventdedup/job/Setup.java");
        assertThat(directories.keySet()).allMatch(option -> setup.contains("\"" + option + "\""));
        assertThat(instructions("COPY"))
                .contains(List.of("streams", "/opt/dedup/streams"), List.of("sql", "/opt/dedup/sql"));
    }

    @Test
    void everyOutboxHasItsRelay() throws IOException {
        Set<List<String>> relays = services.values().stream()
                .filter(service -> service.path("image").asText().equals("event-deduplicator-relay:local"))
                .map(service -> strings(service.path("command")))
                .collect(Collectors.toSet());
        Set<List<String>> expected;
        try (Stream<Path> streams = Files.list(ROOT.resolve("streams"))) {
            expected = streams.map(file -> "streams/" + file.getFileName())
                    .filter(file -> yaml(file).has("outbox"))
                    .map(file -> List.of("--stream", "/opt/dedup/" + file))
                    .collect(Collectors.toSet());
        }
        assertThat(relays).isNotEmpty().isEqualTo(expected);
    }

    @Test
    void clickHouseIsWhatTheJobIsToldItIs() {
        for (String client : JOB) {
            assertThat(environment(client, "DEDUP_CLICKHOUSE_URL")).as(client).isEqualTo("http://clickhouse:8123");
            assertThat(environment(client, "DEDUP_CLICKHOUSE_DATABASE"))
                    .as(client)
                    .isEqualTo(environment("clickhouse", "CLICKHOUSE_DB"));
            assertThat(environment(client, "DEDUP_CLICKHOUSE_USER"))
                    .as(client)
                    .isEqualTo(environment("clickhouse", "CLICKHOUSE_USER"))
                    .as("the image's own has no password unless it is another")
                    .isNotEqualTo("default");
            assertThat(environment(client, "DEDUP_CLICKHOUSE_PASSWORD_FILE"))
                    .as(client)
                    .isEqualTo(environment("clickhouse", "CLICKHOUSE_PASSWORD_FILE"));
        }
        for (String client : List.of("setup", "taskmanager", "submit", "relay", "ingest")) {
            assertThat(environment(client, "DEDUP_POSTGRES_URL"))
                    .as(client)
                    .isEqualTo("jdbc:postgresql://postgres:5432/" + environment("postgres", "POSTGRES_DB"));
            assertThat(environment(client, "DEDUP_POSTGRES_USER"))
                    .as(client)
                    .isEqualTo(environment("postgres", "POSTGRES_USER"));
        }
        // On loopback answers the server that creates the database, which then goes away.
        assertThat(services.get("clickhouse").at("/healthcheck/test").toString())
                .contains("http://clickhouse:8123/ping")
                .doesNotContain("127.0.0.1", "localhost");
    }

    @Test
    void clickHouseTakesNoMoreThanItIsGivenAndForgetsWhatNobodyAsked() throws Exception {
        JsonNode mounted = services.get("clickhouse").at("/configs/0");
        assertThat(services.get("clickhouse").path("configs")).hasSize(1);
        assertThat(mounted.path("target").asText()).matches("/etc/clickhouse-server/config\\.d/[\\w-]+\\.xml");
        String file = compose.at("/configs/" + mounted.path("source").asText() + "/file")
                .asText();
        assertThat(file).startsWith("./");
        Element configuration = DocumentBuilderFactory.newInstance()
                .newDocumentBuilder()
                .parse(ROOT.resolve(file).toFile())
                .getDocumentElement();
        assertThat(configuration.getTagName()).isEqualTo("clickhouse");

        assertThat(textOf(configuration, "timezone")).isEqualTo("UTC");
        long memory = Long.parseLong(textOf(configuration, "max_server_memory_usage"));
        assertThat(memory).isEqualTo(2L << 30);
        assertThat(Long.parseLong(textOf(configuration, "mark_cache_size"))).isLessThan(memory / 2);
        assertThat(textOf(configuration, "console")).isEqualTo("1");
        for (String table : List.of("query_log", "part_log")) {
            assertThat(textOf(only(configuration, table), "ttl")).as(table).endsWith(" DAY DELETE");
        }
        for (String removed :
                List.of("log", "errorlog", "asynchronous_metric_log", "metric_log", "text_log", "trace_log")) {
            assertThat(only(configuration, removed).getAttribute("remove"))
                    .as(removed)
                    .isEqualTo("1");
        }
        assertThat(services.get("clickhouse").at("/ulimits/nofile/soft").asInt())
                .isGreaterThanOrEqualTo(65_536);
    }

    private static String textOf(Element parent, String name) {
        return only(parent, name).getTextContent();
    }

    private static Element only(Element parent, String name) {
        NodeList found = parent.getElementsByTagName(name);
        assertThat(found.getLength()).as(name).isEqualTo(1);
        return (Element) found.item(0);
    }

    @Test
    void passwordsAreInSecretFilesOnly() {
        Map<String, String> variableOf = new TreeMap<>();
        fields(compose.get("secrets"))
                .forEach((secret, from) ->
                        variableOf.put(secret, from.path("environment").asText()));
        assertThat(variableOf)
                .isEqualTo(
                        Map.of("postgres-password", "POSTGRES_PASSWORD", "clickhouse-password", "CLICKHOUSE_PASSWORD"));
        assertThat(variables())
                .as("compose stops where one is not set")
                .allSatisfy((variable, how) ->
                        assertThat(how.startsWith("?")).as(variable).isEqualTo(variableOf.containsValue(variable)));
        Map<String, Set<String>> given = new TreeMap<>();
        services.forEach((name, service) -> {
            assertThat(service.toString()).as(name).doesNotContainPattern("\\$\\{\\w*PASSWORD");
            Set<String> read = new TreeSet<>();
            fields(service.path("environment")).forEach((variable, value) -> {
                assertThat(value.asText()).as(name + " " + variable).doesNotContainIgnoringCase("password=");
                if (variable.matches("(?i).*(password|secret|token).*")) {
                    assertThat(variable).as(name).endsWith("_FILE");
                    assertThat(value.asText()).as(name + " " + variable).startsWith("/run/secrets/");
                    read.add(value.asText().replaceFirst("^/run/secrets/", ""));
                }
            });
            assertThat(strings(service.path("secrets")))
                    .as(name + " is given what it reads, and nothing else")
                    .containsExactlyInAnyOrderElementsOf(read)
                    .isSubsetOf(variableOf.keySet());
            if (!read.isEmpty()) {
                given.put(name, read);
            }
        });
        Set<String> both = variableOf.keySet();
        assertThat(given)
                .isEqualTo(Map.of(
                        "postgres",
                        Set.of("postgres-password"),
                        "clickhouse",
                        Set.of("clickhouse-password"),
                        "relay",
                        both,
                        "ingest",
                        Set.of("postgres-password"),
                        "setup",
                        both,
                        "taskmanager",
                        both,
                        "submit",
                        both));
    }

    @Test
    void everyVariableIsInTheExampleWithItsDefaultAndInTheDocumentation() {
        Map<String, String> used = variables();
        Map<String, String> example = new TreeMap<>();
        read(".env.example")
                .lines()
                .filter(line -> !line.isBlank() && !line.startsWith("#"))
                .forEach(line -> example.put(line.split("=", 2)[0], line.split("=", 2)[1]));

        assertThat(compose.toString())
                .as("every variable in braces, with a default or a message")
                .doesNotContainPattern("(?<!\\$)\\$(\\w|\\{\\w+})");
        assertThat(example.keySet()).isEqualTo(used.keySet());
        example.forEach((name, value) -> assertThat(used.get(name))
                .as(name)
                .startsWith(value.isEmpty() ? "?" : "-")
                .endsWith(value));
        String documentation = read("docs/configuration.md");
        assertThat(example.keySet()).allMatch(name -> documentation.contains("| `" + name + "` |"));
        assertThat(read(".gitignore").lines()).contains(".env");
        assertThat(read(".dockerignore").lines()).contains(".git", ".env*", ".dedup*", "**/target");
    }

    @Test
    void everythingThatIsWrittenIsInANamedVolume() {
        Map<String, Set<String>> volumes = new TreeMap<>();
        services.forEach((name, service) -> service.path("volumes").forEach(volume -> {
            String[] parts = volume.asText().split(":", -1);
            assertThat(parts).as(name + " " + volume).hasSize(2);
            assertThat(compose.get("volumes").has(parts[0]) || Files.exists(ROOT.resolve(parts[0])))
                    .as(name + ": " + parts[0] + " is a declared volume, or a path that is there")
                    .isTrue();
            volumes.computeIfAbsent(parts[0], key -> new TreeSet<>()).add(name + parts[1]);
        }));

        String state = "/opt/flink/state";
        assertThat(volumes)
                .isEqualTo(Map.of(
                        "kafka-data", Set.of("kafka" + environment("kafka", "KAFKA_LOG_DIRS")),
                        "postgres-data", Set.of("postgres/var/lib/postgresql"),
                        "clickhouse-data", Set.of("clickhouse/var/lib/clickhouse"),
                        "zookeeper-data", Set.of("zookeeper/data"),
                        "zookeeper-log", Set.of("zookeeper/datalog"),
                        "flink-state", Set.of("jobmanager" + state, "taskmanager" + state, "submit" + state)));
        assertThat(fields(compose.get("volumes")).keySet()).isEqualTo(volumes.keySet());
        assertThat(flinkProperties().entrySet().stream()
                        .filter(property -> property.getKey().matches(".*(\\.dir|-dir|Dir)"))
                        .map(Map.Entry::getValue))
                .hasSize(3)
                .doesNotHaveDuplicates()
                .allMatch(directory -> directory.startsWith("file://" + state + "/"));
        assertThat(instructions("RUN")).as("owned by the image's user").contains(List.of("mkdir", "-p", state));
    }

    @Test
    void dockerfileCopiesWhatIsThereAndEndsWithoutRoot() {
        for (List<String> copy : instructions("COPY")) {
            List<String> paths =
                    copy.stream().filter(word -> !word.startsWith("--")).toList();
            if (copy.stream().noneMatch(word -> word.startsWith("--from="))) {
                assertThat(paths.subList(0, paths.size() - 1))
                        .allSatisfy(path -> assertThat(ROOT.resolve(path)).exists());
            }
        }
        Map<String, String> users = new LinkedHashMap<>();
        String stage = "";
        for (List<String> instruction : dockerfile) {
            if (instruction.get(0).equals("FROM")) {
                stage = instruction.get(instruction.size() - 1);
            } else if (instruction.get(0).equals("USER")) {
                users.put(stage, instruction.get(1));
            }
        }
        assertThat(users).isEqualTo(Map.of("flink", "flink", "ingest", "10001:10001", "relay", "10001:10001"));
        assertThat(services.values().stream()
                        .map(service -> service.at("/build/target").asText())
                        .filter(target -> !target.isEmpty()))
                .containsExactlyInAnyOrder("flink", "ingest", "relay");
        for (String service : List.of("postgres", "clickhouse", "zookeeper")) {
            assertThat(services.get(service).path("user").asText())
                    .as("the image's own, without having been root before")
                    .isEqualTo(service);
        }
        assertThat(services.values())
                .allSatisfy(service ->
                        assertThat(service.path("cap_drop").toString()).isEqualTo("[\"ALL\"]"));
    }

    @Test
    void whatIsCopiedFromTheBuildIsBuiltThere() {
        String modules = instructions("RUN").stream()
                .filter(words -> words.contains("mvn"))
                .map(words -> words.get(words.indexOf("-pl") + 1))
                .collect(Collectors.joining());
        Set<String> copied = instructions("COPY").stream()
                .filter(words -> words.contains("--from=build"))
                .map(words -> words.get(1).replaceFirst("^/src/([\\w-]+)/target/.*", "$1"))
                .collect(Collectors.toSet());
        assertThat(copied).containsExactlyInAnyOrder(modules.split(",", -1));
        for (String module : List.of("http-ingest", "outbox-relay")) {
            String jar = module + ".jar";
            assertThat(instructions("COPY"))
                    .contains(
                            List.of("--from=build", "/src/" + module + "/target/lib", "lib"),
                            List.of("--from=build", "/src/" + module + "/target/" + jar, jar));
            assertThat(instructions("ENTRYPOINT").stream().map(words -> String.join(" ", words)))
                    .contains("[\"java\", \"-jar\", \"" + jar + "\"]");
        }
    }

    @Test
    void flinkPropertiesSayOnlyWhatIsDifferentInContainers() {
        Map<String, String> configuration = new TreeMap<>();
        flatten("", yaml("flink-conf/config.yaml"), configuration);
        Map<String, String> properties = flinkProperties();

        assertThat(properties).doesNotContainKeys("blob.server.port", "query.server.port");
        assertThat(properties.entrySet()).doesNotContainAnyElementsOf(configuration.entrySet());
        assertThat(configuration.entrySet().stream()
                        .filter(setting -> setting.getValue().equals("127.0.0.1"))
                        .map(Map.Entry::getKey))
                .as("loopback reaches no other container")
                .isNotEmpty()
                .allMatch(properties::containsKey);
        for (String service : List.of("jobmanager", "taskmanager", "submit")) {
            assertThat(environment(service, "FLINK_PROPERTIES"))
                    .as(service)
                    .isEqualTo(compose.get("x-flink-properties").asText());
        }
        assertThat(properties)
                .containsEntry(
                        "jobmanager.rpc.address",
                        services.get("jobmanager").path("hostname").asText())
                .containsEntry("taskmanager.host", "$$HOSTNAME");
    }

    @Test
    void everyStreamHasItsSlots() throws IOException {
        JsonNode configuration = yaml("flink-conf/config.yaml");
        int slots = Integer.parseInt(flinkProperties()
                .getOrDefault(
                        "taskmanager.numberOfTaskSlots",
                        configuration.at("/taskmanager/numberOfTaskSlots").asText()));
        int taskManagers =
                Integer.parseInt(withDefaults(services.get("taskmanager").at("/deploy/replicas")));
        try (Stream<Path> streams = Files.list(ROOT.resolve("streams"))) {
            assertThat((long) slots * taskManagers)
                    .isGreaterThanOrEqualTo(streams.count()
                            * configuration.at("/parallelism/default").asLong());
        }
    }

    @Test
    void kafkaIsReachedUnderTheAddressesThatItAdvertises() {
        Map<String, String> advertised = Arrays.stream(
                        environment("kafka", "KAFKA_ADVERTISED_LISTENERS").split(",", -1))
                .collect(Collectors.toMap(
                        listener -> listener.split("://", 2)[0], listener -> listener.split("://", 2)[1]));

        assertThat(advertised).containsEntry("EXTERNAL", "127.0.0.1:9092");
        for (String client : List.of("setup", "taskmanager", "submit", "ingest", "relay")) {
            assertThat(environment(client, "DEDUP_KAFKA_BOOTSTRAP_SERVERS"))
                    .as(client)
                    .isEqualTo(advertised.get("INTERNAL"));
        }
        assertThat(environment("kafka", "KAFKA_AUTO_CREATE_TOPICS_ENABLE")).isEqualTo("false");
        assertThat(text).doesNotContainIgnoringCase("fsync=off").doesNotContainIgnoringCase("fsync: off");
    }

    @Test
    void submitsWhatDoesNotRunAndNothingElse(@TempDir Path directory) throws Exception {
        Files.createDirectory(directory.resolve("streams"));
        Files.writeString(directory.resolve("streams/a.yaml"), "# first\nstream: view-events\nwindow: 7d\n");
        Files.writeString(directory.resolve("streams/b.yaml"), "stream: \"view\" # quoted\n");
        String job = "01.01.2026 00:00:00 : bc91ae48d365234a91778f681335d81b : ";
        String run = "run -d /opt/flink/usrlib/deduplication-job.jar --stream %s/streams/%s.yaml --resume";

        assertThat(submit(directory, "------ Running/Restarting Jobs ------\n" + job + "view-events (RUNNING)\n"))
                .containsExactly("list -r", run.formatted(directory, "b"));
        assertThat(submit(directory, job + "view (RESTARTING)\n" + job + "my-view-events (RUNNING)\n"))
                .containsExactly("list -r", run.formatted(directory, "a"));
        assertThat(submit(directory, "No running jobs.\n"))
                .containsExactly("list -r", run.formatted(directory, "a"), run.formatted(directory, "b"));
        assertThat(submit(directory, null)).as("where nobody says what runs").containsExactly("list -r", "exit 1");
    }

    /** What the script calls {@code flink} with, where that lists the given jobs; null for one that fails. */
    private static List<String> submit(Path directory, String jobs) throws Exception {
        Path script = directory.resolve("submit");
        Path calls = directory.resolve("calls");
        Path flink = directory.resolve("flink");
        Files.deleteIfExists(calls);
        Files.deleteIfExists(script);
        Files.copy(ROOT.resolve("deploy/submit"), script);
        Files.writeString(directory.resolve("jobs"), jobs == null ? "" : jobs);
        Files.writeString(flink, """
                #!/usr/bin/env bash
                echo "$*" >> '%1$s/calls'
                [ "$1" != list ] || { cat '%1$s/jobs'; %2$s; }
                """.formatted(directory, jobs == null ? "exit 1" : "true"));
        assertThat(flink.toFile().setExecutable(true)).isTrue();
        ProcessBuilder builder = new ProcessBuilder("bash", script.toString());
        builder.environment().merge("PATH", directory.toString(), (path, first) -> first + ":" + path);
        Result result = run(builder);
        List<String> lines = new ArrayList<>(Files.readAllLines(calls));
        if (result.status() != 0) {
            lines.add("exit " + result.status());
        }
        return lines;
    }

    @Test
    void composeItselfAcceptsTheFileAndAsksForThePasswords() throws Exception {
        try {
            Result version = run(new ProcessBuilder("docker", "compose", "version"));
            if (version.status() != 0) {
                throw new IOException(version.output().lines().findFirst().orElse("no output"));
            }
        } catch (IOException e) {
            String message = "not checked, `docker compose` is not on this machine: " + e.getMessage();
            System.err.println("ComposeTest: " + message);
            abort(message);
        }
        ProcessBuilder builder = new ProcessBuilder(
                "docker",
                "compose",
                "--env-file",
                ROOT.resolve(".env.example").toString(),
                "-f",
                COMPOSE_FILE.toString(),
                "config",
                "-q");
        List<String> passwords = List.of("POSTGRES_PASSWORD", "CLICKHOUSE_PASSWORD");
        passwords.forEach(password -> builder.environment().put(password, "of-the-test"));
        Result accepted = run(builder);
        assertThat(accepted.status()).as(accepted.output()).isZero();
        for (String password : passwords) {
            builder.environment().remove(password);
            Result refused = run(builder);
            assertThat(refused.status()).as(password).isNotZero();
            assertThat(refused.output()).contains(password, ".env.example");
            builder.environment().put(password, "of-the-test");
        }
    }

    private record Result(int status, String output) {}

    private static Result run(ProcessBuilder builder) throws IOException, InterruptedException {
        Process process = builder.redirectErrorStream(true).start();
        process.getOutputStream().close();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        return new Result(process.waitFor(), output.strip());
    }

    /** By name: {@code ?message} or {@code -default}. */
    private Map<String, String> variables() {
        Map<String, String> variables = new TreeMap<>();
        VARIABLE.matcher(text).results().forEach(match -> {
            String how = match.group(2) == null ? "" : match.group(2) + match.group(3);
            assertThat(variables.getOrDefault(match.group(1), how))
                    .as(match.group(1) + " has one default")
                    .isEqualTo(how);
            variables.put(match.group(1), how);
        });
        assertThat(variables).isNotEmpty();
        return variables;
    }

    private static String withDefaults(JsonNode value) {
        return VARIABLE.matcher(value.asText()).replaceAll((MatchResult match) -> match.group(3));
    }

    private String environment(String service, String variable) {
        JsonNode value = services.get(service).path("environment").path(variable);
        assertThat(value.isTextual()).as(service + " sets " + variable).isTrue();
        return withDefaults(value);
    }

    /** Read as strictly as the image's entrypoint does: nothing but settings, one a line, without blanks in them. */
    private Map<String, String> flinkProperties() {
        Map<String, String> properties = new TreeMap<>();
        compose.get("x-flink-properties").asText().lines().forEach(line -> {
            assertThat(line).matches("[a-zA-Z.-]+: \\S+");
            assertThat(properties.put(line.split(": ", 2)[0], line.split(": ", 2)[1]))
                    .as(line)
                    .isNull();
        });
        return properties;
    }

    private static void flatten(String prefix, JsonNode node, Map<String, String> into) {
        fields(node).forEach((name, value) -> {
            if (value.isObject()) {
                flatten(prefix + name + ".", value, into);
            } else {
                into.put(prefix + name, value.asText());
            }
        });
    }

    private List<List<String>> instructions(String name) {
        List<List<String>> found = dockerfile.stream()
                .filter(words -> words.get(0).equals(name))
                .map(words -> words.subList(1, words.size()))
                .toList();
        assertThat(found).as(name).isNotEmpty();
        return found;
    }

    private static List<List<String>> dockerfile() {
        return read("Dockerfile")
                .replaceAll("(?m)^#.*$", "")
                .replaceAll("\\\\\\R", " ")
                .lines()
                .filter(line -> !line.isBlank())
                .map(line -> List.of(line.strip().split("\\s+")))
                .toList();
    }

    private static List<String> strings(JsonNode array) {
        List<String> strings = new ArrayList<>();
        array.forEach(node -> strings.add(node.asText()));
        return strings;
    }

    private static String minorVersion(String version) {
        return String.join(".", List.of(version.split("\\.", -1)).subList(0, 2));
    }

    private static Map<String, JsonNode> fields(JsonNode node) {
        Map<String, JsonNode> fields = new LinkedHashMap<>();
        node.properties().forEach(field -> fields.put(field.getKey(), field.getValue()));
        return fields;
    }

    /** Not with Jackson's own reader, which knows neither anchors nor merge keys. */
    private static JsonNode yaml(String path) {
        Object tree = new Yaml(new SafeConstructor(new LoaderOptions())).load(read(path));
        return new ObjectMapper().valueToTree(tree);
    }

    private static String read(String path) {
        try {
            return Files.readString(ROOT.resolve(path));
        } catch (IOException e) {
            throw new AssertionError("cannot read " + path, e);
        }
    }
}
