package io.github.eventdedup.job.testing;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.concurrent.ExecutionException;
import org.apache.flink.api.common.JobID;
import org.apache.flink.runtime.minicluster.MiniCluster;

/** What a running job counts, as the web UI's REST interface knows it. */
public record JobMetrics(MiniCluster flink, JobID job, String stream) {

    private static final HttpClient HTTP = HttpClient.newHttpClient();
    private static final ObjectMapper JSON = new ObjectMapper();

    /** The job's counts. A refused event was decided unique before the database refused it. */
    public record Counts(long received, long unique, long duplicate, long deadLettered, long refused, long escapes) {}

    public Counts counts() {
        return new Counts(
                count("received"),
                count("unique"),
                count("duplicate"),
                count("deadLettered"),
                count("refused"),
                count("escapes"));
    }

    /** The sum of a counter over all subtasks of all operators. */
    public long count(String name) {
        long sum = 0;
        for (JsonNode vertex : rest("").path("vertices")) {
            String metrics = "/vertices/" + vertex.path("id").asText() + "/subtasks/metrics";
            for (JsonNode metric : rest(metrics)) {
                String id = metric.path("id").asText();
                if (id.endsWith(".stream." + stream + "." + name)) {
                    sum += rest(metrics + "?agg=sum&get=" + URLEncoder.encode(id, UTF_8))
                            .path(0)
                            .path("sum")
                            .asLong();
                }
            }
        }
        return sum;
    }

    /** How often the job was restarted. */
    public long restarts() {
        return rest("/metrics?get=numRestarts").path(0).path("value").asLong(-1);
    }

    /** Why it was restarted the last time; empty where it never was. */
    public String lastFailure() {
        return rest("/exceptions")
                .path("exceptionHistory")
                .path("entries")
                .path(0)
                .path("stacktrace")
                .asText();
    }

    /** Whether all its subtasks run: only then can it be stopped with a savepoint. */
    public boolean allRun() {
        for (JsonNode vertex : rest("").path("vertices")) {
            if (vertex.path("tasks").path("RUNNING").asInt()
                    != vertex.path("parallelism").asInt()) {
                return false;
            }
        }
        return true;
    }

    private JsonNode rest(String path) {
        try {
            URI uri = flink.getRestAddress().get().resolve("/jobs/" + job + path);
            HttpResponse<byte[]> response =
                    HTTP.send(HttpRequest.newBuilder(uri).build(), HttpResponse.BodyHandlers.ofByteArray());
            return JSON.readTree(response.body());
        } catch (IOException | InterruptedException | ExecutionException e) {
            throw new AssertionError("Flink's REST interface does not answer", e);
        }
    }
}
