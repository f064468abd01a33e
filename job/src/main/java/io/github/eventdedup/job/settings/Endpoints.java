package io.github.eventdedup.job.settings;

import io.github.eventdedup.event.EnvironmentVariables;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * The systems around the job, as its environment names them.
 *
 * @param kafkaBootstrapServers where Kafka is
 * @param postgres where Postgres is
 * @param clickHouse where ClickHouse is
 * @param allowsNonDurablePostgres whether a Postgres that says of itself that it may lose rows in a crash is only warned of
 */
public record Endpoints(
        String kafkaBootstrapServers,
        PostgresLogin postgres,
        ClickHouseLogin clickHouse,
        boolean allowsNonDurablePostgres) {

    private static final String KAFKA = "DEDUP_KAFKA_BOOTSTRAP_SERVERS";
    public static final int KAFKA_TIMEOUT_MILLIS = 15_000;
    private static final String POSTGRES_URL = "DEDUP_POSTGRES_URL";
    private static final String POSTGRES_USER = "DEDUP_POSTGRES_USER";
    public static final String ALLOW_NONDURABLE_POSTGRES = "DEDUP_POSTGRES_ALLOW_NONDURABLE";
    private static final String CLICKHOUSE_URL = "DEDUP_CLICKHOUSE_URL";
    private static final String CLICKHOUSE_DATABASE = "DEDUP_CLICKHOUSE_DATABASE";
    private static final String CLICKHOUSE_USER = "DEDUP_CLICKHOUSE_USER";
    private static final Set<String> KNOWN = Set.of(
            KAFKA,
            POSTGRES_URL,
            POSTGRES_USER,
            ALLOW_NONDURABLE_POSTGRES,
            PostgresLogin.PASSWORD.variable(),
            PostgresLogin.PASSWORD.fileVariable(),
            CLICKHOUSE_URL,
            CLICKHOUSE_DATABASE,
            CLICKHOUSE_USER,
            ClickHouseLogin.PASSWORD.variable(),
            ClickHouseLogin.PASSWORD.fileVariable());

    private static final Pattern HTTP_URL = Pattern.compile("https?://[^/@?#\\s]+/?");

    public Endpoints(String kafkaBootstrapServers, PostgresLogin postgres, ClickHouseLogin clickHouse) {
        this(kafkaBootstrapServers, postgres, clickHouse, false);
    }

    /**
     * Reads them; what cannot be used is added to the errors, and the result is not to be used then. Passwords are read where
     * they are used: which are needed depends on the stream.
     */
    public static Endpoints of(Map<String, String> variables, List<String> errors) {
        Map<String, String> environment = EnvironmentVariables.settings(variables);
        for (String name : new TreeSet<>(environment.keySet())) {
            if (name.startsWith("DEDUP_") && !KNOWN.contains(name)) {
                errors.add(name + ": unknown setting; known: " + String.join(", ", new TreeSet<>(KNOWN)));
            }
        }
        String postgres = environment.getOrDefault(POSTGRES_URL, "jdbc:postgresql://127.0.0.1:5432/dedup");
        if (!postgres.startsWith("jdbc:postgresql://")) {
            errors.add(POSTGRES_URL + ": must be a JDBC URL such as jdbc:postgresql://127.0.0.1:5432/dedup");
        } else if (EnvironmentVariables.holdsPassword(postgres)) {
            errors.add(POSTGRES_URL + ": holds a password; put it into " + PostgresLogin.PASSWORD.variable()
                    + " or the file " + PostgresLogin.PASSWORD.fileVariable() + " names");
        }
        String clickHouse = environment.getOrDefault(CLICKHOUSE_URL, "http://127.0.0.1:8123");
        if (!HTTP_URL.matcher(clickHouse).matches()) {
            errors.add(CLICKHOUSE_URL + ": must be a URL such as http://127.0.0.1:8123, without user, database or"
                    + " settings");
        }
        String allowsNonDurable = environment.getOrDefault(ALLOW_NONDURABLE_POSTGRES, "false");
        if (!Set.of("true", "false").contains(allowsNonDurable)) {
            errors.add(ALLOW_NONDURABLE_POSTGRES + ": must be true or false");
        }
        return new Endpoints(
                environment.getOrDefault(KAFKA, "127.0.0.1:9092"),
                new PostgresLogin(postgres, environment.getOrDefault(POSTGRES_USER, "dedup")),
                new ClickHouseLogin(
                        clickHouse,
                        environment.getOrDefault(CLICKHOUSE_DATABASE, "dedup"),
                        environment.getOrDefault(CLICKHOUSE_USER, "dedup")),
                Boolean.parseBoolean(allowsNonDurable));
    }

    /**
     * Kafka's administration, which gives up while somebody still waits: by itself it would try for a minute.
     *
     * @throws org.apache.kafka.common.KafkaException where the addresses cannot be used
     */
    public Admin kafka() {
        return Admin.create(Map.of(
                AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, kafkaBootstrapServers,
                AdminClientConfig.DEFAULT_API_TIMEOUT_MS_CONFIG, KAFKA_TIMEOUT_MILLIS,
                AdminClientConfig.REQUEST_TIMEOUT_MS_CONFIG, KAFKA_TIMEOUT_MILLIS));
    }

    /**
     * A consumer outside of any group, as patient as {@link #kafka}.
     *
     * @throws org.apache.kafka.common.KafkaException where the addresses cannot be used
     */
    public Consumer<byte[], byte[]> kafkaConsumer() {
        return new KafkaConsumer<>(
                Map.of(
                        ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, kafkaBootstrapServers,
                        ConsumerConfig.DEFAULT_API_TIMEOUT_MS_CONFIG, KAFKA_TIMEOUT_MILLIS),
                new ByteArrayDeserializer(),
                new ByteArrayDeserializer());
    }

    /** What to say where {@link #kafka} could not be created, or got no answer. */
    public String kafkaDoesNotAnswer(Exception failure) {
        Throwable reason = failure.getCause() == null ? failure : failure.getCause();
        return "Kafka at " + kafkaBootstrapServers + " does not answer: start it, or set " + KAFKA + " ("
                + reason.getMessage() + ")";
    }
}
