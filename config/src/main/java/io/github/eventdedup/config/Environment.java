package io.github.eventdedup.config;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Consumer;
import java.util.regex.Pattern;

/**
 * The environment variables of a process, read as its settings. It gathers every error on the way; a value with an error
 * reads as its default. Not thread-safe.
 */
public final class Environment {

    public static final String KAFKA_BOOTSTRAP_SERVERS = "DEDUP_KAFKA_BOOTSTRAP_SERVERS";
    public static final String POSTGRES_URL = "DEDUP_POSTGRES_URL";
    public static final String POSTGRES_USER = "DEDUP_POSTGRES_USER";
    public static final String POSTGRES_PASSWORD = "DEDUP_POSTGRES_PASSWORD";
    public static final String CLICKHOUSE_URL = "DEDUP_CLICKHOUSE_URL";
    public static final String CLICKHOUSE_DATABASE = "DEDUP_CLICKHOUSE_DATABASE";
    public static final String CLICKHOUSE_USER = "DEDUP_CLICKHOUSE_USER";
    public static final String CLICKHOUSE_PASSWORD = "DEDUP_CLICKHOUSE_PASSWORD";
    public static final String STREAMS_DIR = "DEDUP_STREAMS_DIR";

    /** The settings of a process that uses Postgres. */
    public static final List<String> POSTGRES =
            List.of(POSTGRES_URL, POSTGRES_USER, POSTGRES_PASSWORD, Secret.fileVariable(POSTGRES_PASSWORD));

    /** The settings of a process that uses ClickHouse. */
    public static final List<String> CLICKHOUSE = List.of(
            CLICKHOUSE_URL,
            CLICKHOUSE_DATABASE,
            CLICKHOUSE_USER,
            CLICKHOUSE_PASSWORD,
            Secret.fileVariable(CLICKHOUSE_PASSWORD));

    static final String DEFAULT_POSTGRES_URL = "jdbc:postgresql://127.0.0.1:5432/dedup";

    private static final String PREFIX = "DEDUP_";

    /**
     * Kubernetes and Docker's links set these in each container, for services that happen to be called
     * {@code dedup-…}: {@code DEDUP_INGEST_SERVICE_HOST}, {@code DEDUP_INGEST_PORT_8001_TCP_ADDR} and the like.
     */
    private static final Pattern SERVICE = Pattern.compile("\\w+_SERVICE_HOST|\\w+_SERVICE_PORT(_\\w+)?"
            + "|\\w+_PORT_\\d+_(TCP|UDP|SCTP)(_ADDR|_PORT|_PROTO|_START|_END|_PORT_START|_PORT_END)?");

    /** {@code DEDUP_INGEST_PORT=tcp://10.0.0.7:8001}. Only the value tells it from a setting. */
    private static final Pattern SERVICE_ADDRESS = Pattern.compile("(tcp|udp|sctp)://.*");

    /** {@code DEDUP_DB_NAME=/web/dedup-db}, of Docker's links. */
    private static final Pattern LINK_NAME = Pattern.compile("/[^/]+/[^/]+");

    private final Map<String, String> variables;
    private final List<String> errors;

    /**
     * The variables, without those that an orchestrator has set for its services: a setting whose name such a variable
     * has taken reads as its default.
     *
     * @param known the names of all settings of the process; another one that begins like them is an error
     * @param errors receives what is wrong, and may hold errors from elsewhere
     */
    public Environment(Map<String, String> variables, Collection<String> known, List<String> errors) {
        this.variables = new TreeMap<>(variables);
        this.variables.entrySet().removeIf(variable -> isSetByOrchestrator(variable.getKey(), variable.getValue()));
        this.errors = errors;
        for (String name : this.variables.keySet()) {
            if (name.startsWith(PREFIX) && !known.contains(name)) {
                error(name, "is not known; known are " + String.join(", ", new TreeSet<>(known)));
            }
        }
    }

    /** As the other one, where nothing else can be wrong. */
    public Environment(Map<String, String> variables, Collection<String> known) {
        this(variables, known, new ArrayList<>());
    }

    private static boolean isSetByOrchestrator(String name, String value) {
        return SERVICE.matcher(name).matches()
                || (name.endsWith("_PORT") && SERVICE_ADDRESS.matcher(value).matches())
                || (name.endsWith("_NAME") && LINK_NAME.matcher(value).matches());
    }

    /** Adds an error; the message continues the name. */
    public void error(String name, String message) {
        errors.add(name + " " + message);
    }

    /**
     * Ends the reading.
     *
     * @throws ConfigurationException with every error at once
     */
    public void refuseErrors() throws ConfigurationException {
        if (!errors.isEmpty()) {
            throw new ConfigurationException("invalid settings", errors);
        }
    }

    /** Whether the variable is set. */
    public boolean has(String name) {
        return variables.containsKey(name);
    }

    /** A text without blanks around it; an empty one is an error. */
    public String text(String name, String byDefault) {
        String value = variables.getOrDefault(name, byDefault).strip();
        if (value.isEmpty()) {
            error(name, "is empty; leave it out for its default, " + byDefault);
            return byDefault;
        }
        return value;
    }

    private String text(String name, String byDefault, Consumer<String> check) {
        String value = text(name, byDefault);
        try {
            check.accept(value);
            return value;
        } catch (IllegalArgumentException e) {
            error(name, e.getMessage());
            return byDefault;
        }
    }

    /** The brokers to start from. */
    public String bootstrapServers() {
        return text(KAFKA_BOOTSTRAP_SERVERS, "127.0.0.1:9092", BootstrapServers::check);
    }

    /** The JDBC URL of Postgres. */
    public String postgresUrl() {
        return text(POSTGRES_URL, DEFAULT_POSTGRES_URL, PostgresUrl::check);
    }

    /** The URL of ClickHouse. */
    public String clickHouseUrl() {
        return text(CLICKHOUSE_URL, "http://127.0.0.1:8123", ClickHouseUrl::check);
    }

    /** A secret that has to be set; null where it is not. */
    public Secret secret(String name) {
        if (!has(name) && !has(Secret.fileVariable(name))) {
            error(name, "is not set; set it, or " + Secret.fileVariable(name) + " to the path of a file that holds it");
        }
        return optionalSecret(name);
    }

    /** A secret, or null where neither the variable nor that of the file is set. */
    public Secret optionalSecret(String name) {
        String fileVariable = Secret.fileVariable(name);
        if (has(name) && has(fileVariable)) {
            error(name, "and " + fileVariable + " are both set; leave one out");
        }
        if (has(name)) {
            return new Secret(variables.get(name), null);
        }
        return has(fileVariable) ? new Secret(null, path(fileVariable, "none")) : null;
    }

    /** True or false; false by default. */
    public boolean flag(String name) {
        String value = text(name, "false");
        if (!value.equals("true") && !value.equals("false")) {
            error(name, "is '" + value + "'; write true or false");
        }
        return value.equals("true");
    }

    /** A whole number within bounds. */
    public int integer(String name, int byDefault, int min, int max) {
        String value = text(name, Integer.toString(byDefault));
        try {
            int number = Integer.parseInt(value);
            if (number >= min && number <= max) {
                return number;
            }
        } catch (NumberFormatException e) {
            // Reported below, as a number out of bounds is.
        }
        error(name, "is '" + value + "'; write a number from " + min + " to " + max);
        return byDefault;
    }

    /** A path; nothing need be there. */
    public Path path(String name, String byDefault) {
        String value = text(name, byDefault);
        try {
            return Path.of(value);
        } catch (InvalidPathException e) {
            error(name, "is '" + value + "', which is not a path");
            return Path.of(byDefault);
        }
    }

    /** A path, or null where the variable is not set. */
    public Path optionalPath(String name) {
        return has(name) ? path(name, "none") : null;
    }

    /** A duration within bounds; the lower bound where it has an error. */
    public Duration duration(String name, String byDefault, Duration min, Duration max) {
        String value = text(name, byDefault);
        return Durations.parse(value)
                .filter(duration -> duration.compareTo(min) >= 0 && duration.compareTo(max) <= 0)
                .orElseGet(() -> {
                    error(
                            name,
                            "is '" + value + "'; write a time such as 500ms, 5s or 1m, from " + min.toMillis()
                                    + "ms to " + max.toSeconds() + "s");
                    return min;
                });
    }
}
