package io.github.eventdedup.local.system;

import io.github.eventdedup.config.Identifiers;
import io.github.eventdedup.event.ClickHouseTable;
import io.github.eventdedup.event.Column;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.servers.ClickHouseServer;
import io.github.eventdedup.servers.PostgresServer;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.Arrays;
import java.util.stream.Collectors;

/** A constraint on a stream's table that rejects one row in 50. Those that are there stay. Not thread-safe. */
public final class Rejection {

    private static final String NAME = "rejected_by_prove";

    private final Layout layout;
    private final StreamDefinition stream;
    private final HttpClient http =
            HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(2)).build();

    public Rejection(Layout layout, StreamDefinition stream) {
        this.layout = layout;
        this.stream = stream;
    }

    public void begin() throws IOException {
        execute(
                isClickHouse()
                        ? alter() + "ADD CONSTRAINT IF NOT EXISTS " + NAME + " CHECK cityHash64(toString(tuple("
                                + stream.table().columns().stream()
                                        .map(Column::name)
                                        .map(this::quoted)
                                        .collect(Collectors.joining(", "))
                                + "))) % 50 != 7"
                        : alter() + "ADD CONSTRAINT " + NAME + " CHECK (kafka_offset % 50 <> 7) NOT VALID");
    }

    public void end() throws IOException {
        execute(howToEnd());
    }

    /** The statement that takes the constraint away, where it is there. */
    public String howToEnd() {
        return alter() + "DROP CONSTRAINT IF EXISTS " + NAME;
    }

    private boolean isClickHouse() {
        return stream.table() instanceof ClickHouseTable;
    }

    private String alter() {
        return "ALTER TABLE "
                + Arrays.stream(stream.table().name().split("\\.", -1))
                        .map(this::quoted)
                        .collect(Collectors.joining("."))
                + " ";
    }

    private String quoted(String identifier) {
        return isClickHouse() ? Identifiers.clickHouse(identifier) : Identifiers.postgres(identifier);
    }

    private void execute(String sql) throws IOException {
        if (isClickHouse()) {
            post(sql);
            return;
        }
        try (Connection connection = DriverManager.getConnection(
                        layout.postgres().jdbcUrl(), PostgresServer.USER, PostgresServer.PASSWORD);
                Statement statement = connection.createStatement()) {
            statement.execute(sql);
        } catch (SQLException e) {
            throw new IOException(e.getMessage(), e);
        }
    }

    private void post(String sql) throws IOException {
        HttpRequest request = HttpRequest.newBuilder(
                        URI.create(layout.clickHouseUrl() + "/?database=" + ClickHouseServer.DATABASE))
                .timeout(Duration.ofSeconds(30))
                .header("X-ClickHouse-User", ClickHouseServer.USER)
                .header("X-ClickHouse-Key", ClickHouseServer.PASSWORD)
                .POST(HttpRequest.BodyPublishers.ofString(sql))
                .build();
        try {
            HttpResponse<String> answer =
                    http.send(request, HttpResponse.BodyHandlers.ofString(StandardCharsets.UTF_8));
            if (answer.statusCode() != 200) {
                throw new IOException(answer.body().strip());
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new LocalException("interrupted", e);
        }
    }
}
