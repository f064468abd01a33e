package io.github.eventdedup.job;

import io.github.eventdedup.event.StreamDefinition;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/** The project's own stream, schema and sample, for tests and benchmarks. */
final class Fixtures {

    private static final Path ROOT =
            Path.of("").toAbsolutePath().getFileName().toString().equals("job") ? Path.of("..") : Path.of("");

    private Fixtures() {}

    static Path viewEventsFile() {
        return ROOT.resolve("streams/view-events.yaml");
    }

    static StreamDefinition viewEvents() throws Exception {
        return StreamDefinition.read(viewEventsFile());
    }

    /** The sample's 200 lines, which hold 152 different events. */
    static List<String> sampleLines() throws IOException {
        return Files.readAllLines(ROOT.resolve("event/src/test/resources/view-events.jsonl"));
    }

    static List<SourceRecord> sampleRecords() throws IOException {
        List<SourceRecord> records = new ArrayList<>();
        for (String line : sampleLines()) {
            records.add(new SourceRecord(
                    line.getBytes(StandardCharsets.UTF_8), 0, records.size(), 1_746_057_600_000L + records.size()));
        }
        return records;
    }

    /** A small valid event. */
    static String viewEvent(String user, String name) {
        return """
                {"userId":"%s","content_id":"1","event_name":"%s","event_datetime":"2025-05-01T00:00:00Z","sid":"1"}""".formatted(user, name);
    }

    static void createTable(PostgresLogin login) throws IOException, SQLException {
        execute(login, Files.readString(ROOT.resolve("sql/postgres/001-view-events.sql")));
    }

    static void execute(PostgresLogin login, String statements) throws SQLException {
        try (Connection connection = login.connect();
                Statement statement = connection.createStatement()) {
            statement.execute(statements);
        }
    }

    /** The only row of a query, as text. */
    static List<String> row(PostgresLogin login, String query) throws SQLException {
        try (Connection connection = login.connect();
                Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery(query)) {
            rows.next();
            List<String> row = new ArrayList<>();
            for (int i = 1; i <= rows.getMetaData().getColumnCount(); i++) {
                row.add(rows.getString(i));
            }
            return row;
        }
    }

    static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        }
    }

    static void delete(Path directory) throws IOException {
        try (var files = Files.walk(directory)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }
}
