package io.github.eventdedup.local.system;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * The JobManager's REST interface, as far as it is needed here. Thread-safe. Methods throw {@link IOException} where the
 * JobManager cannot be reached or does not lead yet, and {@link LocalException} with its reason where it refuses.
 */
public final class FlinkRest {

    private static final String MAIN_CLASS = "io.github.eventdedup.job.DeduplicationJob";
    private static final Duration TIMEOUT = Duration.ofSeconds(5);

    /** Submitting runs the job's main method, which asks Kafka and Postgres and may wait for them. */
    private static final Duration SUBMIT_TIMEOUT = Duration.ofMinutes(2);

    /** Twice the interval in flink-conf/config.yaml, and a little. */
    private static final long HEARTBEAT_MILLIS = 5_000;

    private static final int LONGEST_REASON = 1000;

    private static final ObjectMapper JSON = new ObjectMapper();

    private final HttpClient client =
            HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(2)).build();
    private final String address;

    public FlinkRest(int port) {
        address = "http://127.0.0.1:" + port;
    }

    /** A job as the JobManager lists it; {@code state} is Flink's word for it. */
    public record Job(String id, String name, String state, long started) {

        public boolean isOver() {
            return List.of("FINISHED", "CANCELED", "FAILED").contains(state);
        }
    }

    public boolean answers() {
        try {
            get("/overview");
            return true;
        } catch (IOException | LocalException e) {
            return false;
        }
    }

    /** Whether one has been heard of lately: a dead one stays in the list until its heartbeats time out. */
    boolean hasTaskManager() {
        long oldest = System.currentTimeMillis() - HEARTBEAT_MILLIS;
        try {
            // Called "time since", it is the time of the last heartbeat; 0 before the first.
            return elements(get("/taskmanagers").path("taskmanagers"))
                    .mapToLong(manager -> manager.path("timeSinceLastHeartbeat").asLong())
                    .anyMatch(last -> last == 0 || last > oldest);
        } catch (IOException | LocalException e) {
            return false;
        }
    }

    /** The job of that name; where there are several, one that is not over, and of these the one started last. */
    public Optional<Job> job(String name) throws IOException {
        return elements(get("/jobs/overview").path("jobs"))
                .map(job -> new Job(
                        job.path("jid").asText(),
                        job.path("name").asText(),
                        job.path("state").asText(),
                        job.path("start-time").asLong()))
                .filter(job -> job.name().equals(name))
                .max(Comparator.comparing((Job job) -> !job.isOver()).thenComparingLong(Job::started));
    }

    /** Whether every task of a job runs; the job's own state is RUNNING before they do. */
    public boolean runs(Job job) throws IOException {
        return job.state().equals("RUNNING")
                && elements(get("/jobs/" + job.id()).path("vertices"))
                        .allMatch(vertex -> vertex.path("status").asText().equals("RUNNING"));
    }

    /**
     * A failure that made a job restart or end.
     *
     * @param time in milliseconds, by Flink's clock
     * @param reason on one line
     */
    record Failure(long time, String reason) {}

    /** A job's last failures, the newest first; Flink remembers 16 of them. */
    List<Failure> failures(Job job) throws IOException {
        return failures(get("/jobs/" + job.id() + "/exceptions"));
    }

    static List<Failure> failures(JsonNode exceptions) {
        return elements(exceptions.path("exceptionHistory").path("entries"))
                .map(entry -> new Failure(
                        entry.path("timestamp").asLong(),
                        onOneLine(entry.path("stacktrace").asText())))
                .sorted(Comparator.comparingLong(Failure::time).reversed())
                .toList();
    }

    /** When the last checkpoint that a job has completed was begun; 0 where there is none. */
    long lastCheckpoint(Job job) throws IOException {
        return latest(job, "completed").path("trigger_timestamp").asLong();
    }

    /** The checkpoint or savepoint that a job has started from or last gone back to. */
    public Optional<String> restoredFrom(Job job) throws IOException {
        return path(latest(job, "restored"));
    }

    /** The savepoint that a job was stopped with, where Flink says it already; not one that it was asked for before. */
    Optional<String> savepointOfStop(Job job) throws IOException {
        JsonNode savepoint = latest(job, "savepoint");
        return savepoint.path("checkpoint_type").asText().equals("SYNC_SAVEPOINT") ? path(savepoint) : Optional.empty();
    }

    private JsonNode latest(Job job, String kind) throws IOException {
        return get("/jobs/" + job.id() + "/checkpoints").path("latest").path(kind);
    }

    private static Optional<String> path(JsonNode checkpoint) {
        return Optional.ofNullable(checkpoint.path("external_path").asText(null));
    }

    /**
     * Submits a stream's job. Over REST rather than with Flink's command line: no further JVM to start.
     *
     * @param restore the savepoint or checkpoint to start from; without one the job's main method looks for one
     */
    public void submit(Path jar, List<String> arguments, int parallelism, Optional<String> restore) throws IOException {
        String id = upload(jar);
        try {
            Map<String, Object> run = new HashMap<>(
                    Map.of("entryClass", MAIN_CLASS, "programArgsList", arguments, "parallelism", parallelism));
            restore.ifPresent(path -> run.put("savepointPath", path));
            send(request("/jars/" + id + "/run", SUBMIT_TIMEOUT)
                    .header("Content-Type", "application/json")
                    .POST(BodyPublishers.ofByteArray(JSON.writeValueAsBytes(run))));
        } finally {
            // The job has a copy of its own by now.
            send(request("/jars/" + id, TIMEOUT).DELETE());
        }
    }

    private String upload(Path jar) throws IOException {
        String boundary = "----event-deduplicator-jar";
        String head = "--" + boundary + "\r\nContent-Disposition: form-data; name=\"jarfile\"; filename=\""
                + jar.getFileName() + "\"\r\nContent-Type: application/java-archive\r\n\r\n";
        BodyPublisher body = BodyPublishers.concat(
                BodyPublishers.ofString(head), file(jar), BodyPublishers.ofString("\r\n--" + boundary + "--\r\n"));
        JsonNode answer = send(request("/jars/upload", SUBMIT_TIMEOUT)
                .header("Content-Type", "multipart/form-data; boundary=" + boundary)
                .POST(body));
        return Path.of(answer.path("filename").asText()).getFileName().toString();
    }

    private static BodyPublisher file(Path file) {
        try {
            return BodyPublishers.ofFile(file);
        } catch (FileNotFoundException e) {
            throw new LocalException(file + " is not there: build it with `mvn -DskipTests package`", e);
        }
    }

    /**
     * Stops a job after a savepoint, and returns when it is done.
     *
     * @return the savepoint
     * @throws LocalException where the job could not take one; it runs on then
     */
    public String stop(Job job, Path directory, Duration patience) throws IOException {
        // Native: the files RocksDB has anyway, however much state there is.
        Map<String, Object> stop =
                Map.of("targetDirectory", directory.toUri().toString(), "drain", false, "formatType", "NATIVE");
        String trigger = send(request("/jobs/" + job.id() + "/stop", TIMEOUT)
                        .header("Content-Type", "application/json")
                        .POST(BodyPublishers.ofByteArray(JSON.writeValueAsBytes(stop))))
                .path("request-id")
                .asText();
        long deadline = System.nanoTime() + patience.toNanos();
        while (System.nanoTime() < deadline) {
            JsonNode answer = get("/jobs/" + job.id() + "/savepoints/" + trigger);
            if (answer.path("status").path("id").asText().equals("COMPLETED")) {
                JsonNode operation = answer.path("operation");
                if (operation.has("location")) {
                    return operation.path("location").asText();
                }
                throw new LocalException(rootCause(
                        operation.path("failure-cause").path("stack-trace").asText()));
            }
            sleep(Duration.ofMillis(200));
        }
        throw new LocalException("no savepoint after " + patience.toSeconds() + " s");
    }

    /**
     * Waits until a job is over: until no task of it runs on any TaskManager that the JobManager hears from.
     *
     * @return how it ended
     * @throws LocalException where it is not over in time
     */
    public String awaitOver(String id, Duration patience) throws IOException {
        long deadline = System.nanoTime() + patience.toNanos();
        while (true) {
            String state = get("/jobs/" + id).path("state").asText();
            if (new Job(id, "", state, 0).isOver()) {
                return state;
            }
            if (System.nanoTime() > deadline) {
                throw new LocalException("job " + id + " is " + state + " after " + patience.toSeconds()
                        + " s and may still write: see ./dedup status");
            }
            sleep(Duration.ofMillis(200));
        }
    }

    /** The sums, over all operators and subtasks, of a stream's metrics, by the last part of their name. */
    public Map<String, Long> counts(Job job) throws IOException {
        String prefix = ".stream." + inMetrics(job.name()) + ".";
        Map<String, Long> counts = new HashMap<>();
        List<String> vertices = elements(get("/jobs/" + job.id()).path("vertices"))
                .map(vertex -> vertex.path("id").asText())
                .toList();
        for (String vertex : vertices) {
            String path = "/jobs/" + job.id() + "/vertices/" + vertex + "/subtasks/metrics";
            List<String> names = elements(get(path))
                    .map(metric -> metric.path("id").asText())
                    .filter(name -> name.contains(prefix))
                    .toList();
            if (names.isEmpty()) {
                continue;
            }
            String query = names.stream()
                    .map(name -> URLEncoder.encode(name, StandardCharsets.UTF_8))
                    .collect(Collectors.joining(","));
            for (JsonNode metric : get(path + "?agg=sum&get=" + query)) {
                String name = metric.path("id").asText();
                counts.merge(
                        name.substring(name.indexOf(prefix) + prefix.length()),
                        metric.path("sum").asLong(),
                        Long::sum);
            }
        }
        return counts;
    }

    /** A name as it stands in a metric's id, where dots separate; Flink's MetricQueryService replaces these four. */
    static String inMetrics(String name) {
        return name.replaceAll("[ .:,]", "_");
    }

    public JsonNode get(String path) throws IOException {
        return send(request(path, TIMEOUT).GET());
    }

    private HttpRequest.Builder request(String path, Duration timeout) {
        return HttpRequest.newBuilder(URI.create(address + path)).timeout(timeout);
    }

    private JsonNode send(HttpRequest.Builder request) throws IOException {
        try {
            var response = client.send(request.build(), BodyHandlers.ofString());
            if (response.statusCode() / 100 == 2) {
                return JSON.readTree(response.body());
            }
            if (response.statusCode() == 503) {
                throw new IOException("the JobManager is not the leader yet");
            }
            List<String> errors = new ArrayList<>();
            JSON.readTree(response.body()).path("errors").forEach(error -> errors.add(error.asText()));
            throw new LocalException(rootCause(String.join("\n", errors)));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new LocalException("interrupted while querying Flink", e);
        }
    }

    /** The last cause in a stack trace, for a table or a log. Exceptions that are not ours keep the name of their class. */
    static String onOneLine(String stackTrace) {
        int last = stackTrace.lastIndexOf("Caused by: ");
        String cause = last < 0 ? stackTrace : stackTrace.substring(last + "Caused by: ".length());
        String reason = cause.lines()
                .takeWhile(line -> !line.matches("\\s+(at .*|\\.\\.\\. \\d+ more)"))
                .map(line -> line.replaceFirst("^io\\.github\\.eventdedup\\.[\\w.$]+: ", "")
                        .replaceFirst("^([a-z0-9]+\\.)+(?=[\\w$]+(Exception|Error)\\b)", "")
                        .strip())
                .filter(line -> !line.isEmpty())
                .collect(Collectors.joining(" "));
        return reason.length() <= LONGEST_REASON ? reason : reason.substring(0, LONGEST_REASON) + " …";
    }

    /** Flink answers with a stack trace; its last cause has the message for people. */
    static String rootCause(String stackTrace) {
        int last = stackTrace.lastIndexOf("Caused by: ");
        String cause = last < 0 ? stackTrace : stackTrace.substring(last + "Caused by: ".length());
        return cause.lines()
                .filter(line -> !line.matches(
                        "\\s+(at .*|\\.\\.\\. \\d+ more)|.*<Exception on server side:|End of exception.*>"))
                .map(line -> line.replaceFirst("^([a-z0-9]+\\.)+[\\w$]+(Exception|Error): ", ""))
                .filter(line -> !line.isBlank())
                .collect(Collectors.joining(System.lineSeparator()));
    }

    private static Stream<JsonNode> elements(JsonNode array) {
        return StreamSupport.stream(array.spliterator(), false);
    }

    public static void sleep(Duration duration) {
        try {
            Thread.sleep(duration.toMillis());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new LocalException("interrupted", e);
        }
    }
}
