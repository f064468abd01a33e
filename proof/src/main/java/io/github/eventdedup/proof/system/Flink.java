package io.github.eventdedup.proof.system;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/** What is read from the JobManager's REST interface; jobs are stopped and submitted by {@code ./dedup flink}. */
public final class Flink {

    private static final Duration TIMEOUT = Duration.ofSeconds(5);
    private static final ObjectMapper JSON = new ObjectMapper();

    private final URI address;
    private final HttpClient client =
            HttpClient.newBuilder().connectTimeout(TIMEOUT).build();

    public Flink(URI address) {
        this.address = address;
    }

    /**
     * The latest checkpoint of the job that runs under that name.
     *
     * @param triggered when it was begun, in ms since the epoch
     * @param bytes of all its state, whether or not it is shared with earlier checkpoints
     */
    public record Checkpoint(long triggered, long bytes) {}

    /** A job as the JobManager lists it; {@code state} is Flink's word for it. */
    public record Job(String id, String name, String state, long started) {

        /** Whether no task of it runs any more. */
        public boolean isOver() {
            return List.of("FINISHED", "CANCELED", "FAILED").contains(state);
        }
    }

    /** The job of that name; where there are several, one that is not over, and of these the one started last. */
    public Optional<Job> job(String name) throws IOException, InterruptedException {
        List<Job> jobs = new ArrayList<>();
        for (JsonNode job : get("/jobs/overview").path("jobs")) {
            jobs.add(new Job(
                    job.path("jid").asText(),
                    job.path("name").asText(),
                    job.path("state").asText(),
                    job.path("start-time").asLong()));
        }
        return jobs.stream()
                .filter(job -> job.name().equals(name))
                .max(Comparator.comparing((Job job) -> !job.isOver()).thenComparingLong(Job::started));
    }

    /** Whether every task of a job runs; the job's own state says so before they do. */
    public boolean runs(Job job) throws IOException, InterruptedException {
        if (!job.state().equals("RUNNING")) {
            return false;
        }
        for (JsonNode vertex : get("/jobs/" + job.id()).path("vertices")) {
            if (!vertex.path("status").asText().equals("RUNNING")) {
                return false;
            }
        }
        return true;
    }

    /** Flink's version. */
    public String version() throws IOException, InterruptedException {
        return get("/overview").path("flink-version").asText();
    }

    /**
     * The latest completed checkpoint of a job.
     *
     * @throws IOException where there is none, or Flink does not answer
     */
    public Checkpoint latestCheckpoint(String jobName) throws IOException, InterruptedException {
        for (JsonNode job : get("/jobs/overview").path("jobs")) {
            if (job.path("name").asText().equals(jobName)
                    && job.path("state").asText().equals("RUNNING")) {
                JsonNode latest = get("/jobs/" + job.path("jid").asText() + "/checkpoints")
                        .path("latest")
                        .path("completed");
                if (latest.isObject()) {
                    return new Checkpoint(
                            latest.path("trigger_timestamp").asLong(),
                            latest.path("state_size").asLong());
                }
            }
        }
        throw new IOException("no checkpoint of a running job " + jobName);
    }

    /**
     * The sum of a counter of the job that runs under that name.
     *
     * @return empty where no such job runs, or it has no such counter
     */
    public OptionalLong counter(String jobName, String counter) throws IOException, InterruptedException {
        for (JsonNode job : get("/jobs/overview").path("jobs")) {
            if (job.path("name").asText().equals(jobName)
                    && job.path("state").asText().equals("RUNNING")) {
                return sum(
                        "/jobs/" + job.path("jid").asText(),
                        ".stream." + jobName.replaceAll("[ .:,]", "_") + "." + counter);
            }
        }
        return OptionalLong.empty();
    }

    private OptionalLong sum(String job, String suffix) throws IOException, InterruptedException {
        long sum = 0;
        boolean found = false;
        for (JsonNode vertex : get(job).path("vertices")) {
            String metrics = job + "/vertices/" + vertex.path("id").asText() + "/subtasks/metrics";
            for (JsonNode metric : get(metrics)) {
                String id = metric.path("id").asText();
                if (id.endsWith(suffix)) {
                    String query = "?agg=sum&get=" + URLEncoder.encode(id, StandardCharsets.UTF_8);
                    for (JsonNode value : get(metrics + query)) {
                        sum += value.path("sum").asLong();
                        found = true;
                    }
                }
            }
        }
        return found ? OptionalLong.of(sum) : OptionalLong.empty();
    }

    private JsonNode get(String path) throws IOException, InterruptedException {
        var answer = client.send(
                HttpRequest.newBuilder(address.resolve(path)).timeout(TIMEOUT).build(), BodyHandlers.ofString());
        if (answer.statusCode() != 200) {
            throw new IOException("Flink answers " + answer.statusCode());
        }
        return JSON.readTree(answer.body());
    }
}
