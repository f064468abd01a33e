package io.github.eventdedup.local;

import io.github.eventdedup.servers.ChildProcess;
import io.github.eventdedup.servers.KafkaServer;
import io.github.eventdedup.servers.PostgresServer;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;

/** What the system consists of: its processes, in the order they are started, and the job of each stream. */
final class LocalSystem {

    private static final Duration READY_TIMEOUT = Duration.ofMinutes(2);
    private static final Duration STOP_PATIENCE = Duration.ofSeconds(30);

    final Part kafka;
    final Part postgres;
    final Part zooKeeper;
    final Part jobManager;
    final Part taskManager;
    final Part ingest;
    final List<StreamJob> jobs;

    private final Layout layout;
    private final FlinkCluster flinkCluster;
    private final HttpClient http = HttpClient.newHttpClient();

    LocalSystem(Layout layout, RunState runState) {
        this.layout = layout;
        flinkCluster = new FlinkCluster(layout);
        FlinkRest flink = new FlinkRest(layout.flinkPort());
        jobs = layout.streams().entrySet().stream()
                .map(entry -> new StreamJob(layout, entry.getKey(), entry.getValue().stream(), flink))
                .toList();

        ChildProcess kafkaProcess = child("kafka", runState);
        KafkaServer kafkaServer = new KafkaServer(layout.data().resolve("kafka"), layout.kafkaPort(), kafkaProcess);
        kafka = new Part(
                "kafka", layout.kafkaPort(), kafkaProcess, kafkaServer::start, kafkaServer::answers, kafkaServer::stop);

        ChildProcess postgresProcess = child("postgres", runState);
        PostgresServer postgresServer =
                new PostgresServer(layout.data().resolve("postgres"), layout.postgresPort(), postgresProcess);
        postgres = new Part(
                "postgres",
                layout.postgresPort(),
                postgresProcess,
                postgresServer::start,
                postgresServer::answers,
                postgresServer::stop);

        zooKeeper = part(
                "zookeeper", layout.zooKeeperPort(), runState, flinkCluster::zooKeeper, flinkCluster::zooKeeperAnswers);
        jobManager = part("jobmanager", layout.flinkPort(), runState, flinkCluster::jobManager, flink::answers);
        taskManager = part("taskmanager", 0, runState, flinkCluster::taskManager, flink::hasTaskManager);
        ingest = part("ingest", layout.ingestPort(), runState, this::ingestProcess, this::ingestAnswers);
    }

    private ChildProcess child(String name, RunState runState) {
        return new ChildProcess(name, layout.log(name), process -> runState.started(name, process.toHandle()));
    }

    private Part part(
            String name, int port, RunState runState, Supplier<ProcessBuilder> command, BooleanSupplier answers) {
        ChildProcess child = child(name, runState);
        return new Part(
                name,
                port,
                child,
                () -> {
                    child.start(command.get());
                    child.awaitReady(READY_TIMEOUT, answers);
                },
                answers,
                () -> child.stop(STOP_PATIENCE));
    }

    List<Part> parts() {
        return List.of(kafka, postgres, zooKeeper, jobManager, taskManager, ingest);
    }

    /** What has to be there before the first process is started. */
    void checkBuilt() {
        layout.built("job/target/deduplication-job.jar");
        layout.built("http-ingest/target/http-ingest.jar");
        layout.built("local/flink/target/lib");
    }

    /** Begins from nothing: what Flink has is kept on disk, under another name. */
    void setStateAside() {
        Path flink = layout.flink();
        try {
            if (Files.exists(flink)) {
                Files.move(flink, flink.resolveSibling(flink.getFileName() + ".aside-" + System.currentTimeMillis()));
            }
        } catch (IOException e) {
            throw new LocalException("cannot rename " + flink + ": " + e, e);
        }
    }

    void configureFlink() {
        flinkCluster.configure();
        flinkCluster.forgetJobs();
    }

    /** Creates the topics and tables that are not there yet, with what does so on any other system. */
    void setUp() {
        ProcessBuilder setup = Layout.process(
                List.of(
                        Layout.java(),
                        "-XX:+UseSerialGC",
                        "-XX:TieredStopAtLevel=1",
                        "-cp",
                        layout.built("job/target/deduplication-job.jar") + ":" + layout.built("local/flink/target/lib")
                                + "/*",
                        "io.github.eventdedup.job.Setup",
                        "--streams",
                        layout.home().resolve("streams").toString(),
                        "--sql",
                        layout.home().resolve("sql/postgres").toString()),
                layout.jobEnvironment());
        Layout.output(setup, "cannot create the topics and tables");
    }

    private ProcessBuilder ingestProcess() {
        return Layout.process(
                List.of(
                        Layout.java(),
                        "-XX:+UseSerialGC",
                        "-Xmx256m",
                        layout.temporaryFiles("ingest"),
                        "-jar",
                        layout.built("http-ingest/target/http-ingest.jar").toString()),
                Map.of(
                        "DEDUP_HTTP_PORT", Integer.toString(layout.ingestPort()),
                        "DEDUP_KAFKA_BOOTSTRAP_SERVERS", layout.kafkaBootstrapServers(),
                        "DEDUP_STREAMS_DIR", layout.home().resolve("streams").toString()));
    }

    private boolean ingestAnswers() {
        HttpRequest request = HttpRequest.newBuilder(
                        URI.create("http://127.0.0.1:" + layout.ingestPort() + "/health/ready"))
                .timeout(Duration.ofSeconds(5))
                .build();
        try {
            return http.send(request, BodyHandlers.discarding()).statusCode() == 200;
        } catch (IOException e) {
            return false;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }
}
