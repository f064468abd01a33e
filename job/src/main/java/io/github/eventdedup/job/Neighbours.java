package io.github.eventdedup.job;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;

/**
 * The systems around the job, as its environment names them.
 *
 * @param kafkaBootstrapServers where Kafka is
 * @param postgres where Postgres is
 */
record Neighbours(String kafkaBootstrapServers, PostgresLogin postgres) {

    private static final String KAFKA = "DEDUP_KAFKA_BOOTSTRAP_SERVERS";
    private static final int KAFKA_TIMEOUT_MILLIS = 15_000;
    private static final String URL = "DEDUP_POSTGRES_URL";
    private static final String USER = "DEDUP_POSTGRES_USER";
    private static final Set<String> KNOWN =
            Set.of(KAFKA, URL, USER, PostgresLogin.PASSWORD.variable(), PostgresLogin.PASSWORD.fileVariable());

    /** Reads them; what cannot be used is added to the errors, and the result is not to be used then. */
    static Neighbours of(Map<String, String> environment, List<String> errors) {
        for (String name : new TreeSet<>(environment.keySet())) {
            if (name.startsWith("DEDUP_") && !KNOWN.contains(name)) {
                errors.add(name + ": unknown setting; known: " + String.join(", ", new TreeSet<>(KNOWN)));
            }
        }
        String url = environment.getOrDefault(URL, "jdbc:postgresql://127.0.0.1:5432/dedup");
        if (!url.startsWith("jdbc:postgresql://")) {
            errors.add(URL + ": must be a JDBC URL such as jdbc:postgresql://127.0.0.1:5432/dedup");
        } else if (url.contains("password=")) {
            errors.add(URL + ": holds a password; put it into " + PostgresLogin.PASSWORD.variable() + " or the file "
                    + PostgresLogin.PASSWORD.fileVariable() + " names");
        }
        if (!environment.containsKey(PostgresLogin.PASSWORD.variable())
                && !environment.containsKey(PostgresLogin.PASSWORD.fileVariable())) {
            errors.add(PostgresLogin.PASSWORD.variable() + ": not set; set it, or "
                    + PostgresLogin.PASSWORD.fileVariable() + " to the path of a file that holds it");
        }
        return new Neighbours(
                environment.getOrDefault(KAFKA, "127.0.0.1:9092"),
                new PostgresLogin(url, environment.getOrDefault(USER, "dedup")));
    }

    /**
     * Kafka's administration, which gives up while somebody still waits: by itself it would try for a minute.
     *
     * @throws org.apache.kafka.common.KafkaException where the addresses cannot be used
     */
    Admin kafka() {
        return Admin.create(Map.of(
                AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, kafkaBootstrapServers,
                AdminClientConfig.DEFAULT_API_TIMEOUT_MS_CONFIG, KAFKA_TIMEOUT_MILLIS,
                AdminClientConfig.REQUEST_TIMEOUT_MS_CONFIG, KAFKA_TIMEOUT_MILLIS));
    }

    /** What to say where {@link #kafka} could not be created, or got no answer. */
    String kafkaDoesNotAnswer(Exception failure) {
        Throwable reason = failure.getCause() == null ? failure : failure.getCause();
        return "Kafka at " + kafkaBootstrapServers + " does not answer: start it, or set " + KAFKA + " ("
                + reason.getMessage() + ")";
    }
}
