package io.github.eventdedup.local.testing;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Clients of an ingest, as those outside are: several at once, each waiting for its answer. */
public final class Clients implements AutoCloseable {

    private static final int CLIENTS = 16;
    private static final ObjectMapper JSON = new ObjectMapper();

    private final HttpClient http = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(Duration.ofSeconds(5))
            .build();
    private final ExecutorService threads = Executors.newFixedThreadPool(CLIENTS);
    private final URI address;

    public Clients(int port) {
        address = URI.create("http://127.0.0.1:" + port + "/api-fast/view-event");
    }

    public record Answer(int status, JsonNode body) {}

    /** Posts each event the given number of times in an order that the seed decides; the answers in that order. */
    public List<Answer> post(List<String> events, int times, long seed) throws Exception {
        List<String> all = shuffled(events, times, seed);
        List<Callable<Answer>> posts = new ArrayList<>();
        all.forEach(event -> posts.add(() -> post(event)));
        List<Answer> answers = new ArrayList<>();
        for (Future<Answer> answer : threads.invokeAll(posts)) {
            answers.add(answer.get());
        }
        return answers;
    }

    public static List<String> shuffled(List<String> events, int times, long seed) {
        List<String> all = new ArrayList<>();
        for (int time = 0; time < times; time++) {
            all.addAll(events);
        }
        Collections.shuffle(all, new Random(seed));
        return all;
    }

    public Answer post(String event) throws IOException, InterruptedException {
        HttpRequest request = HttpRequest.newBuilder(address)
                .timeout(Duration.ofSeconds(30))
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(event))
                .build();
        HttpResponse<String> response = http.send(request, BodyHandlers.ofString());
        return new Answer(response.statusCode(), JSON.readTree(response.body()));
    }

    /** Asks what became of an event. */
    public Answer receipt(String fingerprint) throws IOException, InterruptedException {
        HttpRequest request = HttpRequest.newBuilder(address.resolve("/v1/streams/view-events/events/" + fingerprint))
                .timeout(Duration.ofSeconds(30))
                .build();
        HttpResponse<String> response = http.send(request, BodyHandlers.ofString());
        return new Answer(response.statusCode(), JSON.readTree(response.body()));
    }

    /**
     * Tries until it is accepted, as a client does that must not lose anything.
     *
     * @return the fingerprint in the answer
     */
    public String postUntilAccepted(String event) throws InterruptedException {
        while (true) {
            try {
                Answer answer = post(event);
                if (answer.status() == 202) {
                    return answer.body().path("fingerprint").asText();
                }
                if (answer.status() != 503) {
                    throw new IllegalStateException("answered " + answer);
                }
            } catch (IOException e) {
                // Not answered: it may have been accepted or not, so it is sent again.
            }
            Thread.sleep(200);
        }
    }

    public Future<?> run(Callable<?> client) {
        return threads.submit(client);
    }

    /** The sample, one event a line. */
    public static List<String> sample() throws IOException {
        Path file = DedupCommand.HOME.resolve("event/src/test/resources/view-events.jsonl");
        return Files.readAllLines(file, StandardCharsets.UTF_8).stream()
                .filter(line -> !line.isBlank())
                .toList();
    }

    /** An event of the sample with another session, which makes it another event. */
    public static String withSession(String event, String session) throws IOException {
        return ((ObjectNode) JSON.readTree(event)).put("sid", session).toString();
    }

    @Override
    public void close() {
        threads.shutdownNow();
    }
}
