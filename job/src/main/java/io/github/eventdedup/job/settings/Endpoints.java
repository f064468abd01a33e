package io.github.eventdedup.job.settings;

import io.github.eventdedup.config.BootstrapServers;
import io.github.eventdedup.config.Environment;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
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

    public static final int KAFKA_TIMEOUT_MILLIS = 15_000;
    public static final String ALLOW_NONDURABLE_POSTGRES = "DEDUP_POSTGRES_ALLOW_NONDURABLE";

    /** The environment variables that are read. */
    public static final List<String> SETTINGS = Stream.of(
                    List.of(Environment.KAFKA_BOOTSTRAP_SERVERS, ALLOW_NONDURABLE_POSTGRES),
                    Environment.POSTGRES,
                    Environment.CLICKHOUSE)
            .flatMap(List::stream)
            .toList();

    /** Refuses brokers that cannot be used. */
    public Endpoints {
        BootstrapServers.check(kafkaBootstrapServers);
    }

    public Endpoints(String kafkaBootstrapServers, PostgresLogin postgres, ClickHouseLogin clickHouse) {
        this(kafkaBootstrapServers, postgres, clickHouse, false);
    }

    /**
     * Reads them; what cannot be used is added to the errors, and the result is not to be used then. Passwords are read where
     * they are used: which are needed depends on the stream.
     */
    public static Endpoints of(Map<String, String> variables, List<String> errors) {
        Environment environment = new Environment(variables, SETTINGS, errors);
        Endpoints endpoints = new Endpoints(
                environment.bootstrapServers(),
                new PostgresLogin(environment.postgresUrl(), environment.text(Environment.POSTGRES_USER, "dedup")),
                new ClickHouseLogin(
                        environment.clickHouseUrl(),
                        environment.text(Environment.CLICKHOUSE_DATABASE, "dedup"),
                        environment.text(Environment.CLICKHOUSE_USER, "dedup")),
                environment.flag(ALLOW_NONDURABLE_POSTGRES));
        // Not kept: the record travels in the job graph.
        environment.optionalSecret(Environment.POSTGRES_PASSWORD);
        environment.optionalSecret(Environment.CLICKHOUSE_PASSWORD);
        return endpoints;
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
        return "Kafka at " + kafkaBootstrapServers + " does not answer: start it, or set "
                + Environment.KAFKA_BOOTSTRAP_SERVERS + " ("
                + reason.getMessage() + ")";
    }
}
