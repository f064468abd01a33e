package io.github.eventdedup.ingest.access;

import static io.github.eventdedup.ingest.testing.TestIngest.await;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.ingest.access.FileWatch.Source;
import io.github.eventdedup.ingest.response.ProblemException;
import io.github.eventdedup.ingest.testing.LogLines;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.NullSource;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(60)
public class ApiKeysTest {

    private static final Set<String> STREAMS = Set.of("view-events", "user-logins");
    private static final Path CONFIGURATION = Path.of("..", "docs", "configuration.md");

    @TempDir
    private Path directory;

    private final FileWatch watch = new FileWatch();

    @AfterEach
    void stopWatch() {
        watch.close();
    }

    public static String sha256(String key) throws Exception {
        return HexFormat.of()
                .formatHex(MessageDigest.getInstance("SHA-256").digest(key.getBytes(StandardCharsets.UTF_8)));
    }

    private static String entry(String name, String key, String rest) throws Exception {
        return "- { name: " + name + ", sha256: '" + sha256(key) + "', streams: [view-events]" + rest + " }\n";
    }

    private Path file() {
        return directory.resolve("keys.yaml");
    }

    private ApiKeys load(String yaml) throws Exception {
        Files.writeString(file(), yaml);
        return ApiKeys.load(file(), STREAMS, watch);
    }

    private static int status(ApiKeys keys, String authorization, String xApiKey, String stream) {
        ProblemException problem =
                catchThrowableOfType(ProblemException.class, () -> keys.check(authorization, xApiKey, stream));
        return problem == null ? 200 : problem.status();
    }

    private static boolean accepts(ApiKeys keys, String key) {
        return status(keys, null, key, "view-events") == 200;
    }

    /** Nothing where the key is accepted. */
    private static ProblemException refusal(ApiKeys keys, String key) {
        return catchThrowableOfType(ProblemException.class, () -> keys.check(null, key, "view-events"));
    }

    @Test
    void knowsAKeyByName() throws Exception {
        ApiKeys keys = load("keys:\n" + entry("mobile", "secret-1", "") + entry("web", "ключ", ""));
        assertThat(keys.check("Bearer secret-1", null, "view-events")).isEqualTo("mobile");
        assertThat(keys.check("bEARER   secret-1 ", null, "view-events")).isEqualTo("mobile");
        assertThat(keys.check(null, "ключ", "view-events")).isEqualTo("web");
        assertThat(keys.check("Bearer secret-1", "secret-1", "view-events")).isEqualTo("mobile");
    }

    @ParameterizedTest
    @NullSource
    @ValueSource(
            strings = {
                "",
                "Bearer",
                "Bearer ",
                "secret-1",
                "Basic secret-1",
                "Bearersecret-1",
                "Bearer secret-1 x",
                "Bearer x"
            })
    void refusesAuthorizationWithoutAValidKey(String authorization) throws Exception {
        ApiKeys keys = load("keys:\n" + entry("mobile", "secret-1", ""));
        assertThat(status(keys, authorization, null, "view-events")).isEqualTo(401);
        // Nor does it say whether there is such a stream.
        assertThat(status(keys, authorization, null, "nope")).isEqualTo(401);
    }

    @ParameterizedTest
    @CsvSource({"Bearer secret-1, secret-2", "Bearer secret-2, secret-1", "Basic x, secret-1", "Bearer secret-1, ''"})
    void refusesTwoHeadersThatDisagree(String authorization, String xApiKey) throws Exception {
        ApiKeys keys = load("keys:\n" + entry("a", "secret-1", "") + entry("b", "secret-2", ""));
        assertThat(status(keys, authorization, xApiKey, "view-events")).isEqualTo(401);
    }

    @Test
    void asksForTheStreamsAndTheMetricsOfTheKey() throws Exception {
        ApiKeys keys = load("keys:\n" + entry("writer", "w", "") + "- { name: prometheus, sha256: " + sha256("p")
                + ", streams: [], metrics: true }");
        assertThat(status(keys, null, "w", "user-logins")).isEqualTo(403);
        assertThat(status(keys, null, "w", "nope")).isEqualTo(403);
        assertThat(status(keys, null, "p", "view-events")).isEqualTo(403);
        assertThat(keys.checkMetrics("Bearer p", null)).isEqualTo("prometheus");
        assertThatThrownBy(() -> keys.checkMetrics(null, "w")).hasMessage("the key 'writer' may not read the metrics");
        assertThatThrownBy(() -> keys.checkMetrics(null, null)).hasMessageContaining("a key is needed");
    }

    @Test
    void anEmptyListLetsNobodyIn() throws Exception {
        assertThat(accepts(load("keys: []"), "secret")).isFalse();
    }

    @Test
    void limitsTheRateOfEachKeyAlone() throws Exception {
        ApiKeys keys = load("keys:\n" + entry("slow", "s", ", requests-per-second: 2") + entry("free", "f", ""));
        long start = System.nanoTime();
        int accepted = 0;
        ProblemException problem = refusal(keys, "s");
        while (accepted < 1000 && problem == null) {
            accepted++;
            problem = refusal(keys, "s");
        }
        double seconds = (System.nanoTime() - start) / 1e9;
        assertThat(accepted).isBetween(2, 2 + (int) Math.ceil(2 * seconds));

        assertThat(problem.status()).isEqualTo(429);
        assertThat(problem.retryAfterSeconds()).isEqualTo(1);
        assertThat(accepts(keys, "f")).isTrue();
        await().until(() -> accepts(keys, "s"));
    }

    @Test
    void countsOnWhenTheFileChanges() throws Exception {
        String slow = entry("slow", "s", ", requests-per-second: 1000");
        ApiKeys keys = load("keys:\n" + slow);
        Files.writeString(file(), "keys:\n" + slow + entry("new", "n", ""));
        long start = System.nanoTime();
        long accepted = 0;
        while (!accepts(keys, "n")) {
            accepted += accepts(keys, "s") ? 1 : 0;
        }
        while (accepted < 1_000_000 && accepts(keys, "s")) {
            accepted++;
        }
        double seconds = (System.nanoTime() - start) / 1e9;
        // With a fresh second for the new version it would be a thousand more.
        assertThat(accepted).isBetween(1000L, 1000 + (long) Math.ceil(1000 * seconds));
    }

    @ParameterizedTest
    @ValueSource(strings = {"written", "renamed", "link"})
    void noticesAChangeHoweverItIsMade(String how) throws Exception {
        Path first = Files.createDirectory(directory.resolve("first"));
        Path second = Files.createDirectory(directory.resolve("second"));
        // As Kubernetes mounts a secret: the file is a link into a folder that is a link itself.
        Path data = Files.createSymbolicLink(directory.resolve("..data"), first.getFileName());
        Path file = how.equals("link")
                ? Files.createSymbolicLink(file(), Path.of("..data", "keys.yaml"))
                : Files.createFile(file());
        Files.writeString(how.equals("link") ? first.resolve("keys.yaml") : file, "keys:\n" + entry("a", "old", ""));
        Files.writeString(second.resolve("keys.yaml"), "keys:\n" + entry("a", "new", ""));
        // Times tell nothing.
        Files.setLastModifiedTime(second.resolve("keys.yaml"), Files.getLastModifiedTime(file));

        ApiKeys keys = ApiKeys.load(file, STREAMS, watch);
        assertThat(accepts(keys, "old")).isTrue();
        assertThat(accepts(keys, "new")).isFalse();
        switch (how) {
            case "written" -> {
                var time = Files.getLastModifiedTime(file);
                Files.copy(second.resolve("keys.yaml"), file, StandardCopyOption.REPLACE_EXISTING);
                Files.setLastModifiedTime(file, time);
            }
            case "renamed" -> Files.move(second.resolve("keys.yaml"), file, StandardCopyOption.ATOMIC_MOVE);
            default -> {
                Path next = Files.createSymbolicLink(directory.resolve("..next"), second.getFileName());
                Files.move(next, data, StandardCopyOption.ATOMIC_MOVE);
            }
        }
        await().until(() -> accepts(keys, "new"));
        assertThat(accepts(keys, "old")).isFalse();
    }

    @ParameterizedTest
    @ValueSource(strings = {"keys: [", "", "absent"})
    void keepsTheOldKeysWhereTheNewOnesCannotBeUsedAndWarnsOnce(String broken) throws Exception {
        try (LogLines log = new LogLines()) {
            ApiKeys keys = load("keys:\n" + entry("a", "old", ""));
            if (broken.equals("absent")) {
                Files.delete(file());
            } else {
                Files.writeString(file(), broken);
            }
            await().until(() -> !log.warnings().isEmpty());
            assertThat(accepts(keys, "old")).isTrue();
            Files.writeString(file(), "keys:\n" + entry("a", "new", ""));
            await().until(() -> accepts(keys, "new"));
            assertThat(accepts(keys, "old")).isFalse();
            assertThat(log.warnings())
                    .singleElement()
                    .asString()
                    .contains("the previous version stays in use")
                    .contains(file().toString());
        }
    }

    @Test
    void saysEveryErrorAtOnce() throws Exception {
        String hash = sha256("k");
        String yaml = """
                keys:
                - { name: good, sha256: %s, streams: [view-events], metrics: false, requests-per-second: 1 }
                - { name: good, sha256: %s, streams: [view-events] }
                - { name: a b, sha256: the-key-itself, streams: [nope], metrics: 1, requests-per-second: 0 }
                - { name: c, sha256: %s, streams: view-events, requests-per-second: 1.5, admin: true }
                - { name: d, sha256: 1234, streams: [view-events, view-events], requests-per-second: "5" }
                - { }
                - e
                other: 1
                """.formatted(hash, hash, hash.toUpperCase(Locale.ROOT));
        assertThatThrownBy(() -> load(yaml))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageStartingWith("DEDUP_API_KEYS_FILE: " + file() + " is not a valid file of API keys:\n")
                .message()
                .satisfies(message -> assertThat(message.lines()).hasSize(1 + 19))
                .contains("\n  other: unknown key; known here: keys")
                .contains("\n  entry 2 (good): the name is taken by another entry")
                .contains("\n  entry 2 (good): sha256: another entry has the same")
                .contains("\n  entry 3: name: must be a string of at most 64 letters")
                .contains("\n  entry 3: sha256: must be a string of 64 lower-case hexadecimal digits")
                .contains("\n  entry 3: streams: there is no stream 'nope'; there is user-logins, view-events")
                .contains("\n  entry 3: metrics: must be true or false")
                .contains("\n  entry 3: requests-per-second: must be a whole number from 1 to 1000000")
                .contains("\n  entry 4 (c): sha256: must be")
                .contains("\n  entry 4 (c): streams: must be a list of streams")
                .contains("\n  entry 4 (c): requests-per-second: must be")
                .contains("\n  entry 4 (c): admin: unknown key; known here: metrics, name, requests-per-second, sha256")
                .contains("\n  entry 5 (d): sha256: must be")
                .contains("\n  entry 5 (d): streams: 'view-events' is listed twice")
                .contains("\n  entry 5 (d): requests-per-second: must be")
                .contains("\n  entry 6: name: missing")
                .contains("\n  entry 6: sha256: missing")
                .contains("\n  entry 6: streams: missing")
                .contains("\n  entry 7: must be a mapping with the keys metrics, name, ")
                .doesNotContain(hash)
                .doesNotContain("the-key-itself");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "''|must be a mapping",
                "'keys:'|keys: must be a list",
                "'keys: ['|(line 1)",
                "'keys: []\n---\nkeys: []'|more than one YAML document",
                "'keys: []\nkeys: []'|Duplicate",
                "'keys: [{name: &x a, sha256: *x, streams: []}]'|*x: is an alias",
            })
    void refusesWhatIsNoListOfKeys(String yaml, String error) {
        assertThatThrownBy(() -> load(yaml))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining(error);
    }

    @Test
    void saysThatThereIsNoFile() {
        assertThatThrownBy(() -> ApiKeys.load(file(), STREAMS, watch))
                .isInstanceOf(ConfigurationException.class)
                .hasMessage("DEDUP_API_KEYS_FILE: " + file() + " does not exist");
    }

    @Test
    void readsTheExampleOfTheDocumentation() throws Exception {
        Matcher example =
                Pattern.compile("```yaml\n(keys:\n.*?)```", Pattern.DOTALL).matcher(Files.readString(CONFIGURATION));
        assertThat(example.find()).isTrue();
        assertThat(new ApiKeysParser(new Source("DEDUP_API_KEYS_FILE", CONFIGURATION), STREAMS).parse(example.group(1)))
                .extracting(ApiKeys.ApiKey::name)
                .containsExactly("mobile-app", "backend", "prometheus");
    }
}
