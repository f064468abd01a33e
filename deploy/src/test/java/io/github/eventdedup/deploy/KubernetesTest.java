package io.github.eventdedup.deploy;

import static java.util.Map.entry;
import static java.util.stream.Collectors.toMap;
import static java.util.stream.Collectors.toSet;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.introspect.Annotated;
import com.fasterxml.jackson.databind.introspect.JacksonAnnotationIntrospector;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.Namespace;
import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.api.model.Service;
import io.fabric8.kubernetes.api.model.ServiceAccount;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.autoscaling.v2.HorizontalPodAutoscaler;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.networking.v1.NetworkPolicy;
import io.fabric8.kubernetes.api.model.policy.v1.PodDisruptionBudget;
import io.fabric8.kubernetes.api.model.rbac.Role;
import io.fabric8.kubernetes.api.model.rbac.RoleBinding;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The manifests, held against the operator's own schema, Kubernetes' own classes, and what the rest of the project says. */
class KubernetesTest {

    private static final Path PROJECT = Path.of("").toAbsolutePath().getParent();
    private static final Path DIRECTORY = PROJECT.resolve("deploy/kubernetes");
    private static final String EXAMPLE = "secret.example.yaml";

    /** Of the operator's releases after the one whose schema is tested against. */
    private static final List<String> NEWER_FLINK_VERSIONS = List.of("v2_0", "v2_1", "v2_2");

    private static final Map<String, Class<?>> CLASSES = Map.ofEntries(
            entry("v1 ConfigMap", ConfigMap.class),
            entry("v1 Namespace", Namespace.class),
            entry("v1 Secret", Secret.class),
            entry("v1 Service", Service.class),
            entry("v1 ServiceAccount", ServiceAccount.class),
            entry("apps/v1 Deployment", Deployment.class),
            entry("autoscaling/v2 HorizontalPodAutoscaler", HorizontalPodAutoscaler.class),
            entry("batch/v1 Job", Job.class),
            entry("networking.k8s.io/v1 NetworkPolicy", NetworkPolicy.class),
            entry("policy/v1 PodDisruptionBudget", PodDisruptionBudget.class),
            entry("rbac.authorization.k8s.io/v1 Role", Role.class),
            entry("rbac.authorization.k8s.io/v1 RoleBinding", RoleBinding.class));

    /** Settings of the local cluster that are about its one machine: addresses, sizes, how sure an answer is in time. */
    private static final Pattern OF_THE_MACHINE =
            Pattern.compile("(jobmanager|taskmanager)\\.(bind-host|host|rpc|memory)(\\..*)?"
                    + "|(rest|heartbeat|high-availability|zookeeper)\\..*|state\\.backend\\.rocksdb\\.memory\\..*"
                    + "|taskmanager\\.numberOfTaskSlots|parallelism\\.default");

    /** Settings that only a cluster on Kubernetes has, or has otherwise. */
    private static final Set<String> OF_THE_CLUSTER = Set.of(
            "execution.checkpointing.dir",
            "execution.checkpointing.savepoint-dir",
            "high-availability.type",
            "high-availability.storageDir",
            "taskmanager.numberOfTaskSlots",
            "kubernetes.operator.job.restart.failed");

    /** Kubernetes' classes keep fields they do not know; here those are errors. */
    private static final ObjectMapper STRICT = JsonMapper.builder()
            .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
            .disable(MapperFeature.ALLOW_COERCION_OF_SCALARS)
            .annotationIntrospector(new JacksonAnnotationIntrospector() {
                private static final long serialVersionUID = 1L;

                @Override
                public Boolean hasAnySetter(Annotated annotated) {
                    return false;
                }
            })
            .build();

    private final JsonNode kustomization =
            Manifest.read(DIRECTORY.resolve("kustomization.yaml")).get(0).content();
    private final List<Manifest> manifests = strings(kustomization.path("resources")).stream()
            .flatMap(file -> Manifest.read(DIRECTORY.resolve(file)).stream())
            .toList();
    private final List<Manifest> jobs = all("FlinkDeployment");
    private final Manifest ingest = named("Deployment", "ingest");
    private final Manifest relay = named("Deployment", "relay");

    @Test
    void theKustomizationListsEveryFile() throws IOException {
        Set<String> listed = new TreeSet<>(strings(kustomization.path("resources")));
        listed.addAll(strings(kustomization.path("configurations")));
        try (Stream<Path> files = Files.list(DIRECTORY)) {
            assertThat(files.map(file -> file.getFileName().toString())
                            .filter(name -> !Set.of("kustomization.yaml", EXAMPLE, "README.md")
                                    .contains(name)))
                    .containsExactlyInAnyOrderElementsOf(listed);
        }
    }

    @Test
    void everyFieldIsOneThatItsKindHas() throws IOException {
        List<Manifest> all = new ArrayList<>(manifests);
        all.addAll(Manifest.read(DIRECTORY.resolve(EXAMPLE)));

        assertThat(errors(all)).isEmpty();
    }

    @Test
    void flinkIsSetAsInTheLocalCluster() throws IOException {
        Map<String, String> local = flat(
                Manifest.YAML.readTree(PROJECT.resolve("flink-conf/config.yaml").toFile()));

        for (Manifest flink : jobs) {
            Map<String, String> deployed = flat(flink.content().at("/spec/flinkConfiguration"));
            assertThat(deployed).as("%s", flink).containsKeys(OF_THE_CLUSTER.toArray(String[]::new));
            assertThat(without(deployed, OF_THE_CLUSTER::contains))
                    .as("%s", flink)
                    .isEqualTo(without(local, OF_THE_MACHINE.asMatchPredicate()));
        }
    }

    @Test
    void everyStreamHasItsJob() throws IOException {
        Map<String, List<String>> expected = new TreeMap<>();
        for (Path definition : streamDefinitions()) {
            expected.put(
                    Manifest.YAML.readTree(definition.toFile()).path("stream").asText(),
                    List.of("--stream", "/opt/dedup/streams/" + definition.getFileName()));
        }
        assertThat(jobs.stream()
                        .collect(toMap(
                                Manifest::name, flink -> strings(flink.content().at("/spec/job/args")))))
                .isEqualTo(expected);
    }

    /** All but what belongs to the stream: two clusters that differ by accident are two to operate. */
    @Test
    void theJobsDifferInTheirStreamsOnly() throws IOException {
        Set<JsonNode> rest = new HashSet<>();
        for (Manifest flink : jobs) {
            String database = databaseOf(flink);
            String text = Manifest.YAML
                    .writeValueAsString(flink.content())
                    .replace(flink.name(), "STREAM")
                    .replace("DEDUP_" + database.toUpperCase(Locale.ROOT), "DEDUP_DATABASE")
                    .replace(database, "DATABASE")
                    .replaceFirst("parallelism: \\d+", "parallelism: N");
            rest.add(Manifest.YAML.readTree(text));
        }
        assertThat(jobs).hasSizeGreaterThan(1);
        assertThat(rest).hasSize(1);
    }

    @Test
    void everyOutboxHasItsRelay() throws IOException {
        Set<List<String>> expected = new HashSet<>();
        for (Path definition : streamDefinitions()) {
            if (Manifest.YAML.readTree(definition.toFile()).has("outbox")) {
                expected.add(List.of("--stream", "/opt/dedup/streams/" + definition.getFileName()));
            }
        }
        assertThat(manifests.stream()
                        .flatMap(manifest -> manifest.containers().stream())
                        .filter(container -> container.path("image").asText().startsWith("event-deduplicator-relay:"))
                        .map(container -> strings(container.path("args")))
                        .collect(toSet()))
                .isNotEmpty()
                .isEqualTo(expected);
        assertThat(relay.content().at("/spec/replicas").asInt()).isEqualTo(1);
    }

    @Test
    void theSetupCreatesWhatComposeCreates() {
        List<String> command = strings(only("Job").containers().get(0).path("command"));
        JsonNode compose = Manifest.read(PROJECT.resolve("docker-compose.yml"))
                .get(0)
                .content()
                .at("/services/setup");
        List<String> expected = new ArrayList<>(strings(compose.path("entrypoint")));
        expected.addAll(strings(compose.path("command")));
        assertThat(command).isEqualTo(expected);
    }

    @Test
    void theJobsKeepTheirStateInDirectoriesOfTheirStreams() throws IOException {
        for (Manifest flink : jobs) {
            assertThatStateIsInDirectoriesOfTheStream(flink);
        }
    }

    private static void assertThatStateIsInDirectoriesOfTheStream(Manifest flink) throws IOException {
        List<String> arguments = strings(flink.content().at("/spec/job/args"));
        assertThat(arguments).hasSize(2).startsWith("--stream");
        Path definition =
                PROJECT.resolve("streams").resolve(Path.of("/opt/dedup/streams").relativize(Path.of(arguments.get(1))));
        assertThat(definition).exists();
        String stream =
                Manifest.YAML.readTree(definition.toFile()).path("stream").asText();

        Map<String, String> settings = flat(flink.content().at("/spec/flinkConfiguration"));
        assertThat(Stream.of(
                                "execution.checkpointing.dir",
                                "execution.checkpointing.savepoint-dir",
                                "high-availability.storageDir")
                        .map(settings::get))
                .doesNotHaveDuplicates()
                .allSatisfy(directory -> assertThat(directory).matches("s3://[^/]+/" + stream + "/[^/]+"));
        assertThat(settings).containsEntry("high-availability.type", "kubernetes");
        assertThat(flink.content().at("/spec/job/upgradeMode").asText()).isEqualTo("savepoint");
        // The operator's rule.
        assertThat(flink.name()).matches("[a-z]([-a-z\\d]{0,43}[a-z\\d])?");
    }

    @Test
    void theS3PluginIsOfFlinksVersion() throws IOException {
        String flinkVersion = Pattern.compile("<flink\\.version>(.+)</flink\\.version>")
                .matcher(Files.readString(PROJECT.resolve("pom.xml")))
                .results()
                .map(result -> result.group(1))
                .findFirst()
                .orElseThrow();

        for (Manifest flink : jobs) {
            assertThat(environment(flink).get("ENABLE_BUILT_IN_PLUGINS"))
                    .isEqualTo("flink-s3-fs-presto-" + flinkVersion + ".jar");
            assertThat(flink.content().at("/spec/flinkVersion").asText())
                    .startsWith("v" + flinkVersion.substring(0, flinkVersion.indexOf('.')) + "_");
        }
    }

    @Test
    void everyImageIsPinned() {
        List<String> images = new ArrayList<>();
        for (Manifest manifest : manifests) {
            if (jobs.contains(manifest)) {
                images.add(manifest.content().at("/spec/image").asText());
                assertThat(manifest.containers())
                        .noneMatch(container -> container.has("image") || container.has("imagePullPolicy"));
            } else {
                manifest.containers()
                        .forEach(container -> images.add(container.path("image").asText()));
            }
        }
        assertThat(images)
                .hasSize(5)
                .allMatch(image -> image.matches("event-deduplicator-(flink|ingest|relay):\\d+(\\.\\d+){2}"));
    }

    @Test
    void noSecretIsWrittenDown() {
        assertThat(manifests).noneMatch(manifest -> manifest.kind().equals("Secret"));
        for (Manifest manifest : manifests) {
            for (JsonNode container : manifest.containers()) {
                for (JsonNode variable : container.path("env")) {
                    String name = variable.path("name").asText();
                    if (name.matches(".*(PASSWORD|SECRET|TOKEN|KEY).*") && !name.endsWith("_FILE")) {
                        assertThat(variable.has("value"))
                                .as("%s, %s", manifest, name)
                                .isFalse();
                        assertThat(variable.at("/valueFrom/secretKeyRef").isMissingNode())
                                .as("%s, %s", manifest, name)
                                .isFalse();
                    }
                }
            }
        }
        assertThat(neighbours()).allSatisfy((name, value) -> {
            assertThat(name).doesNotMatch(".*(PASSWORD|SECRET|TOKEN|KEY).*");
            assertThat(value).doesNotContain("password", "@");
        });
        assertThat(jobs)
                .allSatisfy(flink -> assertThat(flat(flink.content().at("/spec/flinkConfiguration"))
                                .keySet())
                        .noneMatch(key -> key.matches("(?i).*(password|secret|access-?key).*")));
        assertThat(exampleSecrets().values())
                .allSatisfy(data -> assertThat(data.values()).containsOnly("CHANGE-ME"));
    }

    @Test
    void theExampleHasEverySecretThatIsAskedFor() {
        Map<String, Map<String, String>> secrets = exampleSecrets();
        Map<String, Set<String>> used = new TreeMap<>();
        for (Manifest manifest : manifests) {
            for (JsonNode reference : manifest.content().findValues("secretKeyRef")) {
                used.computeIfAbsent(reference.path("name").asText(), name -> new TreeSet<>())
                        .add(reference.path("key").asText());
            }
            passwordFiles(manifest)
                    .forEach((database, file) -> used.computeIfAbsent(database, name -> new TreeSet<>())
                            .add(file.getFileName().toString()));
        }
        assertThat(used)
                .isEqualTo(secrets.entrySet().stream()
                        .collect(toMap(
                                Map.Entry::getKey, secret -> secret.getValue().keySet())));
    }

    @Test
    void passwordsAreMountedWhereTheyAreLookedForAndNowhereElse() throws IOException {
        Map<Manifest, Set<String>> needed = new HashMap<>(Map.of(
                ingest,
                Set.of("postgres"),
                relay,
                Set.of("postgres", "clickhouse"),
                only("Job"),
                Set.of("postgres", "clickhouse")));
        for (Manifest flink : jobs) {
            needed.put(flink, Set.of(databaseOf(flink)));
        }
        assertThat(needed.keySet()).containsExactlyInAnyOrderElementsOf(withPods());
        for (Manifest manifest : needed.keySet()) {
            Map<String, Path> files = passwordFiles(manifest);
            assertThat(files.keySet()).as("%s", manifest).isEqualTo(needed.get(manifest));
            JsonNode pod = manifest.podTemplate().orElseThrow().path("spec");
            Map<String, String> mounted = new TreeMap<>();
            for (JsonNode volume : pod.path("volumes")) {
                if (volume.has("secret")) {
                    JsonNode mount = only(
                            manifest.containers().get(0).path("volumeMounts"),
                            candidate -> candidate.path("name").equals(volume.path("name")));
                    assertThat(mount.path("readOnly").asBoolean())
                            .as("%s", manifest)
                            .isTrue();
                    // Read by the group, by nobody else; decimal, as Kubernetes has it.
                    assertThat(volume.at("/secret/defaultMode").asInt()).isEqualTo(0440);
                    mounted.put(
                            volume.at("/secret/secretName").asText(),
                            mount.path("mountPath").asText());
                }
            }
            assertThat(mounted)
                    .as("%s", manifest)
                    .isEqualTo(files.entrySet().stream()
                            .collect(toMap(
                                    Map.Entry::getKey,
                                    file -> file.getValue().getParent().toString())));
            if (!mounted.isEmpty()) {
                assertThat(pod.at("/securityContext/fsGroup"))
                        .as("%s", manifest)
                        .isEqualTo(pod.at("/securityContext/runAsGroup"));
            }
        }
    }

    /** By database, where the processes of a pod look for its password. */
    private Map<String, Path> passwordFiles(Manifest manifest) {
        Map<String, Path> files = new TreeMap<>();
        if (manifest.podTemplate().isPresent()) {
            environment(manifest).forEach((name, value) -> {
                if (name.matches("DEDUP_\\w+_PASSWORD_FILE")) {
                    String database = name.replaceAll("DEDUP_(\\w+)_PASSWORD_FILE", "$1");
                    files.put(database.toLowerCase(Locale.ROOT), Path.of(value));
                }
            });
        }
        return files;
    }

    /** That its stream ends in. */
    private static String databaseOf(Manifest flink) throws IOException {
        Path definition = PROJECT.resolve("streams")
                .resolve(
                        Path.of(flink.content().at("/spec/job/args/1").asText()).getFileName());
        return Manifest.YAML
                .readTree(definition.toFile())
                .path("sink")
                .fieldNames()
                .next();
    }

    @Test
    void everySettingIsOneThatTheProcessKnows() throws IOException {
        Map<Manifest, String> modules = new HashMap<>(Map.of(ingest, "http-ingest", only("Job"), "job"));
        jobs.forEach(flink -> modules.put(flink, "job"));
        for (var module : modules.entrySet()) {
            Set<String> set = settings(module.getKey());
            assertThat(set).as("%s", module.getKey()).isSubsetOf(namedIn(module.getValue()));
            Map<String, String> documented =
                    documentedSettings(module.getValue().equals("job") ? "## The job" : "## The ingest");
            // Nothing is on loopback here.
            assertThat(set)
                    .as("%s", module.getKey())
                    .containsAll(
                            without(documented, name -> !documented.get(name).contains("127.0.0.1"))
                                    .keySet());
        }
        Set<String> ofReceipts = Set.of(
                "DEDUP_KAFKA_BOOTSTRAP_SERVERS",
                "DEDUP_POSTGRES_URL",
                "DEDUP_POSTGRES_USER",
                "DEDUP_POSTGRES_PASSWORD_FILE");
        Set<String> ofTheRelay = new HashSet<>(ofReceipts);
        ofTheRelay.addAll(Set.of(
                "DEDUP_CLICKHOUSE_URL",
                "DEDUP_CLICKHOUSE_DATABASE",
                "DEDUP_CLICKHOUSE_USER",
                "DEDUP_CLICKHOUSE_PASSWORD_FILE"));
        // It would refuse any other.
        assertThat(settings(relay)).isEqualTo(ofTheRelay);
        assertThat(settings(ingest))
                .as("with what receipts need")
                .containsAll(ofReceipts)
                .noneMatch(name -> name.startsWith("DEDUP_CLICKHOUSE"));
        assertThat(neighbours().keySet())
                .containsExactlyInAnyOrder(
                        "DEDUP_KAFKA_BOOTSTRAP_SERVERS",
                        "DEDUP_POSTGRES_URL",
                        "DEDUP_POSTGRES_USER",
                        "DEDUP_CLICKHOUSE_URL",
                        "DEDUP_CLICKHOUSE_DATABASE",
                        "DEDUP_CLICKHOUSE_USER");
    }

    private Set<String> settings(Manifest manifest) {
        return environment(manifest).keySet().stream()
                .filter(name -> name.startsWith("DEDUP_"))
                .collect(toSet());
    }

    /** The settings that the sources of a module name: in quotes, or as one or all of a database that modules share. */
    private static Set<String> namedIn(String module) throws IOException {
        Set<String> shared = new TreeSet<>();
        Pattern.compile("\"(DEDUP_[A-Z_]+)\"")
                .matcher(Files.readString(
                        PROJECT.resolve("config/src/main/java/io/github/eventdedup/config/Environment.java")))
                .results()
                .forEach(result -> shared.add(result.group(1)));
        Set<String> named = new TreeSet<>();
        try (Stream<Path> sources = Files.walk(PROJECT.resolve(module).resolve("src/main/java"))) {
            for (Path source :
                    sources.filter(file -> file.toString().endsWith(".java")).toList()) {
                Pattern.compile("\"(DEDUP_[A-Z_]+)\"|\\bEnvironment\\.([A-Z_]+)\\b")
                        .matcher(Files.readString(source))
                        .results()
                        .map(result -> result.group(1) != null ? result.group(1) : "DEDUP_" + result.group(2))
                        .flatMap(name -> name.equals("DEDUP_POSTGRES") || name.equals("DEDUP_CLICKHOUSE")
                                ? shared.stream().filter(one -> one.startsWith(name + "_"))
                                : Stream.of(name))
                        .forEach(name -> {
                            named.add(name);
                            if (name.endsWith("_PASSWORD")) {
                                named.add(name + "_FILE");
                            }
                        });
            }
        }
        return named;
    }

    @Test
    void theProbesAskWhatTheIngestAnswers() throws IOException {
        Set<String> answered = Pattern.compile("routes\\.get\\(\"([^\"]+)\"")
                .matcher(Files.readString(PROJECT.resolve(
                        "http-ingest/src/main/java/io/github/eventdedup/ingest/http/IngestServer.java")))
                .results()
                .map(result -> result.group(1))
                .collect(toSet());
        JsonNode container = ingest.containers().get(0);
        for (var probe : Map.of(
                        "startupProbe", "/health/live",
                        "livenessProbe", "/health/live",
                        "readinessProbe", "/health/ready")
                .entrySet()) {
            JsonNode get = container.path(probe.getKey()).path("httpGet");
            assertThat(get.path("path").asText())
                    .as(probe.getKey())
                    .isEqualTo(probe.getValue())
                    .isIn(answered);
            assertThat(get.path("port").asText()).as(probe.getKey()).isEqualTo("http");
        }
    }

    @Test
    void thePortIsTheOneThatTheIngestListensOn() throws IOException {
        String port = environment(ingest)
                .getOrDefault(
                        "DEDUP_HTTP_PORT", documentedSettings("## The ingest").get("DEDUP_HTTP_PORT"));
        JsonNode named = only(
                ingest.containers().get(0).path("ports"),
                candidate -> candidate.path("name").asText().equals("http"));
        assertThat(named.path("containerPort").asText()).isEqualTo(port);
        assertThat(only("Service").content().at("/spec/ports/0/targetPort").asText())
                .isEqualTo("http");
    }

    @Test
    void aPodHasTheTimeToDrain() throws IOException {
        Map<String, String> documented = documentedSettings("## The ingest");
        Map<String, String> set = environment(ingest);
        long seconds = 0;
        for (String setting : List.of("DEDUP_DRAIN_TIMEOUT", "DEDUP_DELIVERY_TIMEOUT")) {
            String value = set.getOrDefault(setting, documented.get(setting));
            assertThat(value).as(setting).matches("\\d+s");
            seconds += Long.parseLong(value.substring(0, value.length() - 1));
        }
        seconds += ingest.containers()
                .get(0)
                .at("/lifecycle/preStop/sleep/seconds")
                .asLong();
        int notice = 1;
        assertThat(ingest.content()
                        .at("/spec/template/spec/terminationGracePeriodSeconds")
                        .asLong())
                .isGreaterThan(seconds + notice);
    }

    /** What the namespace enforces: Kubernetes' pod security standard "restricted". */
    @Test
    void everyPodIsAsTheNamespaceDemands() {
        assertThat(only("Namespace")
                        .content()
                        .at("/metadata/labels/pod-security.kubernetes.io~1enforce")
                        .asText())
                .isEqualTo("restricted");
        assertThat(withPods()).hasSize(5);
        for (Manifest manifest : withPods()) {
            JsonNode pod = manifest.podTemplate().orElseThrow().at("/spec/securityContext");
            assertThat(pod.path("runAsNonRoot").asBoolean()).as("%s", manifest).isTrue();
            assertThat(pod.path("runAsUser").asInt()).as("%s", manifest).isPositive();
            assertThat(pod.at("/seccompProfile/type").asText())
                    .as("%s", manifest)
                    .isEqualTo("RuntimeDefault");
            assertThat(manifest.containers()).as("%s", manifest).isNotEmpty().allSatisfy(container -> {
                JsonNode context = container.path("securityContext");
                assertThat(context.path("allowPrivilegeEscalation").asBoolean(true))
                        .isFalse();
                assertThat(strings(context.at("/capabilities/drop"))).containsExactly("ALL");
            });
        }
    }

    @Test
    void everyContainerOfOursHasItsResources() {
        for (Manifest manifest : List.of(ingest, relay, only("Job"))) {
            JsonNode resources = manifest.containers().get(0).path("resources");
            assertThat(resources.at("/requests/cpu").isTextual())
                    .as("%s", manifest)
                    .isTrue();
            assertThat(resources.at("/limits/memory").asText())
                    .as("%s", manifest)
                    .isNotEmpty()
                    .isEqualTo(resources.at("/requests/memory").asText());
        }
        for (Manifest flink : jobs) {
            for (String part : List.of("jobManager", "taskManager")) {
                JsonNode resource = flink.content().at("/spec/" + part + "/resource");
                assertThat(resource.path("cpu").isNumber()).as(part).isTrue();
                assertThat(resource.path("memory").asText()).as(part).matches("\\d+m");
            }
        }
    }

    @Test
    void whatSelectsPodsFindsThem() {
        for (String pointer : List.of(
                "/spec/selector/matchLabels",
                "/spec/template/spec/topologySpreadConstraints/0/labelSelector/matchLabels",
                "/spec/template/spec/topologySpreadConstraints/1/labelSelector/matchLabels")) {
            assertThat(ingest.content().at(pointer)).as(pointer).isEqualTo(ingest.podLabels());
        }
        assertThat(only("Service").content().at("/spec/selector")).isEqualTo(ingest.podLabels());
        assertThat(only("PodDisruptionBudget").content().at("/spec/selector/matchLabels"))
                .isEqualTo(ingest.podLabels());
        JsonNode scaled = only("HorizontalPodAutoscaler").content().at("/spec/scaleTargetRef");
        assertThat(List.of(scaled.path("kind").asText(), scaled.path("name").asText()))
                .containsExactly(ingest.kind(), ingest.name());
        assertThat(ingest.content().at("/spec/replicas").isMissingNode()).isTrue();
        assertThat(relay.content().at("/spec/selector/matchLabels"))
                .isEqualTo(relay.podLabels())
                .isNotEqualTo(ingest.podLabels());
        for (Manifest flink : jobs) {
            assertThat(flink.content().at("/spec/serviceAccount").asText())
                    .isEqualTo(only("ServiceAccount").name())
                    .isEqualTo(
                            only("RoleBinding").content().at("/subjects/0/name").asText());
        }
        assertThat(only("RoleBinding").content().at("/roleRef/name").asText())
                .isEqualTo(only("Role").name());
    }

    @Test
    void onlyWhoIsMeantToReachesAnything() {
        Map<String, JsonNode> policies = manifests.stream()
                .filter(manifest -> manifest.kind().equals("NetworkPolicy"))
                .collect(toMap(Manifest::name, manifest -> manifest.content().path("spec")));
        assertThat(policies).containsOnlyKeys("nobody", "clients-to-ingest", "flink");
        policies.forEach((name, policy) ->
                assertThat(strings(policy.path("policyTypes"))).as(name).containsExactly("Ingress"));

        assertThat(policies.get("nobody").path("ingress").isMissingNode()).isTrue();
        assertThat(policies.get("nobody").at("/podSelector/matchLabels"))
                .isEqualTo(kustomization.at("/labels/0/pairs"));
        assertThat(kustomization.at("/labels/0/includeTemplates").asBoolean()).isTrue();

        assertThat(policies.get("clients-to-ingest").at("/podSelector/matchLabels"))
                .isEqualTo(ingest.podLabels());
        assertThat(jobs)
                .allMatch(flink ->
                        policies.get("flink").at("/podSelector/matchLabels").equals(flink.podLabels()));
        for (String name : List.of("clients-to-ingest", "flink")) {
            for (JsonNode rule : policies.get(name).path("ingress")) {
                // A rule, or a peer, without a selector lets in everybody.
                assertThat(rule.path("from"))
                        .as(name)
                        .isNotEmpty()
                        .allSatisfy(peer -> assertThat(peer)
                                .isNotEmpty()
                                .allSatisfy(selector ->
                                        assertThat(selector.path("matchLabels")).isNotEmpty()));
            }
        }
        assertThat(environment(ingest))
                .containsEntry("DEDUP_HTTP_HOST", "0.0.0.0")
                .containsEntry("DEDUP_ALLOW_UNAUTHENTICATED", "true");
    }

    @Test
    void kustomizeBuildsTheBase() throws Exception {
        List<Manifest> built = kustomize(DIRECTORY);

        assertThat(built).hasSize(manifests.size() + 1);
        assertThat(errors(built)).isEmpty();
        assertThat(built)
                .filteredOn(manifest -> !manifest.kind().equals("Namespace"))
                .allMatch(manifest ->
                        manifest.content().at("/metadata/namespace").asText().equals("event-deduplicator"));
        assertThat(built)
                .filteredOn(manifest -> manifest.podTemplate().isPresent())
                .hasSize(5)
                .allMatch(manifest -> manifest.podLabels()
                        .path("app.kubernetes.io/part-of")
                        .asText()
                        .equals("event-deduplicator"));
        assertNeighboursAreFound(built);
    }

    @Test
    void theOverlayOfTheReadmeIsTaken(@TempDir Path overlay) throws Exception {
        String readme = Files.readString(DIRECTORY.resolve("README.md"));
        List<String> blocks = Pattern.compile("```yaml\\n(.*?)```", Pattern.DOTALL)
                .matcher(readme)
                .results()
                .map(result -> result.group(1))
                .toList();
        assertThat(blocks).hasSize(1);
        assertThat(blocks.get(0)).contains("- ../event-deduplicator/deploy/kubernetes\n");
        // Kustomize takes no absolute paths.
        Path base = overlay.toRealPath().relativize(DIRECTORY);
        Files.writeString(
                overlay.resolve("kustomization.yaml"),
                blocks.get(0).replace("../event-deduplicator/deploy/kubernetes", base.toString()));

        List<Manifest> built = kustomize(overlay);

        assertThat(built).hasSize(manifests.size() + 1);
        assertThat(errors(built)).isEmpty();
        Map<String, Set<String>> images = new TreeMap<>();
        for (Manifest manifest : built) {
            Set<String> found = manifest.content().findValues("image").stream()
                    .map(JsonNode::asText)
                    .collect(toSet());
            if (!found.isEmpty()) {
                images.put(manifest.kind() + " " + manifest.name(), found);
            }
        }
        assertThat(images)
                .isEqualTo(Map.of(
                        "Deployment ingest", Set.of("registry.example.com/event-deduplicator-ingest:0.1.0"),
                        "Deployment relay", Set.of("registry.example.com/event-deduplicator-relay:0.1.0"),
                        "FlinkDeployment user-logins", Set.of("registry.example.com/event-deduplicator-flink:0.1.0"),
                        "FlinkDeployment view-events", Set.of("registry.example.com/event-deduplicator-flink:0.1.0"),
                        "Job setup", Set.of("registry.example.com/event-deduplicator-flink:0.1.0")));
        assertNeighboursAreFound(built);
        for (Manifest flink : jobs) {
            Map<String, String> before = flat(flink.content().at("/spec/flinkConfiguration"));
            Map<String, String> after =
                    flat(named(built, "FlinkDeployment", flink.name()).content().at("/spec/flinkConfiguration"));
            assertThat(after).containsAllEntriesOf(without(before, OF_THE_CLUSTER::contains));
            assertThat(after)
                    .containsEntry("execution.checkpointing.dir", "s3://your-bucket/" + flink.name() + "/checkpoints");
            assertThat(after.values()).noneMatch(value -> value.startsWith("s3://event-deduplicator/"));
        }
        assertThat(only(built, "ConfigMap").content().at("/data").properties())
                .hasSize(neighbours().size())
                .filteredOn(neighbour -> neighbour.getKey().matches(".*(URL|SERVERS)"))
                .allMatch(neighbour -> neighbour.getValue().asText().contains("your-"));
    }

    /** Everybody refers to the ConfigMap by the name that it was generated with. */
    private static void assertNeighboursAreFound(List<Manifest> built) {
        String name = only(built, "ConfigMap").name();
        assertThat(name).startsWith("neighbours-");
        for (Manifest manifest : built.stream()
                .filter(candidate -> candidate.podTemplate().isPresent())
                .toList()) {
            JsonNode pod = manifest.podTemplate().orElseThrow();
            List<JsonNode> references = new ArrayList<>(pod.findValues("configMapRef"));
            references.addAll(pod.findValues("configMapKeyRef"));
            assertThat(references)
                    .as("%s", manifest)
                    .isNotEmpty()
                    .allMatch(reference -> reference.path("name").asText().equals(name));
        }
    }

    private static List<Manifest> kustomize(Path directory) throws IOException, InterruptedException {
        List<String> command = Stream.of(List.of("kubectl", "kustomize"), List.of("kustomize", "build"))
                .filter(candidate -> isInstalled(candidate.get(0)))
                .findFirst()
                .orElse(List.of());
        if (command.isEmpty()) {
            String reason =
                    "neither kubectl nor kustomize is installed here, so nothing says whether kustomize takes this";
            // A skipped test's reason is in the report only.
            System.err.println("KubernetesTest: " + reason);
            abort(reason);
        }
        List<String> withDirectory = new ArrayList<>(command);
        withDirectory.add(directory.toString());
        Process process =
                new ProcessBuilder(withDirectory).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor(1, TimeUnit.MINUTES)).isTrue();
        assertThat(process.exitValue()).as(output).isZero();
        return Manifest.parse("built", output);
    }

    private static boolean isInstalled(String command) {
        return Stream.of(System.getenv("PATH").split(":"))
                .anyMatch(directory -> Files.isExecutable(Path.of(directory, command)));
    }

    private static List<String> errors(List<Manifest> manifests) throws IOException {
        Schema flinkDeployment =
                Schema.ofFlinkDeployment().allowing("/properties/spec/properties/flinkVersion", NEWER_FLINK_VERSIONS);
        List<String> errors = new ArrayList<>();
        for (Manifest manifest : manifests) {
            String kind = manifest.content().path("apiVersion").asText() + " " + manifest.kind();
            if (kind.equals("flink.apache.org/v1beta1 FlinkDeployment")) {
                flinkDeployment.errors(manifest.content()).forEach(error -> errors.add(manifest + ": " + error));
            } else if (CLASSES.containsKey(kind)) {
                try {
                    STRICT.treeToValue(manifest.content(), CLASSES.get(kind));
                } catch (JsonProcessingException e) {
                    errors.add(manifest + ": " + e.getMessage());
                }
            } else {
                errors.add(manifest + ": unknown kind " + kind);
            }
        }
        return errors;
    }

    /** What the processes of the first container find in their environment; of what comes from a secret, only the name. */
    private Map<String, String> environment(Manifest manifest) {
        Map<String, String> environment = new TreeMap<>();
        JsonNode container = manifest.containers().get(0);
        for (JsonNode source : container.path("envFrom")) {
            assertThat(source.at("/configMapRef/name").asText())
                    .as("%s", manifest)
                    .isEqualTo("neighbours");
            environment.putAll(neighbours());
        }
        for (JsonNode variable : container.path("env")) {
            JsonNode reference = variable.at("/valueFrom/configMapKeyRef");
            if (!reference.isMissingNode()) {
                assertThat(reference.path("name").asText()).as("%s", manifest).isEqualTo("neighbours");
                assertThat(neighbours()).containsKey(reference.path("key").asText());
                assertThat(variable.path("name")).as("%s", manifest).isEqualTo(reference.path("key"));
            }
            String previous = environment.put(
                    variable.path("name").asText(),
                    variable.path("value")
                            .asText(neighbours().get(reference.path("key").asText())));
            assertThat(previous)
                    .as("%s, %s set twice", manifest, variable.path("name"))
                    .isNull();
        }
        return environment;
    }

    private Map<String, String> neighbours() {
        JsonNode generator = kustomization.path("configMapGenerator");
        assertThat(generator).hasSize(1);
        assertThat(generator.at("/0/name").asText()).isEqualTo("neighbours");
        return strings(generator.at("/0/literals")).stream()
                .map(literal -> literal.split("=", 2))
                .collect(toMap(parts -> parts[0], parts -> parts[1]));
    }

    private static Map<String, Map<String, String>> exampleSecrets() {
        return Manifest.read(DIRECTORY.resolve(EXAMPLE)).stream()
                .collect(toMap(Manifest::name, secret -> flat(secret.content().path("stringData"))));
    }

    /** The variables of a table in docs/configuration.md, with their defaults where these are one word. */
    private static Map<String, String> documentedSettings(String heading) throws IOException {
        String section = Stream.of(Files.readString(PROJECT.resolve("docs/configuration.md"))
                        .split("\n(?=## )", -1))
                .filter(candidate -> candidate.startsWith(heading + "\n"))
                .findFirst()
                .orElseThrow();
        Map<String, String> settings = new TreeMap<>();
        for (String row :
                section.lines().filter(line -> line.startsWith("| `DEDUP_")).toList()) {
            String[] cells = row.split("\\|", -1);
            Pattern.compile("`(DEDUP_\\w+)`")
                    .matcher(cells[1])
                    .results()
                    .map((MatchResult result) -> result.group(1))
                    .forEach(name -> settings.put(name, cells[2].strip().replace("`", "")));
        }
        return settings;
    }

    private static Map<String, String> without(Map<String, String> settings, Predicate<String> key) {
        Map<String, String> rest = new TreeMap<>(settings);
        rest.keySet().removeIf(key);
        return rest;
    }

    /** Nested maps as Flink reads them: keys joined by dots. */
    private static Map<String, String> flat(JsonNode settings) {
        Map<String, String> flat = new TreeMap<>();
        for (var setting : settings.properties()) {
            if (setting.getValue().isObject()) {
                flat(setting.getValue()).forEach((key, value) -> flat.put(setting.getKey() + "." + key, value));
            } else {
                assertThat(setting.getValue().isValueNode())
                        .as(setting.getKey())
                        .isTrue();
                flat.put(setting.getKey(), setting.getValue().asText());
            }
        }
        return flat;
    }

    private Manifest only(String kind) {
        return only(manifests, kind);
    }

    private List<Manifest> all(String kind) {
        return manifests.stream()
                .filter(manifest -> manifest.kind().equals(kind))
                .toList();
    }

    private Manifest named(String kind, String name) {
        return named(manifests, kind, name);
    }

    private static Manifest named(List<Manifest> manifests, String kind, String name) {
        return only(
                manifests.stream()
                        .filter(manifest -> manifest.name().equals(name))
                        .toList(),
                kind);
    }

    private List<Manifest> withPods() {
        return manifests.stream()
                .filter(manifest -> manifest.podTemplate().isPresent())
                .toList();
    }

    private static List<Path> streamDefinitions() throws IOException {
        try (Stream<Path> files = Files.list(PROJECT.resolve("streams"))) {
            return files.toList();
        }
    }

    private static Manifest only(List<Manifest> manifests, String kind) {
        List<Manifest> found = manifests.stream()
                .filter(manifest -> manifest.kind().equals(kind))
                .toList();
        assertThat(found).as(kind).hasSize(1);
        return found.get(0);
    }

    private static JsonNode only(JsonNode nodes, Predicate<JsonNode> wanted) {
        List<JsonNode> found = new ArrayList<>();
        nodes.forEach(node -> {
            if (wanted.test(node)) {
                found.add(node);
            }
        });
        assertThat(found).as("%s", nodes).hasSize(1);
        return found.get(0);
    }

    private static List<String> strings(JsonNode array) {
        List<String> strings = new ArrayList<>();
        array.forEach(node -> strings.add(node.asText()));
        return strings;
    }
}
