package io.github.eventdedup.proof;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;

/** What is asked of the JobManager's REST interface. */
final class Flink {

    private static final Duration TIMEOUT = Duration.ofSeconds(5);
    private static final ObjectMapper JSON = new ObjectMapper();

    private final URI address;
    private final HttpClient client =
            HttpClient.newBuilder().connectTimeout(TIMEOUT).build();

    Flink(URI address) {
        this.address = address;
    }

    /**
     * The latest checkpoint of the job that runs under that name.
     *
     * @param triggered when it was begun, in ms since the epoch
     * @param bytes of all its state, whether or not it is shared with earlier checkpoints
     */
    record Checkpoint(long triggered, long bytes) {}

    /** @throws IOException where there is none, or nobody to ask */
    Checkpoint latestCheckpoint(String jobName) throws IOException, InterruptedException {
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

    private JsonNode get(String path) throws IOException, InterruptedException {
        var answer = client.send(
                HttpRequest.newBuilder(address.resolve(path)).timeout(TIMEOUT).build(), BodyHandlers.ofString());
        if (answer.statusCode() != 200) {
            throw new IOException("Flink answers " + answer.statusCode());
        }
        return JSON.readTree(answer.body());
    }
}
