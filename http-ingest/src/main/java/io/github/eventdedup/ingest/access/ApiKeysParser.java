package io.github.eventdedup.ingest.access;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.config.StrictYaml;
import io.github.eventdedup.ingest.access.ApiKeys.ApiKey;
import io.github.eventdedup.ingest.access.FileWatch.Source;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;

/** Reads the file of API keys and gathers every error on the way. Not thread-safe, for one use. */
final class ApiKeysParser {

    private static final Set<String> KEYS =
            new TreeSet<>(Set.of("name", "sha256", "streams", "metrics", "requests-per-second"));

    /** Fit for a log line and for a metric's label. */
    private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,63}");

    private static final Pattern SHA256 = Pattern.compile("[0-9a-f]{64}");

    /** More than one process can take, and few enough for the limiter to count by the nanosecond. */
    private static final int MOST_REQUESTS_PER_SECOND = 1_000_000;

    private final Source source;
    private final Set<String> streams;
    private final List<String> errors = new ArrayList<>();

    /** @param streams the names of all streams that there are */
    ApiKeysParser(Source source, Set<String> streams) {
        this.source = source;
        this.streams = new TreeSet<>(streams);
    }

    /** @throws ConfigurationException with every error at once, each naming the entry; none quotes a hash */
    List<ApiKey> parse(String text) throws ConfigurationException {
        List<ApiKey> keys = StrictYaml.read(text, errors, this::keys);
        if (!errors.isEmpty()) {
            throw new ConfigurationException(
                    source + " is not a valid file of API keys:\n  " + String.join("\n  ", errors));
        }
        return keys;
    }

    private List<ApiKey> keys(JsonNode root) {
        List<ApiKey> keys = new ArrayList<>();
        if (!StrictYaml.isMapping("the file", "", root, Set.of("keys"), errors)) {
            return keys;
        }
        // Without keys no request is accepted, but that must be explicit: a file that was cut short is not an empty
        // list.
        if (!root.path("keys").isArray()) {
            errors.add("keys: must be a list; write keys: [] to accept no key");
            return keys;
        }
        Set<String> names = new HashSet<>();
        Set<String> hashes = new HashSet<>();
        int position = 0;
        for (JsonNode node : root.get("keys")) {
            position++;
            ApiKey key = key(position, node, names, hashes);
            if (key != null) {
                keys.add(key);
            }
        }
        return keys;
    }

    private ApiKey key(int position, JsonNode node, Set<String> names, Set<String> hashes) {
        String entry = "entry " + position;
        if (!node.isObject()) {
            errors.add(entry + ": must be a mapping with the keys " + String.join(", ", KEYS));
            return null;
        }
        JsonNode name = node.path("name");
        if (name.isTextual() && NAME.matcher(name.asText()).matches()) {
            entry = entry + " (" + name.asText() + ")";
            if (!names.add(name.asText())) {
                errors.add(entry + ": the name is taken by another entry");
            }
        } else {
            errors.add(entry + ": name: " + (name.isMissingNode() ? "missing; " : "")
                    + "must be a string of at most 64 letters, digits, '.', '_' and '-'");
        }
        StrictYaml.unknownKeys(entry + ": ", node, KEYS, errors);
        byte[] sha256 = sha256(entry, node.path("sha256"), hashes);
        Set<String> allowed = streams(entry, node.path("streams"));
        boolean metrics = metrics(entry, node.path("metrics"));
        int requestsPerSecond = requestsPerSecond(entry, node.path("requests-per-second"));
        return sha256 == null ? null : ApiKey.of(name.asText(), sha256, allowed, metrics, requestsPerSecond);
    }

    private byte[] sha256(String entry, JsonNode node, Set<String> hashes) {
        // A hash of digits alone would be a number in YAML; what is no hash may be the key itself, so it is not quoted.
        if (!node.isTextual() || !SHA256.matcher(node.asText()).matches()) {
            errors.add(entry + ": sha256: " + (node.isMissingNode() ? "missing; " : "")
                    + "must be a string of 64 lower-case hexadecimal digits, the SHA-256 of the key");
            return null;
        }
        if (!hashes.add(node.asText())) {
            errors.add(entry + ": sha256: another entry has the same; every entry has a key of its own");
        }
        return HexFormat.of().parseHex(node.asText());
    }

    private Set<String> streams(String entry, JsonNode node) {
        Set<String> allowed = new TreeSet<>();
        if (!node.isArray()) {
            errors.add(entry + ": streams: " + (node.isMissingNode() ? "missing; " : "")
                    + "must be a list of streams; [] for none");
            return allowed;
        }
        for (JsonNode stream : node) {
            if (!stream.isTextual() || !streams.contains(stream.asText())) {
                errors.add(entry + ": streams: there is no stream '" + stream.asText() + "'; there is "
                        + String.join(", ", streams));
            } else if (!allowed.add(stream.asText())) {
                errors.add(entry + ": streams: '" + stream.asText() + "' is listed twice");
            }
        }
        return allowed;
    }

    private boolean metrics(String entry, JsonNode node) {
        if (!node.isMissingNode() && !node.isBoolean()) {
            errors.add(entry + ": metrics: must be true or false");
        }
        return node.asBoolean(false);
    }

    /** 0 where there is no limit. */
    private int requestsPerSecond(String entry, JsonNode node) {
        if (node.isMissingNode()) {
            return 0;
        }
        if (!node.canConvertToExactIntegral()
                || !node.canConvertToInt()
                || node.asInt() < 1
                || node.asInt() > MOST_REQUESTS_PER_SECOND) {
            errors.add(entry + ": requests-per-second: must be a whole number from 1 to " + MOST_REQUESTS_PER_SECOND);
            return 0;
        }
        return node.asInt();
    }
}
