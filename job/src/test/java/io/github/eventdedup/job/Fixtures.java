package io.github.eventdedup.job;

import io.github.eventdedup.event.StreamDefinition;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
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

    static void createTable(PostgresLogin login) throws IOException, SQLException {
        try (Connection connection = login.connect();
                Statement statement = connection.createStatement()) {
            statement.execute(Files.readString(ROOT.resolve("sql/postgres/001-view-events.sql")));
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
