package io.github.eventdedup.proof.load;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.management.OperatingSystemMXBean;
import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.proof.ledger.Ledger;
import io.github.eventdedup.proof.system.CpuTimes;
import io.github.eventdedup.proof.system.Endpoints;
import io.github.eventdedup.proof.system.ProofException;
import io.github.eventdedup.proof.system.TimeConverter;
import java.io.IOException;
import java.io.PrintWriter;
import java.lang.management.ManagementFactory;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The command {@code ./dedup load}. */
@Command(
        name = "load",
        mixinStandardHelpOptions = true,
        sortOptions = false,
        usageHelpWidth = 110,
        header = "Sends view events as clients do, some of them more than once and some that are none, and measures.",
        description = {
            "",
            "Each event has 137 fields and 3.5 KB. A copy that gets no answer, or one that says to come again, is sent"
                    + " again until it is acknowledged; any part of the system may be away for a while. With a rate the"
                    + " schedule waits for nobody, and an answer is timed from when its event was due.",
            ""
        },
        footer = {
            "",
            "Exits with 0 when every valid event was acknowledged and seen in the table, with 1 when one was not, and"
                    + " with 2 for wrong arguments. Events are looked for by sample, up to a hundred a second;"
                    + " ./dedup audit checks each."
        })
public final class Load implements Callable<Integer> {

    private static final String STREAM = "view-events";

    /** What the ingest takes in a request is 8 MiB. */
    private static final int MAX_BATCH = 2000;

    private static final int MAX_CONNECTIONS = 1000;
    private static final Duration ROWS_PATIENCE = Duration.ofMinutes(2);
    private static final Duration TICK = Duration.ofMillis(200);
    private static final Duration INTERRUPT_PATIENCE = Duration.ofSeconds(15);

    @Spec
    private CommandLine.Model.CommandSpec spec;

    @Option(
            names = "--rate",
            paramLabel = "N|max",
            defaultValue = "max",
            description = "copies a second, or as many as are taken (default: max)")
    private String rate;

    @Option(
            names = "--events",
            paramLabel = "N",
            description = "how many copies to send (default: 100000, unless there is a duration)")
    private Long events;

    @Option(
            names = "--duration",
            converter = TimeConverter.class,
            paramLabel = "30s|5m",
            description = "for how long to send; then the answers are awaited")
    private Duration duration;

    @Option(
            names = "--duplicates",
            paramLabel = "SHARE",
            defaultValue = "0.2",
            description =
                    "how much of all copies is of an event that was sent before, up to a million copies ago; a fifth"
                            + " of these go out at the same moment as the first, over another connection (default: ${DEFAULT-VALUE})")
    private double duplicates;

    @Option(
            names = "--invalid",
            paramLabel = "SHARE",
            defaultValue = "0.001",
            description = "how much of all copies is no event, and to be refused (default: ${DEFAULT-VALUE})")
    private double invalid;

    @Option(
            names = "--batch",
            paramLabel = "N",
            defaultValue = "1",
            description = "copies in a request, as NDJSON where it is more than one (default: ${DEFAULT-VALUE})")
    private int batch;

    @Option(
            names = "--connections",
            paramLabel = "N",
            defaultValue = "64",
            description = "clients, each with one request at a time (default: ${DEFAULT-VALUE})")
    private int connections;

    @Option(
            names = "--seed",
            paramLabel = "N",
            description =
                    "with the same one the same copies are sent, with another one only other events (default: random)")
    private Long seed;

    @Option(
            names = "--ledger",
            paramLabel = "FILE",
            description =
                    "what became of each copy, as CSV: acknowledged with its place in the topic, unknown or invalid"
                            + " (default: reports/load-TIME.ledger.csv in the data directory)")
    private Path ledger;

    @Option(names = "--json", paramLabel = "FILE", description = "the result for programs")
    private Path json;

    @Option(
            names = "--samples",
            paramLabel = "FILE",
            description =
                    "a line a second, as CSV: epoch_ms, sent and acknowledged copies, refused requests, rows as far as"
                            + " is known, and lag_ms, how long ago the oldest event was acknowledged that has no row")
    private Path samples;

    @Override
    public Integer call() throws ConfigurationException, IOException, InterruptedException {
        double perSecond = rate.equals("max") ? 0 : positive("--rate", rate);
        check(duration == null || !duration.isZero(), "--duration", "above 0");
        long nanos = duration == null ? Long.MAX_VALUE : TimeUnit.NANOSECONDS.convert(duration);
        long copies = events != null ? events : duration == null ? 100_000 : ViewEvents.MAX_EVENTS;
        check(copies > 0 && copies <= ViewEvents.MAX_EVENTS, "--events", "from 1 to " + ViewEvents.MAX_EVENTS);
        check(duplicates >= 0 && duplicates <= 1, "--duplicates", "from 0 to 1");
        check(invalid >= 0 && invalid <= 1 - duplicates, "--invalid", "from 0 to 1, with --duplicates no more than 1");
        check(batch >= 1 && batch <= MAX_BATCH, "--batch", "from 1 to " + MAX_BATCH);
        check(connections >= 1 && connections <= MAX_CONNECTIONS, "--connections", "from 1 to " + MAX_CONNECTIONS);
        Endpoints endpoints = Endpoints.of(System.getenv());
        if (!endpoints.http().getScheme().equals("http")) {
            throw new ConfigurationException("DEDUP_HTTP_URL: a load speaks plain HTTP");
        }
        StreamDefinition stream = endpoints.streams().get(STREAM);
        if (stream == null) {
            throw new ConfigurationException("DEDUP_STREAMS_DIR: there is no stream " + STREAM);
        }
        checkIngest(endpoints.http());
        if (seed == null) {
            seed = ThreadLocalRandom.current().nextLong(1_000_000_000);
        }
        if (ledger == null) {
            String time = DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'", Locale.ROOT)
                    .withZone(ZoneOffset.UTC)
                    .format(Instant.now());
            ledger = endpoints.files().reports().resolve("load-" + time + ".ledger.csv");
        }
        System.err.printf(Locale.ROOT, "seed %d, ledger %s%n", seed, ledger);
        Sender.Settings settings = new Sender.Settings(perSecond, copies, nanos, batch, connections);
        return run(endpoints, stream, settings);
    }

    private void check(boolean right, String option, String range) {
        if (!right) {
            throw new ParameterException(spec.commandLine(), option + ": must be " + range);
        }
    }

    private double positive(String option, String text) {
        double number = text.matches("\\d{1,9}(\\.\\d{1,9})?") ? Double.parseDouble(text) : 0;
        check(number > 0, option, "a number above 0, or max");
        return number;
    }

    /** A system that is not there at all is a mistake rather than an outage to wait for. */
    private static void checkIngest(URI http) throws InterruptedException {
        Duration timeout = Duration.ofSeconds(20);
        try {
            HttpClient client = HttpClient.newBuilder().connectTimeout(timeout).build();
            int unused = client.send(
                            HttpRequest.newBuilder(http.resolve("/health/live"))
                                    .timeout(timeout)
                                    .build(),
                            BodyHandlers.discarding())
                    .statusCode();
        } catch (IOException e) {
            throw new ProofException("no ingest answers at " + http + " (" + e + "): start it with ./dedup up", e);
        }
    }

    private int run(Endpoints endpoints, StreamDefinition stream, Sender.Settings settings)
            throws IOException, InterruptedException {
        CountDownLatch done = new CountDownLatch(1);
        VisibilityTracker probes = new VisibilityTracker();
        RowPoller prober = new RowPoller(endpoints, probes);
        Thread proberThread = daemon("prober", prober);
        try (Ledger book = new Ledger(ledger);
                PrintWriter sampleLines = sampleLines()) {
            Sender sender = new Sender(
                    new InetSocketAddress(endpoints.http().getHost(), port(endpoints.http())),
                    "/v1/streams/" + STREAM + "/events",
                    settings,
                    new Copies(new LoadPlan(seed, duplicates, invalid), new ViewEvents(seed), new EventReader(stream)),
                    probes,
                    book);
            LoadCounters counters = sender.counters();
            Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(sender, done), "interrupt"));
            CpuTimes cpu = new CpuTimes(endpoints.files().processes());
            Duration ownCpu = ownCpu();
            AtomicReference<Throwable> failure = new AtomicReference<>();
            Thread sending = daemon("sender", () -> {
                try {
                    sender.run();
                } catch (IOException | RuntimeException | Error e) {
                    failure.set(e);
                }
            });
            proberThread.start();
            sending.start();
            LoadProgress progress = new LoadProgress(settings, counters, probes, prober, cpu, sampleLines);
            while (sending.isAlive()) {
                sending.join(TICK.toMillis());
                progress.tick("");
            }
            if (failure.get() != null) {
                throw failure.get() instanceof ProofException e
                        ? e
                        : new IllegalStateException("the sender failed", failure.get());
            }
            progress.sendingIsOver();
            ownCpu = ownCpu().minus(ownCpu);
            boolean visible = awaitRows(sender, probes, prober, progress);
            progress.end();
            LoadReport report = new LoadReport(
                    seed,
                    ledger,
                    LoadReport.Counts.of(counters),
                    LoadReport.Times.of(counters, probes, progress),
                    LoadReport.Costs.of(cpu, ownCpu, counters.sent.sum(), endpoints, STREAM));
            System.out.print(report.toTable());
            System.out.flush();
            if (json != null) {
                write(report);
            }
            return verdict(counters, probes, prober, visible);
        } finally {
            proberThread.interrupt();
            done.countDown();
        }
    }

    private PrintWriter sampleLines() {
        try {
            return samples == null
                    ? new PrintWriter(PrintWriter.nullWriter())
                    : new PrintWriter(Files.newBufferedWriter(samples, StandardCharsets.UTF_8));
        } catch (IOException e) {
            throw new ProofException("--samples: cannot write " + samples + " (" + e + ")", e);
        }
    }

    private void write(LoadReport report) {
        try {
            new ObjectMapper().writerWithDefaultPrettyPrinter().writeValue(json.toFile(), report.toJson());
        } catch (IOException e) {
            throw new ProofException("--json: cannot write " + json + " (" + e + ")", e);
        }
    }

    private static int port(URI http) {
        return http.getPort() < 0 ? 80 : http.getPort();
    }

    private static Thread daemon(String name, Runnable runnable) {
        Thread thread = new Thread(runnable, name);
        thread.setDaemon(true);
        return thread;
    }

    /** Ctrl-C: the ledger gets its last lines. */
    private static void stop(Sender sender, CountDownLatch done) {
        sender.stop();
        try {
            boolean unused = done.await(INTERRUPT_PATIENCE.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static Duration ownCpu() {
        return Duration.ofNanos(
                ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime());
    }

    /** Whether all events that are looked for are in the table. */
    private static boolean awaitRows(Sender sender, VisibilityTracker probes, RowPoller prober, LoadProgress progress)
            throws InterruptedException {
        long over = System.nanoTime();
        while (!probes.outstanding().isEmpty() && !sender.isStopped()) {
            long progressed = Math.max(over, probes.lastVisible());
            if (System.nanoTime() - progressed > ROWS_PATIENCE.toNanos()) {
                return false;
            }
            Thread.sleep(TICK.toMillis());
            progress.tick(prober.failure().isEmpty() ? "waiting for rows" : "waiting for Postgres");
        }
        return probes.outstanding().isEmpty();
    }

    private static int verdict(LoadCounters counters, VisibilityTracker probes, RowPoller prober, boolean visible) {
        int code = 0;
        if (counters.unknown.sum() > 0) {
            System.err.printf(
                    Locale.ROOT,
                    "%,d copies were never acknowledged; the last failure: %s%n",
                    counters.unknown.sum(),
                    counters.lastFailure());
            code = 1;
        }
        if (counters.wrong.sum() > 0) {
            System.err.printf(
                    Locale.ROOT, "%,d wrong answers; the first: %s%n", counters.wrong.sum(), counters.firstWrong());
            code = 1;
        }
        if (!visible && !prober.failure().isEmpty()) {
            System.err.println("whether the rows are there is not known: Postgres stays away: " + prober.failure());
            code = 1;
        } else if (!visible) {
            System.err.printf(
                    Locale.ROOT,
                    "%,d of the events that were looked for are not in the table, such as %s%n",
                    probes.outstanding().size(),
                    probes.outstanding().get(0));
            code = 1;
        }
        return code;
    }
}
