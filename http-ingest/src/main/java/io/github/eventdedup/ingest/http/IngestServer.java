package io.github.eventdedup.ingest.http;

import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.ingest.access.ApiKeys;
import io.github.eventdedup.ingest.events.IngestHandler;
import io.github.eventdedup.ingest.events.KafkaReadiness;
import io.github.eventdedup.ingest.lookup.Receipts;
import io.github.eventdedup.ingest.metrics.IngestMetrics;
import io.github.eventdedup.ingest.response.AccessLog;
import io.github.eventdedup.ingest.response.ProblemException;
import io.github.eventdedup.ingest.response.ResponseWriter;
import io.github.eventdedup.ingest.settings.IngestSettings;
import io.javalin.Javalin;
import io.javalin.compression.CompressionStrategy;
import io.javalin.config.JavalinConfig;
import io.javalin.http.Context;
import io.javalin.http.HttpResponseException;
import io.javalin.http.MethodNotAllowedResponse;
import io.javalin.router.EndpointNotFound;
import io.javalin.router.ParsedEndpoint;
import io.javalin.util.JavalinException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeoutException;
import org.eclipse.jetty.http.HttpField;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.http.HttpStatus;
import org.eclipse.jetty.http.PreEncodedHttpField;
import org.eclipse.jetty.io.ByteBufferPool;
import org.eclipse.jetty.server.ConnectionFactory;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.NetworkConnectionLimit;
import org.eclipse.jetty.server.SecureRequestCustomizer;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.server.SslConnectionFactory;
import org.eclipse.jetty.util.ssl.SslContextFactory;
import org.eclipse.jetty.util.thread.QueuedThreadPool;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The routes and the web server. Thread-safe. */
public final class IngestServer implements AutoCloseable {

    private static final String RECEIPT_PATH = "/v1/streams/{stream}/events/{fingerprint}";

    private static final Logger LOG = LoggerFactory.getLogger(IngestServer.class);

    private static final String JSON = "application/json";

    /**
     * While a request waits for Kafka nothing happens on its connection. It is not closed for that sooner than after this,
     * however short connections may rest.
     */
    private static final Duration LEAST_TIMEOUT_OF_REQUESTS = Duration.ofSeconds(30);

    /**
     * Further connections are not accepted until others are closed: each needs memory. More than a busy service has.
     */
    private static final int MOST_CONNECTIONS = 16_000;

    /** How long connections may rest when there are too many. */
    private static final Duration CROWDED_IDLE_TIMEOUT = Duration.ofSeconds(5);

    /** Room for a token or a few cookies; what a client sends of headers is held as long as its request. */
    private static final int REQUEST_HEADER_BYTES = 8 * 1024;

    private final IngestHandler events;
    private final DocsHandler docs;
    private final ResponseWriter answers;
    private final KafkaReadiness watch;
    private final IngestMetrics metrics;
    private final Receipts receipts;
    private final ApiKeys apiKeys;
    private final QueuedThreadPool threads;
    private final Javalin javalin;
    /**
     * How long responses announce the close before connections are closed. Jetty alone would close connections whose
     * response is being written at that moment, unannounced, and with the client's next request on its way.
     */
    private static final Duration NOTICE = Duration.ofSeconds(1);

    /**
     * Starts to listen.
     *
     * @param events handles the requests that carry events
     * @param apiKeys the keys that may use the service, or null where none is required
     * @param tls the certificate of HTTPS, or null for HTTP
     * @throws ConfigurationException where the port is not available
     */
    public IngestServer(
            IngestSettings settings,
            IngestHandler events,
            ResponseWriter answers,
            KafkaReadiness watch,
            IngestMetrics metrics,
            Receipts receipts,
            ApiKeys apiKeys,
            SslContextFactory.Server tls)
            throws ConfigurationException {
        this.events = events;
        this.answers = answers;
        docs = new DocsHandler(answers);
        this.watch = watch;
        this.metrics = metrics;
        this.receipts = receipts;
        this.apiKeys = apiKeys;
        // No request waits in a thread, neither for its client nor for Kafka, so more threads than this would only
        // take turns: eight were the fastest on two cores. One accepts connections, one for each core selects, and
        // takes
        // the events of most requests itself.
        threads = new QueuedThreadPool(Math.max(8, 4 * Runtime.getRuntime().availableProcessors()));
        threads.setName("http");
        javalin = Javalin.create(config -> configure(config, settings, tls));
        try {
            javalin.start();
            metrics.connections(() -> javalin.jettyServer()
                    .server()
                    .getConnectors()[0]
                    .getConnectedEndPoints()
                    .size());
        } catch (JavalinException e) {
            throw new ConfigurationException("cannot listen on " + settings.host() + " port " + settings.port()
                    + "; stop what uses the port, or choose another with DEDUP_HTTP_PORT (" + rootMessage(e) + ")");
        }
    }

    private static String rootMessage(Throwable failure) {
        Throwable root = failure;
        while (root.getCause() != null) {
            root = root.getCause();
        }
        return root.getMessage();
    }

    /** The port that is listened on. */
    public int port() {
        return javalin.port();
    }

    /** What is served, each as method and path; {@code HEAD} beside {@code GET} goes without saying. */
    public Set<String> routes() {
        Set<String> routes =
                new TreeSet<>(Set.of("POST " + IngestHandler.LEGACY_PATH, "POST " + IngestHandler.STREAM_PATH));
        docs.paths().forEach(path -> routes.add("GET " + path));
        for (ParsedEndpoint parsed : javalin.unsafe.internalRouter.allHttpHandlers()) {
            if (parsed.endpoint.method.isHttpMethod()) {
                routes.add(parsed.endpoint.method + " " + parsed.endpoint.path);
            }
        }
        return routes;
    }

    private void configure(JavalinConfig config, IngestSettings settings, SslContextFactory.Server tls) {
        config.startup.showJavalinBanner = false;
        config.startup.showOldJavalinVersionWarning = false;
        config.startup.startupWatcherEnabled = false;
        config.http.prefer405over404 = true;
        // Where an answer starts out as JSON, Jetty adds a charset to the type of the problem that replaces it.
        config.http.defaultContentType = ProblemException.CONTENT_TYPE;
        // The answers are shorter than what compressing them would add.
        config.http.compressionStrategy = CompressionStrategy.NONE;
        config.jetty.threadPool = threads;
        config.jetty.modifyServer(server -> {
            events.setHandler(docs);
            server.setHandler(events);
            server.setRequestLog(new AccessLog(metrics, settings.accessLog()));
            server.setErrorHandler(new ProblemErrorHandler(answers));
            server.setStopTimeout(settings.drainTimeout().toMillis());
            if (!settings.corsOrigins().isEmpty()) {
                server.insertHandler(Cors.handler(settings.corsOrigins()));
            }
        });
        config.jetty.modifyServletContextHandler(context -> context.setErrorHandler(new ProblemErrorHandler(answers)));
        config.jetty.addConnector((server, http) -> connector(server, http, settings, tls));

        config.routes.get(RECEIPT_PATH, this::receipt);
        // As for readiness below: a HEAD must not say that an event is stored which is not.
        config.routes.head(RECEIPT_PATH, this::receipt);
        config.routes.get("/health/live", context -> answer(context, HttpStatus.OK_200, "{\"status\":\"live\"}"));
        config.routes.get("/health/ready", this::ready);
        config.routes.get("/metrics", this::metrics);
        // Without this Javalin would answer a HEAD with 200 in any case.
        config.routes.head("/health/ready", this::ready);
        config.routes.after(context -> {
            if (answers.draining()) {
                context.header("Connection", "close");
            }
        });
        config.routes.exception(Exception.class, IngestServer::answerFailure);
        // Javalin has a handler of its own for these, which is no problem+json.
        config.routes.exception(HttpResponseException.class, IngestServer::answerFailure);
        config.router.javaLangErrorHandler((response, error) -> {
            LOG.error("A request failed", error);
            response.setStatus(HttpStatus.INTERNAL_SERVER_ERROR_500);
        });
    }

    private ServerConnector connector(
            Server server, HttpConfiguration http, IngestSettings settings, SslContextFactory.Server tls) {
        if (tls != null) {
            // Without a check of the requested host name: many clients use the address.
            http.addCustomizer(new SecureRequestCustomizer(false));
        }
        http.setRequestHeaderSize(REQUEST_HEADER_BYTES);
        long keepAliveSeconds = settings.keepAliveTimeout().toSeconds();
        // A second less than the truth, so that a client which counts on it never meets a closing connection.
        HttpField keepAlive =
                new PreEncodedHttpField(HttpHeader.KEEP_ALIVE, "timeout=" + Math.max(1, keepAliveSeconds - 1));
        http.addCustomizer((request, headers) -> {
            if (!answers.draining()) {
                headers.add(keepAlive);
            }
            return request;
        });
        if (settings.keepAliveTimeout().compareTo(LEAST_TIMEOUT_OF_REQUESTS) < 0) {
            http.setIdleTimeout(LEAST_TIMEOUT_OF_REQUESTS.toMillis());
        }
        // Buffers are not pooled: where the web server once gave one back twice, two clients would share it, and one of
        // them could read what is the other's. On the heap, where new ones cost next to nothing.
        http.setUseInputDirectByteBuffers(false);
        http.setUseOutputDirectByteBuffers(false);
        HttpConnectionFactory http1 = new HttpConnectionFactory(http);
        ConnectionFactory[] protocols = tls == null
                ? new ConnectionFactory[] {http1}
                : new ConnectionFactory[] {new SslConnectionFactory(tls, http1.getProtocol()), http1};
        ServerConnector connector = new ServerConnector(
                server,
                null,
                null,
                ByteBufferPool.NON_POOLING,
                1,
                Runtime.getRuntime().availableProcessors(),
                protocols);
        connector.addBean(new SlowClientGuard(connector));
        NetworkConnectionLimit connections = new NetworkConnectionLimit(MOST_CONNECTIONS, connector);
        connections.setEndPointIdleTimeout(CROWDED_IDLE_TIMEOUT.toMillis());
        server.addBean(connections);
        connector.setHost(settings.host());
        connector.setPort(settings.port());
        connector.setIdleTimeout(settings.keepAliveTimeout().toMillis());
        // Java's own 50 is too few for many that connect at once: those beyond it retry after a second.
        connector.setAcceptQueueSize(1024);
        // A connection that rests is closed this soon once the service drains; one with a request is waited for. Sooner
        // would
        // meet requests that are on their way.
        connector.setShutdownIdleTimeout(2000);
        return connector;
    }

    private void receipt(Context context) {
        if (apiKeys != null) {
            apiKeys.check(context.header("Authorization"), context.header("X-API-Key"), context.pathParam("stream"));
        }
        // What is not stored now may be in a second.
        context.header("Cache-Control", "no-store");
        context.future(() -> receipts.find(context.pathParam("stream"), context.pathParam("fingerprint"))
                .whenCompleteAsync((receipt, failure) -> {}, this::onThreadOfOurs)
                .thenAccept(receipt -> answer(context, HttpStatus.OK_200, receipt)));
    }

    private void metrics(Context context) {
        if (apiKeys != null) {
            apiKeys.checkMetrics(context.header("Authorization"), context.header("X-API-Key"));
        }
        context.contentType(IngestMetrics.CONTENT_TYPE).result(metrics.scrape());
    }

    private void onThreadOfOurs(Runnable task) {
        try {
            threads.execute(task);
        } catch (RejectedExecutionException e) {
            LOG.debug("A response came after the server had stopped", e);
        }
    }

    private void ready(Context context) {
        if (answers.draining()) {
            throw ProblemException.unavailable("the service is stopping");
        }
        watch.obstacle().ifPresent(reason -> {
            throw ProblemException.unavailable(reason);
        });
        answer(context, HttpStatus.OK_200, "{\"status\":\"ready\"}");
    }

    private static void answer(Context context, int status, String json) {
        context.status(status).contentType(JSON).result(json.getBytes(StandardCharsets.UTF_8));
    }

    private static void answerFailure(Exception failure, Context context) {
        if (failure instanceof ProblemException problem) {
            answer(context, problem);
        } else if (failure instanceof EndpointNotFound) {
            answer(
                    context,
                    new ProblemException(
                            HttpStatus.NOT_FOUND_404,
                            "there is nothing here; events go to POST /v1/streams/{stream}/events"));
        } else if (failure instanceof MethodNotAllowedResponse refused) {
            String allowed = String.join(", ", refused.getDetails().values());
            context.header("Allow", allowed);
            answer(context, new ProblemException(HttpStatus.METHOD_NOT_ALLOWED_405, "the method here is " + allowed));
        } else if (failure instanceof HttpResponseException refused) {
            answer(context, new ProblemException(refused.getStatus(), refused.getMessage()));
        } else {
            LOG.error("A request failed", failure);
            answer(
                    context,
                    new ProblemException(HttpStatus.INTERNAL_SERVER_ERROR_500, "the service failed; its log says why"));
        }
    }

    private static void answer(Context context, ProblemException problem) {
        problem.headers().forEach(context::header);
        context.status(problem.status())
                .contentType(ProblemException.CONTENT_TYPE)
                .result(problem.json());
    }

    /**
     * Lets requests in flight finish. For a moment the service continues, but is not ready, and every response
     * announces that its connection closes. Then no new connection is accepted, and the others are closed when they are
     * idle.
     *
     * @return false where requests had to be cut off because the drain timeout was over
     */
    public boolean drain() {
        answers.drain();
        try {
            Thread.sleep(NOTICE.toMillis());
            // Not Javalin's own stop, which logs a stack trace when the time is over.
            javalin.jettyServer().server().stop();
            return true;
        } catch (TimeoutException e) {
            LOG.warn("Requests in flight outlasted the drain timeout and were cut off");
            return false;
        } catch (Exception e) {
            LOG.error("The web server did not stop cleanly", e);
            return false;
        }
    }

    @Override
    public void close() {
        drain();
    }
}
