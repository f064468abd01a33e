package io.github.eventdedup.ingest.access;

import io.github.bucket4j.Bucket;
import io.github.bucket4j.ConsumptionProbe;
import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.ingest.access.FileWatch.Source;
import io.github.eventdedup.ingest.response.ProblemException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.eclipse.jetty.http.HttpStatus;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The API keys of the service, from a file that is read again when it changes. Thread-safe; never waits.
 *
 * <p>The file holds SHA-256 hashes, so a reader of the file learns no key. A slow hash such as bcrypt is for passwords,
 * which can be guessed; keys are long random strings, and one is checked with every request. Neither keys nor hashes
 * are logged or part of an answer.
 */
public final class ApiKeys {

    private static final Logger LOG = LoggerFactory.getLogger(ApiKeys.class);

    private static final String BEARER = "Bearer ";

    /**
     * An entry of the file.
     *
     * @param name unique among them; may be logged
     * @param sha256 the hash of the key's UTF-8 bytes
     * @param streams the streams it is for
     * @param metrics whether it may read the metrics
     * @param requestsPerSecond how many requests it may send, and how many at once; 0 for any number
     * @param bucket counts the requests, or null for any number
     */
    record ApiKey(
            String name, byte[] sha256, Set<String> streams, boolean metrics, int requestsPerSecond, Bucket bucket) {

        static ApiKey of(String name, byte[] sha256, Set<String> streams, boolean metrics, int requestsPerSecond) {
            Bucket bucket = requestsPerSecond == 0
                    ? null
                    : Bucket.builder()
                            .addLimit(limit -> limit.capacity(requestsPerSecond)
                                    .refillGreedy(requestsPerSecond, Duration.ofSeconds(1)))
                            // By the monotonic clock: setting the system's back must not stop a client.
                            .withNanosecondPrecision()
                            .build();
            return new ApiKey(name, sha256, Set.copyOf(streams), metrics, requestsPerSecond, bucket);
        }

        /** Where name and rate are the same, the count continues: a change of the file does not reset it. */
        ApiKey continuing(ApiKey before) {
            return before == null || before.requestsPerSecond != requestsPerSecond
                    ? this
                    : new ApiKey(name, sha256, streams, metrics, requestsPerSecond, before.bucket);
        }

        /** Without the hash. */
        @Override
        public String toString() {
            return name;
        }
    }

    private volatile List<ApiKey> keys = List.of();

    private ApiKeys() {}

    /**
     * Reads the keys, and reads them again whenever the file changes. A version that is not valid is logged as one warning
     * and changes nothing. A key that is no longer in the file is refused from then on.
     *
     * @param streams the names of all streams that there are; no key is for another
     * @throws ConfigurationException where there is no such file or it is not valid, with every error
     */
    public static ApiKeys load(Path file, Set<String> streams, FileWatch watch) throws ConfigurationException {
        ApiKeys apiKeys = new ApiKeys();
        Source source = new Source("DEDUP_API_KEYS_FILE", file);
        watch.use(List.of(source), texts -> {
            apiKeys.replace(new ApiKeysParser(source, streams).parse(texts.get(0)));
            LOG.info("{} API keys are in use, from {}", apiKeys.keys.size(), file);
        });
        return apiKeys;
    }

    private void replace(List<ApiKey> parsed) {
        Map<String, ApiKey> before = keys.stream().collect(Collectors.toMap(ApiKey::name, Function.identity()));
        keys = parsed.stream()
                .map(key -> key.continuing(before.get(key.name())))
                .toList();
    }

    /**
     * Lets a request to a stream pass. Called before any other check of the stream, even of its existence: strangers
     * learn no names.
     *
     * @param authorization the header {@code Authorization}, or null
     * @param xApiKey the header {@code X-API-Key}, or null
     * @return the name of the key
     * @throws ProblemException 401 without one valid key, 403 where it is not for the stream, 429 beyond its rate
     */
    public String check(String authorization, String xApiKey, String stream) {
        ApiKey key = find(authorization, xApiKey);
        if (!key.streams().contains(stream)) {
            throw new ProblemException(
                    HttpStatus.FORBIDDEN_403, "the key '" + key.name() + "' is not for the stream '" + stream + "'");
        }
        return count(key);
    }

    /**
     * Lets a request for the metrics pass.
     *
     * @return the name of the key
     * @throws ProblemException as {@link #check}
     */
    public String checkMetrics(String authorization, String xApiKey) {
        ApiKey key = find(authorization, xApiKey);
        if (!key.metrics()) {
            throw new ProblemException(
                    HttpStatus.FORBIDDEN_403, "the key '" + key.name() + "' may not read the metrics");
        }
        return count(key);
    }

    private ApiKey find(String authorization, String xApiKey) {
        byte[] presented = sha256(presented(authorization, xApiKey));
        ApiKey found = null;
        // Every entry in full, so that the time does not reveal how close a guess is.
        for (ApiKey key : keys) {
            if (MessageDigest.isEqual(key.sha256(), presented)) {
                found = key;
            }
        }
        if (found == null) {
            throw unauthorized("the key is not valid here");
        }
        return found;
    }

    private static String presented(String authorization, String xApiKey) {
        if (authorization == null) {
            if (xApiKey == null) {
                throw unauthorized("a key is needed; send it as 'Authorization: Bearer KEY' or as 'X-API-Key: KEY'");
            }
            return xApiKey.strip();
        }
        String credentials = authorization.strip();
        String key = credentials.regionMatches(true, 0, BEARER, 0, BEARER.length())
                ? credentials.substring(BEARER.length()).strip()
                : "";
        if (key.isEmpty() || key.chars().anyMatch(Character::isWhitespace)) {
            throw unauthorized("the header Authorization is not understood; it must be 'Bearer KEY'");
        }
        if (xApiKey != null && !xApiKey.strip().equals(key)) {
            throw unauthorized("the headers Authorization and X-API-Key hold different keys; send one of them");
        }
        return key;
    }

    private static ProblemException unauthorized(String detail) {
        return new ProblemException(HttpStatus.UNAUTHORIZED_401, detail);
    }

    private static byte[] sha256(String key) {
        try {
            return MessageDigest.getInstance("SHA-256").digest(key.getBytes(StandardCharsets.UTF_8));
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java has SHA-256", e);
        }
    }

    private static String count(ApiKey key) {
        if (key.bucket() != null) {
            ConsumptionProbe probe = key.bucket().tryConsumeAndReturnRemaining(1);
            if (!probe.isConsumed()) {
                long nanosPerSecond = TimeUnit.SECONDS.toNanos(1);
                throw ProblemException.tooManyRequests(
                        "the key '" + key.name() + "' may send " + key.requestsPerSecond() + " requests a second",
                        Math.max(1, (probe.getNanosToWaitForRefill() + nanosPerSecond - 1) / nanosPerSecond));
            }
        }
        return key.name();
    }
}
