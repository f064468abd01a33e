package io.github.eventdedup.proof.system;

import io.github.eventdedup.config.PostgresUrl;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.Properties;

/** SQL for both databases of a system whose processes may be killed or paused: nothing waits for ever. Thread-safe. */
public final class Databases {

    private static final String CONNECT_SECONDS = "2";

    /** Longer than any pause. */
    private static final String ANSWER_SECONDS = "60";

    private final Endpoints endpoints;
    private final HttpClient http =
            HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(2)).build();

    public Databases(Endpoints endpoints) {
        this.endpoints = endpoints;
    }

    /** A connection of the caller's own. */
    public Connection postgres() throws SQLException {
        Properties properties = PostgresUrl.properties(
                endpoints.postgres().user(), endpoints.postgres().password(), "proof");
        properties.setProperty("connectTimeout", CONNECT_SECONDS);
        properties.setProperty("socketTimeout", ANSWER_SECONDS);
        return DriverManager.getConnection(endpoints.postgres().url(), properties);
    }

    /** The first value of the first row that Postgres returns. */
    public String postgres(String query) throws SQLException {
        try (Connection connection = postgres();
                Statement statement = connection.createStatement();
                ResultSet result = statement.executeQuery(query)) {
            result.next();
            return result.getString(1);
        }
    }

    /**
     * Runs a statement in ClickHouse.
     *
     * @return what it returns, tab-separated
     * @throws IOException where it does not answer, or with its error
     */
    public String clickHouse(String sql, Duration patience) throws IOException, InterruptedException {
        HttpRequest request = HttpRequest.newBuilder(
                        URI.create(endpoints.clickHouse().url() + "/?database="
                                + endpoints.clickHouse().database()))
                .timeout(patience)
                .header("X-ClickHouse-User", endpoints.clickHouse().user())
                .header("X-ClickHouse-Key", endpoints.clickHouse().password())
                .POST(BodyPublishers.ofString(sql))
                .build();
        HttpResponse<String> answer = http.send(request, BodyHandlers.ofString(StandardCharsets.UTF_8));
        if (answer.statusCode() != 200) {
            throw new IOException(answer.body().strip());
        }
        return answer.body().strip();
    }
}
