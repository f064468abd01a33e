package io.github.eventdedup.ingest;

import static io.github.eventdedup.ingest.testing.TestEvents.PATH;
import static io.github.eventdedup.ingest.testing.TestEvents.VECTOR;
import static io.github.eventdedup.ingest.testing.TestEvents.fingerprint;
import static io.github.eventdedup.ingest.testing.TestEvents.problem;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.github.eventdedup.ingest.events.IngestHandler;
import io.github.eventdedup.ingest.testing.OpenApiDocument;
import io.github.eventdedup.ingest.testing.OpenApiDocument.Example;
import io.github.eventdedup.ingest.testing.OpenApiDocument.Operation;
import io.github.eventdedup.ingest.testing.RawClient;
import io.github.eventdedup.ingest.testing.RawClient.Answer;
import io.github.eventdedup.ingest.testing.TestIngest;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What the OpenAPI document says, held against the running service, and the pages that show it. */
class OpenApiIT {

    @TempDir
    private static Path directory;

    private static TestIngest ingest;
    private static OpenApiDocument document;

    @BeforeAll
    static void start() throws Exception {
        ingest = TestIngest.start(directory, Map.of());
        document = OpenApiDocument.of(get("/openapi.json").body());
    }

    @AfterAll
    static void stop() {
        if (ingest != null) {
            ingest.close();
        }
    }

    @Test
    void theDocumentIsTheOneInTheSources() throws Exception {
        assertThat(document.root).isEqualTo(OpenApiDocument.fromResource().root);
    }

    @Test
    void theDocumentHasEveryRouteAndNoOther() {
        Set<String> documented = new TreeSet<>();
        for (Operation operation : document.operations()) {
            for (String path : paths(operation)) {
                documented.add(operation.method() + " " + path);
            }
        }
        assertThat(withoutHead(ingest.ingest.routes())).isEqualTo(withoutHead(documented));
    }

    /** The paths of an operation; one whose parameter has a few values only is several. */
    private static List<String> paths(Operation operation) {
        for (JsonNode parameter : operation.parameters()) {
            JsonNode values = parameter.path("schema").path("enum");
            if (parameter.path("in").textValue().equals("path") && values.isArray()) {
                String name = "{" + parameter.path("name").textValue() + "}";
                List<String> paths = new ArrayList<>();
                values.forEach(value -> paths.add(operation.path().replace(name, value.textValue())));
                return paths;
            }
        }
        return List.of(operation.path());
    }

    /** HEAD is part of GET. */
    private static Set<String> withoutHead(Set<String> routes) {
        Set<String> others = new TreeSet<>(routes);
        others.removeIf(
                route -> route.startsWith("HEAD ") && routes.contains("GET " + route.substring("HEAD ".length())));
        return others;
    }

    @TestFactory
    Stream<DynamicTest> whatIsReadIsAnsweredAsDocumented() {
        return document.operations().stream()
                .filter(operation -> operation.method().equals("GET"))
                .flatMap(operation -> paths(operation).stream()
                        .map(path -> DynamicTest.dynamicTest("GET " + path, () -> {
                            String filled = withParameters(operation, path);
                            Answer answer = get(filled);
                            isAsDocumented(operation, answer);
                            assertThat(RawClient.head(ingest.port(), filled)).isEqualTo(answer.status());
                        })));
    }

    private static String withParameters(Operation operation, String path) {
        String filled = path;
        for (JsonNode parameter : operation.parameters()) {
            filled = filled.replace(
                    "{" + parameter.path("name").textValue() + "}",
                    parameter.path("example").asText());
        }
        return filled;
    }

    @TestFactory
    Stream<DynamicTest> everyExampleIsAnsweredAsDocumented() {
        List<Example> examples = document.requestExamples();
        assertThat(examples).hasSizeGreaterThan(5);
        return examples.stream()
                .map(example -> DynamicTest.dynamicTest(example.toString(), () -> {
                    byte[] body = example.body().getBytes(StandardCharsets.UTF_8);
                    for (Answer answer : List.of(post(example, "", body), post(example, "gzip", gzip(body)))) {
                        assertThat(answer.status()).as(answer.body()).isEqualTo(example.answer());
                        isAsDocumented(example.operation(), answer);
                    }
                }));
    }

    private static Answer post(Example example, String encoding, byte[] body) throws IOException {
        String head = "POST "
                + withParameters(example.operation(), example.operation().path())
                + " HTTP/1.1\r\nContent-Type: " + example.contentType() + "\r\nContent-Length: " + body.length + "\r\n"
                + (encoding.isEmpty() ? "" : "Content-Encoding: " + encoding + "\r\n");
        return RawClient.request(ingest.port(), head, body);
    }

    private static byte[] gzip(byte[] body) throws IOException {
        ByteArrayOutputStream compressed = new ByteArrayOutputStream();
        try (GZIPOutputStream gzip = new GZIPOutputStream(compressed)) {
            gzip.write(body);
        }
        return compressed.toByteArray();
    }

    @ParameterizedTest
    @CsvSource({
        "POST, nope, application/json, 2, 404",
        "PUT, view-events, application/json, 2, 405",
        "POST, view-events, application/json, 300000000, 413",
        "POST, view-events, text/csv, 2, 415",
    })
    void refusalsAreAnsweredAsDocumented(String method, String stream, String type, int length, int status)
            throws Exception {
        String head = method + " /v1/streams/" + stream + "/events HTTP/1.1\r\nContent-Type: " + type
                + "\r\nContent-Length: " + length + "\r\n";
        Answer answer = RawClient.request(ingest.port(), head, "{}".getBytes(StandardCharsets.UTF_8));
        assertThat(answer.status()).isEqualTo(status);
        isAsDocumented(document.operation("POST", IngestHandler.STREAM_PATH), answer);
    }

    @Test
    void headersThatAreTooLargeAreAnsweredAsDocumented() throws Exception {
        String head = "POST " + PATH + " HTTP/1.1\r\nX-Large: " + "x".repeat(20_000) + "\r\n";
        Answer answer = RawClient.request(ingest.port(), head, new byte[0]);
        assertThat(answer.status()).isEqualTo(431);
        isAsDocumented(document.operation("POST", PATH), answer);
    }

    private static void isAsDocumented(Operation operation, Answer answer) throws IOException {
        JsonNode response = document.response(operation, answer.status());
        assertThat(response.isMissingNode())
                .as("%s is answered with %s, which is not documented", operation, answer)
                .isFalse();
        String type = answer.headers().get("content-type").split(";", -1)[0];
        JsonNode content = response.path("content").path(type);
        assertThat(content.isMissingNode())
                .as("%s is answered with %s, whose type is not documented", operation, answer)
                .isFalse();
        for (Map.Entry<String, JsonNode> header : response.path("headers").properties()) {
            if (!header.getKey().equals("Retry-After") || answer.status() == 503) {
                assertThat(answer.headers()).containsKey(header.getKey().toLowerCase(Locale.ROOT));
            }
        }
        if (type.endsWith("json")) {
            JsonNode json = new JsonMapper().readTree(answer.body());
            assertThat(document.errors(content.path("schema"), json))
                    .as(answer.body())
                    .isEmpty();
        }
    }

    @ParameterizedTest
    @CsvSource({
        "/docs, text/html;charset=utf-8",
        "/docs/, text/html;charset=utf-8",
        "/docs/docs.css, text/css;charset=utf-8",
        "/docs/docs.js, text/javascript;charset=utf-8",
        "/docs/swagger-ui.css, text/css;charset=utf-8",
        "/docs/swagger-ui-bundle.js, text/javascript;charset=utf-8",
        "/docs/favicon-32x32.png, image/png",
        "/openapi.json, application/json",
    })
    void thePageIsServedWithItsTypesAndLoadsNothingFromElsewhere(String path, String type) throws Exception {
        Answer answer = get(path);
        assertThat(answer.status()).isEqualTo(200);
        assertThat(answer.headers())
                .containsEntry("content-type", type)
                .containsEntry("x-content-type-options", "nosniff")
                .containsEntry("cache-control", "no-cache");
        // Whatever the script would like to load, the browser lets it load from here alone.
        assertThat(answer.headers().get("content-security-policy"))
                .startsWith("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
                        + " connect-src 'self';")
                .doesNotContain("http", "unsafe", "*");
        if (path.endsWith(".css")) {
            assertThat(answer.body().replace("url(data:", "").replace("url(\"data:", ""))
                    .doesNotContain("url(", "@import");
        } else if (type.startsWith("text/") && !path.endsWith("bundle.js")) {
            assertThat(answer.body()).doesNotContain("http:", "https:", "\"//", "'//");
        }
    }

    @Test
    void whatThePageLoadsIsThere() throws Exception {
        String page = get("/docs").body();
        List<String> loaded = Stream.of(page.split("(href|src)=\"", -1))
                .skip(1)
                .map(rest -> rest.substring(0, rest.indexOf('"')))
                .toList();
        assertThat(loaded).contains("/docs/swagger-ui-bundle.js", "/docs/docs.js", "/docs/swagger-ui.css");
        for (String path : loaded) {
            assertThat(get(path).status()).as(path).isEqualTo(200);
        }
        assertThat(get("/docs/docs.js").body()).contains("url: '/openapi.json'", "validatorUrl: null");
    }

    @Test
    void aBrowserThatHasTheFileIsToldSo() throws Exception {
        String tag = get("/docs/swagger-ui-bundle.js").headers().get("etag");
        Answer answer;
        try (RawClient client = new RawClient(ingest.port())) {
            client.send("GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nIf-None-Match: " + tag + "\r\n", new byte[0]);
            assertThat(client.readStatus()).isEqualTo(304);
        }
        answer = RawClient.request(
                ingest.port(), "GET /docs/docs.js HTTP/1.1\r\nIf-None-Match: " + tag + "\r\n", new byte[0]);
        assertThat(answer.status()).isEqualTo(200);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "/docs/index.html",
                "/docs/swagger-ui.js",
                "/docs/swagger-ui.css/",
                "/docs/docs/docs.js",
                "/docs/../openapi.yaml",
                "/docs/..%2fopenapi.yaml",
                "/docs/%2e%2e/openapi.yaml",
                "/docs/..\\openapi.yaml",
                "/docs//",
                "//docs",
                "/openapi.yaml",
                "/webjars/swagger-ui/swagger-ui.css",
                "/META-INF/MANIFEST.MF",
            })
    void nothingElseIsServed(String path) throws Exception {
        Answer answer = get(path);
        problem(answer, answer.status() == 400 ? 400 : 404);
    }

    @Test
    void isReadAndNotWritten() throws Exception {
        Answer answer = RawClient.post(ingest.port(), "/docs", "{}");
        assertThat(problem(answer, 405)).contains("GET");
        assertThat(answer.headers()).containsEntry("allow", "GET, HEAD");
    }

    @Test
    void readersThatDoNotReadHoldUpNobody() throws Exception {
        List<RawClient> slow = new ArrayList<>();
        try {
            for (int i = 0; i < 20; i++) {
                RawClient client = new RawClient(ingest.port());
                slow.add(client);
                // More than the network keeps for a reader.
                String request = "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: test\r\n\r\n";
                client.send(request.repeat(10).getBytes(StandardCharsets.ISO_8859_1));
            }
            assertThat(fingerprint(RawClient.post(ingest.port(), PATH, VECTOR))).hasSize(64);
        } finally {
            for (RawClient client : slow) {
                client.close();
            }
        }
    }

    private static Answer get(String path) throws IOException {
        return RawClient.get(ingest.port(), path);
    }
}
