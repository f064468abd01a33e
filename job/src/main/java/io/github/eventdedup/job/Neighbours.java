package io.github.eventdedup.job;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * The systems around the job, as its environment names them.
 *
 * @param kafkaBootstrapServers where Kafka is
 * @param postgres where Postgres is
 */
record Neighbours(String kafkaBootstrapServers, PostgresLogin postgres) {

    private static final String KAFKA = "DEDUP_KAFKA_BOOTSTRAP_SERVERS";
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
}
