package io.github.eventdedup.ingest.http;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import io.github.eventdedup.ingest.response.ProblemException;
import io.github.eventdedup.ingest.response.ResponseWriter;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import org.eclipse.jetty.http.HttpField;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.http.HttpMethod;
import org.eclipse.jetty.http.HttpStatus;
import org.eclipse.jetty.http.PreEncodedHttpField;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;

/**
 * Serves the OpenAPI document and the pages that show it, and hands all other requests on. These are the only answers of
 * any size, and a servlet would wait in a thread for each client that is slow to read them, which is why they are
 * written on the web server's own interface. Thread-safe.
 *
 * <p>There is no folder behind the paths: each is a key of a map, whose files are read at the start.
 */
final class DocsHandler extends Handler.Wrapper {

    private static final String HTML = "text/html;charset=utf-8";
    private static final String JAVASCRIPT = "text/javascript;charset=utf-8";
    private static final String CSS = "text/css;charset=utf-8";

    /**
     * The page runs only scripts of this host, and connects to no other. Swagger UI embeds its pictures in its style
     * sheet.
     */
    private static final HttpField CONTENT_SECURITY_POLICY = new PreEncodedHttpField(
            "Content-Security-Policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
                    + " base-uri 'none'; form-action 'none'; frame-ancestors 'none'");

    private static final HttpField NO_SNIFFING = new PreEncodedHttpField("X-Content-Type-Options", "nosniff");
    private static final HttpField NO_REFERRER = new PreEncodedHttpField("Referrer-Policy", "no-referrer");

    /** A new version shows at once; a browser that has the file already gets a short 304. */
    private static final HttpField REVALIDATE = new PreEncodedHttpField(HttpHeader.CACHE_CONTROL, "no-cache");

    private static final HttpField ALLOW = new PreEncodedHttpField(HttpHeader.ALLOW, "GET, HEAD");

    private final ResponseWriter answers;
    private final Map<String, Content> contents = new TreeMap<>();

    private record Content(HttpField type, HttpField tag, byte[] bytes) {}

    DocsHandler(ResponseWriter answers) {
        this.answers = answers;
        add("/openapi.json", "application/json", openApi());
        add("/docs", HTML, resource("/docs/index.html"));
        add("/docs/docs.js", JAVASCRIPT, resource("/docs/docs.js"));
        add("/docs/docs.css", CSS, resource("/docs/docs.css"));
        String swaggerUi = "/META-INF/resources/webjars/swagger-ui/" + swaggerUiVersion() + "/";
        add("/docs/swagger-ui.css", CSS, resource(swaggerUi + "swagger-ui.css"));
        add("/docs/swagger-ui-bundle.js", JAVASCRIPT, resource(swaggerUi + "swagger-ui-bundle.js"));
        add(
                "/docs/swagger-ui-bundle.js.LICENSE.txt",
                "text/plain;charset=utf-8",
                resource(swaggerUi + "swagger-ui-bundle.js.LICENSE.txt"));
        add("/docs/favicon-32x32.png", "image/png", resource(swaggerUi + "favicon-32x32.png"));
    }

    private void add(String path, String type, byte[] bytes) {
        contents.put(
                path,
                new Content(
                        new PreEncodedHttpField(HttpHeader.CONTENT_TYPE, type),
                        new PreEncodedHttpField(HttpHeader.ETAG, tag(bytes)),
                        bytes));
    }

    private static String tag(byte[] bytes) {
        try {
            byte[] hash = MessageDigest.getInstance("SHA-256").digest(bytes);
            return '"' + HexFormat.of().formatHex(Arrays.copyOf(hash, 8)) + '"';
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java has SHA-256", e);
        }
    }

    /** Written by hand in YAML, and read by programs as JSON. */
    private static byte[] openApi() {
        try {
            return new JsonMapper().writeValueAsBytes(new YAMLMapper().readTree(resource("/openapi.yaml")));
        } catch (IOException e) {
            throw new UncheckedIOException("openapi.yaml is not YAML", e);
        }
    }

    private static String swaggerUiVersion() {
        Properties properties = new Properties();
        try (InputStream in = open("/META-INF/maven/org.webjars/swagger-ui/pom.properties")) {
            properties.load(in);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return properties.getProperty("version");
    }

    private static byte[] resource(String name) {
        try (InputStream in = open(name)) {
            return in.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static InputStream open(String name) throws IOException {
        InputStream in = DocsHandler.class.getResourceAsStream(name);
        if (in == null) {
            throw new IOException(name + " is not on the class path");
        }
        return in;
    }

    /** The paths that are served here. */
    Iterable<String> paths() {
        return contents.keySet();
    }

    @Override
    public boolean handle(Request request, Response response, Callback callback) throws Exception {
        String path = Request.getPathInContext(request);
        Content content = contents.get(path.equals("/docs/") ? "/docs" : path);
        if (content == null) {
            return super.handle(request, response, callback);
        }
        boolean head = HttpMethod.HEAD.is(request.getMethod());
        if (!head && !HttpMethod.GET.is(request.getMethod())) {
            response.getHeaders().put(ALLOW);
            answers.problem(
                    response,
                    callback,
                    new ProblemException(HttpStatus.METHOD_NOT_ALLOWED_405, "the methods here are GET, HEAD"));
            return true;
        }
        response.getHeaders()
                .put(content.tag())
                .put(REVALIDATE)
                .put(CONTENT_SECURITY_POLICY)
                .put(NO_SNIFFING)
                .put(NO_REFERRER);
        // Said also where the bytes are not sent.
        response.getHeaders().put(HttpHeader.CONTENT_LENGTH, content.bytes().length);
        boolean known = content.tag().getValue().equals(request.getHeaders().get(HttpHeader.IF_NONE_MATCH));
        answers.write(
                response,
                callback,
                known ? HttpStatus.NOT_MODIFIED_304 : HttpStatus.OK_200,
                content.type(),
                known || head ? new byte[0] : content.bytes());
        return true;
    }
}
