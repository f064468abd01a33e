package io.github.eventdedup.ingest;

import static io.github.eventdedup.ingest.testing.TestEvents.STREAM;
import static io.github.eventdedup.ingest.testing.TestEvents.VECTOR;
import static io.github.eventdedup.ingest.testing.TestEvents.VECTOR_FINGERPRINT;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.github.eventdedup.ingest.events.IngestHandler;
import io.github.eventdedup.ingest.testing.RawClient;
import io.github.eventdedup.ingest.testing.TestEvents;
import io.github.eventdedup.ingest.testing.TestIngest;
import java.io.File;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Runs what README.md and docs/clients.md tell clients to run. */
class ClientsIT {

    private static final Path README = Path.of("..", "README.md");
    private static final Path CLIENTS = Path.of("..", "docs", "clients.md");
    private static final String PORT = "8001";

    @TempDir
    private static Path directory;

    private static TestIngest ingest;

    @BeforeAll
    static void start() throws Exception {
        ingest = TestIngest.start(directory, Map.of());
    }

    @AfterAll
    static void stop() {
        if (ingest != null) {
            ingest.close();
        }
    }

    /** One after the other in one folder, for a later one uses the files of those before it. */
    @TestFactory
    Stream<DynamicTest> theCurlExamplesAreAnsweredAsTheySay() throws Exception {
        Path folder = Files.createDirectory(directory.resolve("curl"));
        Files.writeString(folder.resolve(".curlrc"), """
                silent
                show-error
                max-time = 30
                noproxy = "*"
                write-out = "\\n%{http_code}\\n"
                """);
        // Until the dead letters were read, it is not known what became of an event.
        TestIngest.await()
                .until(() -> RawClient.get(ingest.port(), "/v1/streams/view-events/events/" + VECTOR_FINGERPRINT)
                                .status()
                        == 404);
        List<String> examples = curlExamples(CLIENTS);
        assertThat(examples).hasSize(7);
        List<String> ofReadme = curlExamples(README);
        assertThat(ofReadme).hasSize(1);
        // The sentence after it says so.
        examples.add(ofReadme.get(0) + "\n# 202 {\"status\":\"accepted\",\"fingerprint\":\"2f4f2aef");
        return examples.stream()
                .map(example ->
                        DynamicTest.dynamicTest(example.lines().findFirst().orElseThrow(), () -> {
                            String[] expected = example.substring(example.indexOf("\n# ") + 3)
                                    .split(" ", 2);
                            List<String> output = run(folder, "bash", "-euc", example.replace(PORT, ingestPort()))
                                    .lines()
                                    .toList();
                            assertThat(output.get(output.size() - 1)).isEqualTo(expected[0]);
                            assertThat(output.get(output.size() - 2)).startsWith(expected[1].strip());
                        }));
    }

    /** The indented blocks in which a line begins with curl. */
    private static List<String> curlExamples(Path file) throws IOException {
        List<String> examples = new ArrayList<>();
        for (String block : Files.readString(file).split("\n\\s*\n", -1)) {
            if (block.lines().allMatch(line -> line.startsWith("    "))
                    && block.lines().anyMatch(line -> line.startsWith("    curl "))) {
                examples.add(block.stripIndent().strip());
            }
        }
        return examples;
    }

    private static String ingestPort() {
        return Integer.toString(ingest.port());
    }

    /** The languages that docs/clients.md has a snippet in. */
    enum Language {
        PYTHON("python", "python3", "client.py", "import json; print(json.dumps([[e, r] for e, r in refused]))"),
        JAVASCRIPT(
                "js",
                "node",
                "client.mjs",
                "console.log(JSON.stringify(refused.map(({ event, error }) => [event, error])));");

        private final String fence;
        private final String program;
        private final String file;
        private final String print;

        Language(String fence, String program, String file, String print) {
            this.fence = fence;
            this.program = program;
            this.file = file;
            this.print = print;
        }

        /** A program of the snippet and the line that uses it, which prints what was refused. */
        Path write(Path folder, int port, String events) throws IOException {
            Matcher snippet = Pattern.compile("```" + fence + "\n(.*?)\n```\n\n    ([^\n]+)\n", Pattern.DOTALL)
                    .matcher(Files.readString(CLIENTS));
            assertThat(snippet.find()).as("snippet in %s", fence).isTrue();
            String call = (this == JAVASCRIPT ? "const " : "") + "events = " + events + "\n" + snippet.group(2);
            String code = snippet.group(1) + "\n" + call + "\n" + print + "\n";
            String withPort = code.contains("port=" + PORT)
                    ? code.replace("port=" + PORT, "port=" + port)
                    : code.replace(":" + PORT, ":" + port);
            return Files.writeString(Files.createDirectory(folder).resolve(file), withPort);
        }

        /** Python need not be on every machine; npm, and so Node, has to. */
        void assumeInstalled() {
            boolean installed = Stream.of(System.getenv("PATH").split(File.pathSeparator, -1))
                    .anyMatch(path -> Files.isExecutable(Path.of(path, program)));
            if (this == PYTHON && !installed) {
                System.out.println("python3 is not on this machine: the Python snippet of docs/clients.md was not run");
            }
            Assumptions.assumeTrue(installed || this == JAVASCRIPT, "no " + program + " on this machine");
        }
    }

    @ParameterizedTest
    @EnumSource
    void theSnippetSendsEventsAndTellsWhatWasRefused(Language language) throws Exception {
        language.assumeInstalled();
        long before = vectors();
        Path program = language.write(
                directory.resolve(language + "-real"), ingest.port(), "[" + VECTOR + ", {\"userId\": \"u1\"}]");
        assertThat(run(program.getParent(), language.program, program.toString()))
                .isEqualToIgnoringWhitespace("[[{\"userId\":\"u1\"},"
                        + "\"the event lacks the fields content_id, event_name, event_datetime, sid\"]]");
        assertThat(vectors()).isEqualTo(before + 1);
    }

    private static long vectors() {
        return ingest.kafka.records(STREAM).stream()
                .filter(record -> HexFormat.of().formatHex(record.key()).equals(VECTOR_FINGERPRINT))
                .count();
    }

    @ParameterizedTest
    @EnumSource
    void theSnippetSendsAgainWhatIsToBeSentAgain(Language language) throws Exception {
        language.assumeInstalled();
        try (Script script = new Script(
                // No answer at all.
                new Line(0, "", "", 0),
                // Of a proxy.
                new Line(503, "text/html", "<h1>Service Unavailable</h1>", 1),
                new Line(
                        207,
                        "application/json",
                        "{\"accepted\":1,\"rejected\":2,\"results\":[{\"index\":0,\"status\":\"accepted\"},"
                                + "{\"index\":1,\"status\":\"rejected\",\"error\":\"bad\"},"
                                + "{\"index\":2,\"status\":\"rejected\",\"error\":\"full\",\"retry\":true}]}",
                        0),
                new Line(
                        202,
                        "application/json",
                        "{\"accepted\":1,\"rejected\":0,\"results\":[{\"index\":0,\"status\":\"accepted\"}]}",
                        0))) {
            Path program = language.write(
                    directory.resolve(language + "-again"), script.port(), "[{\"n\": 0}, {\"n\": 1}, {\"n\": 2}]");
            assertThat(run(program.getParent(), language.program, program.toString()))
                    .isEqualToIgnoringWhitespace("[[{\"n\":1},\"bad\"]]");
            List<Request> requests = script.requests();
            assertThat(requests).extracting(Request::numbers).containsExactly("012", "012", "012", "2");
            assertThat(Duration.ofNanos(
                            requests.get(2).nanos() - requests.get(1).nanos()))
                    .isGreaterThanOrEqualTo(Duration.ofMillis(990));
        }
    }

    @ParameterizedTest
    @EnumSource
    void theSnippetDoesNotSendAgainWhatIsRefused(Language language) throws Exception {
        language.assumeInstalled();
        try (Script script = new Script(new Line(403, "application/problem+json", "{\"detail\":\"not yours\"}", 0))) {
            Path program = language.write(directory.resolve(language + "-refused"), script.port(), "[{\"n\": 0}]");
            assertThat(runFailing(program.getParent(), language.program, program.toString()))
                    .contains("403: not yours");
            assertThat(script.requests()).hasSize(1);
        }
    }

    @Test
    void theLoadScriptSendsEventsThatAreTaken() throws Exception {
        Matcher snippet = Pattern.compile("```lua\n.*?\n```", Pattern.DOTALL).matcher(Files.readString(CLIENTS));
        assertThat(snippet.find()).isTrue();
        Matcher event = Pattern.compile("local event = '(.*)'").matcher(snippet.group());
        assertThat(event.find()).isTrue();
        TestEvents.fingerprint(RawClient.post(
                ingest.port(), IngestHandler.LEGACY_PATH, event.group(1).formatted(1, 1, "2025-05-01T00:00:00Z", 1)));
    }

    /** One answer of a service in trouble; status 0 closes the connection without any. */
    private record Line(int status, String type, String body, int retryAfter) {}

    /** @param numbers the fields {@code n} of the events, one after the other */
    private record Request(long nanos, String numbers) {}

    /** A server that answers as a service in trouble does, which cannot be brought about at will, each line once. */
    private static final class Script implements AutoCloseable {

        private final HttpServer server;
        private final List<Line> lines;
        private final List<Request> requests = new CopyOnWriteArrayList<>();

        Script(Line... lines) throws IOException {
            this.lines = List.of(lines);
            server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
            server.createContext("/v1/streams/view-events/events", this::answer);
            server.start();
        }

        int port() {
            return server.getAddress().getPort();
        }

        List<Request> requests() {
            return requests;
        }

        private void answer(HttpExchange exchange) throws IOException {
            StringBuilder numbers = new StringBuilder();
            for (String event :
                    new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8).split("\n", -1)) {
                numbers.append(new JsonMapper().readTree(event).path("n").intValue());
            }
            requests.add(new Request(System.nanoTime(), numbers.toString()));
            Line line = lines.get(Math.min(requests.size(), lines.size()) - 1);
            if (line.status() > 0) {
                exchange.getResponseHeaders().set("Content-Type", line.type());
                if (line.retryAfter() > 0) {
                    exchange.getResponseHeaders().set("Retry-After", Integer.toString(line.retryAfter()));
                }
                byte[] body = line.body().getBytes(StandardCharsets.UTF_8);
                exchange.sendResponseHeaders(line.status(), body.length);
                exchange.getResponseBody().write(body);
            }
            exchange.close();
        }

        @Override
        public void close() {
            server.stop(0);
        }
    }

    private static String run(Path folder, String... command) throws Exception {
        return run(0, folder, command);
    }

    private static String runFailing(Path folder, String... command) throws Exception {
        return run(1, folder, command);
    }

    /** Everything that the command prints; it has a minute, because one that tries again for ever is a mistake. */
    private static String run(int exitCode, Path folder, String... command) throws Exception {
        Path output = folder.resolve("output");
        ProcessBuilder builder = new ProcessBuilder(command)
                .directory(folder.toFile())
                .redirectErrorStream(true)
                .redirectOutput(output.toFile());
        builder.environment().put("CURL_HOME", folder.toString());
        Process process = builder.start();
        try {
            boolean ended = process.waitFor(60, TimeUnit.SECONDS);
            assertThat(ended).as("ended by itself: " + Files.readString(output)).isTrue();
            assertThat(process.exitValue()).as(Files.readString(output)).isEqualTo(exitCode);
            return Files.readString(output);
        } finally {
            process.destroyForcibly();
        }
    }
}
