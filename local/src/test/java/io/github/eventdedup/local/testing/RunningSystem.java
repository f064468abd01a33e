package io.github.eventdedup.local.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.eventdedup.local.system.FlinkRest;
import io.github.eventdedup.local.system.Layout;
import io.github.eventdedup.local.system.RunState;
import io.github.eventdedup.local.system.Status;
import io.github.eventdedup.servers.PostgresServer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * A whole system by its own command, with clients that remember what it has acknowledged. Whatever it started is gone when
 * it is closed.
 */
public final class RunningSystem implements AutoCloseable {

    public static final Duration STORED_WITHIN = Duration.ofSeconds(60);
    public static final Duration RECOVERED_WITHIN = Duration.ofMinutes(3);

    private static final String STREAM = "view-events";
    private static final int EVENTS_BEFORE_AND_AFTER = 50;

    /** What a client waits before its next event. Eight of them bring a few hundred events between two checkpoints. */
    private static final Duration PAUSE = Duration.ofMillis(100);

    public final DedupCommand dedup;
    public final Clients clients;
    public final FlinkRest flink;

    /** Null where ClickHouse is left out. */
    public final Logins logins;

    /** Of every event that was answered 202, however often. */
    private final Set<String> acknowledged = ConcurrentHashMap.newKeySet();

    public RunningSystem(Path data, String... options) throws Exception {
        this(DedupCommand.in(data), options);
    }

    public RunningSystem(DedupCommand command, String... options) throws Exception {
        dedup = command;
        clients = new Clients(dedup.layout().ingestPort());
        flink = new FlinkRest(dedup.layout().flinkPort());
        logins = List.of(options).contains("--without-clickhouse") ? null : new Logins(this);
        try {
            List<String> up = new ArrayList<>(List.of("up", "--detach"));
            up.addAll(List.of(options));
            succeed(up.toArray(String[]::new));
        } catch (Throwable e) {
            close();
            throw e;
        }
    }

    /** Also after a failure: whatever was started must be gone. */
    @Override
    public void close() throws Exception {
        clients.close();
        DedupCommand.Result result = dedup.call("down");
        List<ProcessHandle> left = dedup.processes();
        left.forEach(ProcessHandle::destroyForcibly);
        assertThat(result.status()).as(result.output()).isZero();
        assertThat(left).isEmpty();
        assertThat(dedup.layoutPorts()).allMatch(DedupCommand::isFree);
    }

    public interface Trouble {
        void run() throws Exception;
    }

    /**
     * Posts events before, during and after something, those of before again after it, all of them until they are
     * acknowledged and some twice; then compares every acknowledged event with the table, and every count with the others.
     * Logs users in all the while, and compares the rows in both databases.
     *
     * @param session makes the events different from those of other calls
     */
    public void assertNothingIsLostWhile(String session, Trouble trouble) throws Exception {
        assertNothingIsLostWhile(session, PAUSE, trouble);
    }

    /**
     * Sends events while something is done to the system, and compares what is stored.
     *
     * @param pause of each client after an event
     */
    public void assertNothingIsLostWhile(String session, Duration pause, Trouble trouble) throws Exception {
        List<String> before = events(session + "-before");
        post(before);
        awaitStored();

        List<String> sample = Clients.sample();
        AtomicBoolean done = new AtomicBoolean();
        List<Future<?>> running = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            int client = i;
            running.add(clients.run(() -> {
                for (int n = 0; !done.get(); n++) {
                    String event =
                            Clients.withSession(sample.get(n % sample.size()), session + "-during-" + client + "-" + n);
                    post(List.of(event));
                    if (n % 2 == 0) {
                        post(List.of(event));
                    }
                    Thread.sleep(pause.toMillis());
                }
                return null;
            }));
        }
        if (logins != null) {
            running.add(clients.run(() -> {
                while (!done.get()) {
                    logins.insertAndSendSomeAgain();
                }
                return null;
            }));
        }
        try {
            trouble.run();
        } finally {
            done.set(true);
        }
        for (Future<?> client : running) {
            client.get(1, TimeUnit.MINUTES);
        }

        post(before);
        post(events(session + "-after"));
        post(before);
        awaitStored();
        if (logins != null) {
            logins.awaitStored();
        }
    }

    /** Events that nobody has posted yet. */
    private static List<String> events(String session) throws Exception {
        List<String> sample = Clients.sample();
        List<String> events = new ArrayList<>();
        for (int i = 0; i < EVENTS_BEFORE_AND_AFTER; i++) {
            events.add(Clients.withSession(sample.get(i), session + "-" + i));
        }
        return events;
    }

    private void post(List<String> events) throws InterruptedException {
        for (String event : events) {
            acknowledged.add(clients.postUntilAccepted(event));
        }
    }

    /** For events that a test posts by itself. */
    public void acknowledged(Clients.Answer answer) {
        assertThat(answer.status()).as(answer.toString()).isEqualTo(202);
        acknowledged.add(answer.body().path("fingerprint").asText());
    }

    /** Waits until every acknowledged event is in the table, once, with nothing else, and all counts agree. */
    public void awaitStored() {
        await().atMost(RECOVERED_WITHIN).untilAsserted(() -> {
            List<String> rows = query("SELECT encode(fingerprint, 'hex') FROM view_events");
            Set<String> stored = new HashSet<>(rows);
            assertThat(missing(acknowledged, stored))
                    .as("acknowledged, not stored")
                    .isEmpty();
            assertThat(missing(stored, acknowledged))
                    .as("stored, never acknowledged")
                    .isEmpty();
            assertThat(query("SELECT sum(escapes) FROM view_events")).containsExactly("0");
            Status.JobStatus job = jobStatus(STREAM);
            assertThat(job.unique()).as(job.toString()).isEqualTo(rows.size());
            assertThat(job.deadLettered()).as(job.toString()).isZero();
            assertThat(job.received()).as(job.toString()).isEqualTo(positions(STREAM));
            assertThat(job.received()).as(job.toString()).isEqualTo(rows.size() + job.duplicate());
            // Written at least once: counted by the position that each is keyed with.
            assertThat(job.duplicate())
                    .as(job.toString())
                    .isEqualTo(keys(STREAM + ".duplicates").size());
        });
    }

    private static Set<String> missing(Set<String> from, Set<String> in) {
        Set<String> missing = new HashSet<>(from);
        missing.removeAll(in);
        return missing;
    }

    /** How many records a topic has had. */
    public long positions(String topic) {
        try (KafkaConsumer<String, String> consumer = consumer()) {
            return consumer.endOffsets(partitions(consumer, topic)).values().stream()
                    .mapToLong(Long::longValue)
                    .sum();
        }
    }

    private Set<String> keys(String topic) {
        Set<String> keys = new HashSet<>();
        try (KafkaConsumer<String, String> consumer = consumer()) {
            List<TopicPartition> partitions = partitions(consumer, topic);
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            while (partitions.stream().anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
                consumer.poll(Duration.ofSeconds(1)).forEach(record -> keys.add(record.key()));
            }
        }
        return keys;
    }

    /** What `status` knows. For what is asked again and again: a JVM each time would take the processors from what is waited for. */
    private Status now() {
        Layout layout = dedup.layout();
        return Status.of(new Layout(layout.home(), layout.data(), layout.portOffset(), logins != null));
    }

    /** What {@link #now} knows of a stream's job. */
    public Status.JobStatus jobStatus(String stream) {
        return now().jobs().stream()
                .filter(job -> job.stream().equals(stream))
                .findFirst()
                .orElseThrow();
    }

    /** What `./dedup status` says of a stream's job. */
    public JsonNode counts(String stream) throws Exception {
        for (JsonNode job : status().path("jobs")) {
            if (job.path("stream").asText().equals(stream)) {
                return job;
            }
        }
        throw new AssertionError("no job of " + stream);
    }

    private static List<TopicPartition> partitions(KafkaConsumer<String, String> consumer, String topic) {
        return consumer.partitionsFor(topic).stream()
                .map(partition -> new TopicPartition(topic, partition.partition()))
                .toList();
    }

    private KafkaConsumer<String, String> consumer() {
        return new KafkaConsumer<>(
                Map.of("bootstrap.servers", dedup.layout().kafkaBootstrapServers()),
                new StringDeserializer(),
                new StringDeserializer());
    }

    public void kill(String... names) throws Exception {
        RunState runState = new RunState(dedup.layout().run());
        List<ProcessHandle> victims = new ArrayList<>();
        for (String name : names) {
            victims.add(runState.process(name).orElseThrow());
        }
        victims.forEach(ProcessHandle::destroyForcibly);
        for (ProcessHandle victim : victims) {
            victim.onExit().get(10, TimeUnit.SECONDS);
        }
    }

    public String succeed(String... arguments) throws Exception {
        DedupCommand.Result result = dedup.call(arguments);
        assertThat(result.status())
                .as(String.join(" ", arguments) + System.lineSeparator() + result.output() + logs())
                .isZero();
        return result.output();
    }

    /** The folder is gone when somebody reads the report: the end of each log belongs into it. */
    private String logs() throws Exception {
        StringBuilder text = new StringBuilder();
        Path logs = dedup.layout().log("any").getParent();
        if (Files.exists(logs)) {
            try (var files = Files.list(logs)) {
                for (Path file : files.sorted().toList()) {
                    List<String> lines = Files.readString(file, StandardCharsets.UTF_8)
                            .lines()
                            .toList();
                    text.append(System.lineSeparator()).append("== ").append(file.getFileName());
                    lines.subList(Math.max(0, lines.size() - 30), lines.size())
                            .forEach(line -> text.append(System.lineSeparator()).append(line));
                }
            }
        }
        return text.toString();
    }

    public JsonNode status() throws Exception {
        DedupCommand.Result result = dedup.call("status", "--json");
        assertThat(result.status()).as(result.output()).isIn(0, Status.SOME_NOT_UP);
        return new ObjectMapper().readTree(result.output());
    }

    /**
     * Waits until every process answers and every job has completed a checkpoint that began after this call: only then have
     * all its tasks come back, which the JobManager may still believe to run when they are dead.
     */
    public void awaitAllUp() {
        long called = System.currentTimeMillis();
        await().atMost(RECOVERED_WITHIN).ignoreExceptions().untilAsserted(() -> {
            Status status = now();
            assertThat(status.processes())
                    .as(status.toString())
                    .allMatch(process -> process.health().equals("up"));
            for (Status.JobStatus job : status.jobs()) {
                assertThat(job.state()).as(status.toString()).isEqualTo("RUNNING");
                String id = flink.job(job.stream()).orElseThrow().id();
                assertThat(flink.get("/jobs/" + id + "/checkpoints")
                                .at("/latest/completed/trigger_timestamp")
                                .asLong())
                        .as("newest checkpoint of " + job.stream())
                        .isGreaterThan(called);
            }
        });
    }

    /** Waits for what Flink is to answer; asked again where it is too busy to answer in time. */
    public static void awaitFlink(Callable<Boolean> condition) {
        await().atMost(RECOVERED_WITHIN)
                .ignoreExceptionsInstanceOf(IOException.class)
                .until(condition);
    }

    public FlinkRest.Job job() throws IOException {
        return flink.job(STREAM).orElseThrow();
    }

    /** How many checkpoints of the running job have ended like this. */
    public long checkpoints(String how) throws IOException {
        return flink.get("/jobs/" + job().id() + "/checkpoints")
                .path("counts")
                .path(how)
                .asLong();
    }

    /** The vertices of the job's graph. */
    public Stream<JsonNode> vertices() throws IOException {
        return StreamSupport.stream(
                flink.get("/jobs/" + job().id()).path("vertices").spliterator(), false);
    }

    /** How many instances the job's widest vertex has. */
    public int parallelism() throws IOException {
        return vertices()
                .mapToInt(vertex -> vertex.path("parallelism").asInt())
                .max()
                .orElseThrow();
    }

    /** The first column. */
    public List<String> query(String sql) throws SQLException {
        try (Connection connection = connect();
                Statement statement = connection.createStatement();
                ResultSet result = statement.executeQuery(sql)) {
            List<String> values = new ArrayList<>();
            while (result.next()) {
                values.add(result.getString(1));
            }
            return values;
        }
    }

    public void execute(String sql) throws SQLException {
        try (Connection connection = connect();
                Statement statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }

    public Connection connect() throws SQLException {
        return DriverManager.getConnection(
                dedup.layout().postgres().jdbcUrl(), PostgresServer.USER, PostgresServer.PASSWORD);
    }
}
