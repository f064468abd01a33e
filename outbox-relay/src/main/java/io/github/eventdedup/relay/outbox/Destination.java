package io.github.eventdedup.relay.outbox;

import io.github.eventdedup.event.ClickHouseTable;
import io.github.eventdedup.event.ClickHouseType;
import io.github.eventdedup.event.Column;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.relay.settings.RelaySettings;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * The columns that the job will fill, as far as the relay can know them. The stream definition has the types of columns
 * in Postgres; those in ClickHouse have to be queried.
 *
 * @param columns those whose types are known, or all as the stream definition has them
 * @param types the types as the database calls them, by column; empty where they are not known
 * @param unknown why the types are unknown; null where they are known
 */
public record Destination(List<Column> columns, Map<String, String> types, String unknown) {

    private static final Duration TIMEOUT = Duration.ofSeconds(5);

    private static final String QUERY = "SELECT name, type FROM system.columns WHERE database = {database:String}"
            + " AND table = {table:String} FORMAT TabSeparatedRaw";

    /** Queries ClickHouse for the types, where the relay has its URL. */
    public static Destination of(StreamDefinition stream, RelaySettings settings) {
        List<Column> columns = stream.table().columns();
        if (!(stream.table() instanceof ClickHouseTable table)) {
            return new Destination(
                    columns,
                    columns.stream()
                            .collect(Collectors.toMap(
                                    Column::name, column -> column.type().yamlName())),
                    null);
        }
        if (settings.clickHouse() == null) {
            return new Destination(columns, Map.of(), "DEDUP_CLICKHOUSE_URL is not set");
        }
        try {
            return known(columns, types(table.name(), settings.clickHouse()));
        } catch (IOException e) {
            return new Destination(
                    columns,
                    Map.of(),
                    "ClickHouse at " + settings.clickHouse().url()
                            + " did not return them; correct DEDUP_CLICKHOUSE_URL,"
                            + " DEDUP_CLICKHOUSE_USER or DEDUP_CLICKHOUSE_PASSWORD where it runs (" + e.getMessage()
                            + ")");
        }
    }

    private static Destination known(List<Column> columns, Map<String, String> types) {
        if (types.isEmpty()) {
            return new Destination(columns, types, "ClickHouse shows no such table to this user");
        }
        List<Column> typed = new ArrayList<>();
        for (Column column : columns) {
            // What is missing or cannot be filled the job rejects before it reads any event.
            ClickHouseType type = ClickHouseType.of(types.getOrDefault(column.name(), ""));
            if (type != null) {
                typed.add(new Column(column.name(), column.field(), type.reads()));
            }
        }
        return new Destination(typed, types, null);
    }

    private static Map<String, String> types(String table, RelaySettings.ClickHouse login) throws IOException {
        int dot = table.indexOf('.');
        String database = dot < 0 ? login.database() : table.substring(0, dot);
        HttpRequest request = HttpRequest.newBuilder(URI.create(login.url().replaceFirst("/$", "") + "/?param_database="
                        + URLEncoder.encode(database, StandardCharsets.UTF_8)
                        + "&param_table="
                        + URLEncoder.encode(table.substring(dot + 1), StandardCharsets.UTF_8)))
                .timeout(TIMEOUT)
                .header("X-ClickHouse-User", login.user())
                .header("X-ClickHouse-Key", login.password().read())
                .POST(HttpRequest.BodyPublishers.ofString(QUERY))
                .build();
        try {
            HttpResponse<String> answer = HttpClient.newBuilder()
                    .connectTimeout(TIMEOUT)
                    .build()
                    .send(request, HttpResponse.BodyHandlers.ofString());
            if (answer.statusCode() != 200) {
                throw new IOException("HTTP status " + answer.statusCode() + ": "
                        + answer.body().lines().findFirst().orElse(""));
            }
            return answer.body()
                    .lines()
                    .map(line -> line.split("\t", 2))
                    .collect(Collectors.toMap(column -> column[0], column -> column[1]));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted", e);
        }
    }
}
