package io.github.eventdedup.ingest.benchmark;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.github.eventdedup.ingest.benchmark.KeepAliveLoad.Measured;
import io.github.eventdedup.ingest.testing.PreparedRequest;
import io.github.eventdedup.ingest.testing.RawClient;
import io.github.eventdedup.ingest.testing.TestEvents;
import io.github.eventdedup.servers.ChildProcess;
import io.github.eventdedup.servers.FreePort;
import io.github.eventdedup.servers.FreshDirectory;
import io.github.eventdedup.servers.KafkaServer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.common.TopicPartition;

/**
 * What an event costs on its way over HTTP into Kafka, and how long its sender waits. Events of the sample, every one
 * different, come over 64 connections from this process; broker and ingest are processes of their own, new for each
 * phase. Not a test: run it with the command in docs/benchmarks.md. Arguments: seconds that are measured, seconds to
 * warm up before, and the phases, all of them by default; {@code latency=RATE} asks for so many events a second.
 *
 * <p>The exit code is 1 where an answer was not 202 or the topic does not have as many records as were acknowledged.
 */
public final class IngestBenchmark {

    private static final int CONNECTIONS = 64;
    private static final int BATCH = 100;
    private static final int PARTITIONS = 4;
    private static final Path DIRECTORY = Path.of("target", "ingest-benchmark");
    private static final Path LOG = Path.of("target", "ingest-benchmark.log");

    private final Duration time;
    private final Duration warmUp;
    private final List<String> sample;
    private double saturation;
    private boolean failed;

    private IngestBenchmark(Duration time, Duration warmUp, List<String> sample) {
        this.time = time;
        this.warmUp = warmUp;
        this.sample = sample;
    }

    public static void main(String[] arguments) throws Exception {
        Duration time = Duration.ofSeconds(arguments.length > 0 ? Integer.parseInt(arguments[0]) : 30);
        Duration warmUp = Duration.ofSeconds(arguments.length > 1 ? Integer.parseInt(arguments[1]) : 30);
        List<String> phases = arguments.length > 2
                ? List.of(arguments).subList(2, arguments.length)
                : List.of("single", "ndjson", "array", "latency");
        // A character for each byte, so that places in the text are those in the request.
        List<String> sample =
                Files.readAllLines(Path.of("..", "event", "src", "test", "resources", "view-events.jsonl"), ISO_8859_1);
        Files.deleteIfExists(LOG);
        System.out.println("           events/s   µs of CPU an event:          answer after ms:");
        System.out.println(
                "                      ingest  broker  generator      p50      p99    p99.9      max   not 202");
        IngestBenchmark benchmark = new IngestBenchmark(time, warmUp, sample);
        for (String phase : phases) {
            benchmark.phase(phase);
        }
        System.exit(benchmark.failed ? 1 : 0);
    }

    private void phase(String phase) throws Exception {
        try {
            measure(phase, requests(phase), rate(phase));
        } catch (IOException | IllegalArgumentException e) {
            System.out.println(phase + " failed: " + e.getMessage());
            failed = true;
        }
    }

    private void measure(String phase, List<PreparedRequest> requests, double rate) throws Exception {
        FreshDirectory.create(DIRECTORY);
        ChildProcess ingest = new ChildProcess("http-ingest", LOG, ChildProcess::killAtExit);
        try (KafkaServer kafka = new KafkaServer(DIRECTORY.resolve("kafka"), FreePort.find())) {
            kafka.start();
            int port = FreePort.find();
            kafka.createTopics(new NewTopic(TestEvents.STREAM, Optional.of(PARTITIONS), Optional.empty()));
            try (Admin admin = Admin.create(Map.of("bootstrap.servers", kafka.bootstrapServers()))) {
                start(ingest, port, kafka.bootstrapServers());
                List<ProcessHandle> processes =
                        List.of(ingest.process().toHandle(), kafka.process().toHandle(), ProcessHandle.current());
                try (KeepAliveLoad load = new KeepAliveLoad(port, requests, () -> cpu(processes))) {
                    Measured measured = load.run(warmUp, time, rate);
                    print(phase, measured);
                    check(phase, measured, records(admin));
                }
            } finally {
                // As an operator would, for a flight recording is written at the end.
                ingest.stop(Duration.ofSeconds(60));
            }
        } finally {
            FreshDirectory.delete(DIRECTORY);
        }
    }

    private List<PreparedRequest> requests(String phase) {
        Function<List<String>, PreparedRequest> request = switch (phase.split("=", 2)[0]) {
            case "single", "latency" -> events -> PreparedRequest.single(events.get(0));
            case "ndjson" -> PreparedRequest::lines;
            case "array" -> PreparedRequest::array;
            default -> throw new IllegalArgumentException("phases are single, ndjson, array and latency, not " + phase);
        };
        return IntStream.range(0, CONNECTIONS)
                .mapToObj(connection -> IntStream.range(connection, connection + BATCH)
                        .mapToObj(line -> sample.get(line % sample.size()))
                        .toList())
                .map(request)
                .toList();
    }

    /** Half of what there was at saturation, unless a rate is given; 0 for as fast as answers come. */
    private double rate(String phase) {
        if (phase.startsWith("latency=")) {
            return Double.parseDouble(phase.substring("latency=".length()));
        }
        if (phase.equals("latency") && saturation == 0) {
            throw new IllegalArgumentException(
                    "latency is of half the rate of single: name that before, or latency=RATE");
        }
        return phase.equals("latency") ? saturation / 2 : 0;
    }

    /** With the flags of the Dockerfile, and those of {@code -Dbenchmark.jvm}. */
    private static void start(ChildProcess ingest, int port, String bootstrapServers) throws IOException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:+UseSerialGC",
                "-Xmx512m",
                "-XX:+ExitOnOutOfMemoryError",
                "-Djava.io.tmpdir=" + FreshDirectory.create(DIRECTORY.resolve("tmp"))));
        Stream.of(System.getProperty("benchmark.jvm", "").split(" ", -1))
                .filter(flag -> !flag.isEmpty())
                .forEach(command::add);
        command.addAll(List.of("-jar", Path.of("target", "http-ingest.jar").toString()));
        ProcessBuilder builder = new ProcessBuilder(command);
        builder.environment().keySet().removeIf(key -> key.startsWith("DEDUP_"));
        builder.environment()
                .putAll(Map.of(
                        "DEDUP_HTTP_PORT", Integer.toString(port),
                        "DEDUP_KAFKA_BOOTSTRAP_SERVERS", bootstrapServers,
                        "DEDUP_STREAMS_DIR", TestEvents.streams(DIRECTORY).toString()));
        ingest.start(builder);
        ingest.awaitReady(Duration.ofSeconds(60), () -> isReady(port));
    }

    private static boolean isReady(int port) {
        try {
            return RawClient.get(port, "/health/ready").status() == 200;
        } catch (IOException e) {
            return false;
        }
    }

    private static List<Duration> cpu(List<ProcessHandle> processes) {
        return processes.stream()
                .map(process -> process.info().totalCpuDuration().orElseThrow())
                .toList();
    }

    private static long records(Admin admin) throws Exception {
        long records = 0;
        for (int partition = 0; partition < PARTITIONS; partition++) {
            TopicPartition of = new TopicPartition(TestEvents.STREAM, partition);
            records += admin.listOffsets(Map.of(of, OffsetSpec.latest()))
                    .partitionResult(of)
                    .get()
                    .offset();
        }
        return records;
    }

    private void print(String phase, Measured measured) {
        System.out.printf(
                "%-10s %8.0f   %6.1f  %6.1f  %9.1f   %6.2f   %6.2f   %6.2f   %6.1f   %s%n",
                phase.split("=", 2)[0],
                measured.perSecond(),
                measured.cpuMicros(0),
                measured.cpuMicros(1),
                measured.cpuMicros(2),
                measured.latencyMillis(0.5),
                measured.latencyMillis(0.99),
                measured.latencyMillis(0.999),
                measured.latencyMillis(1),
                measured.refused());
    }

    private void check(String phase, Measured measured, long records) {
        if (phase.equals("single")) {
            saturation = measured.perSecond();
        }
        if (records != measured.acknowledged()) {
            System.out.println(phase + " failed: " + measured.acknowledged()
                    + " events were acknowledged, the topic has " + records);
        }
        failed |= records != measured.acknowledged() || !measured.refused().isEmpty();
    }
}
