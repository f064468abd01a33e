package io.github.eventdedup.servers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ClickHouseServerIT {

    private static final Path ENGINE = Path.of("target/clickhouse");
    private static final HttpClient HTTP = HttpClient.newHttpClient();

    @TempDir
    private Path directory;

    @Test
    void keepsRowsAndDeduplicationTokensOverKillAndStop() throws Exception {
        ProcessHandle last;
        try (ClickHouseServer clickhouse = start(directory)) {
            execute(
                    clickhouse,
                    "CREATE TABLE dedup.t (id UInt32) ENGINE = MergeTree ORDER BY id"
                            + " SETTINGS non_replicated_deduplication_window = 100");
            insert(clickhouse, "a", 1);

            clickhouse.kill();
            assertThat(clickhouse.answers()).isFalse();
            clickhouse.start();
            insert(clickhouse, "a", 1);
            insert(clickhouse, "b", 2);
            assertThat(execute(clickhouse, "SELECT id FROM dedup.t ORDER BY id"))
                    .isEqualTo("1\n2\n");

            clickhouse.stop();
            assertThat(clickhouse.process().exitValue()).isZero();
            clickhouse.start();
            insert(clickhouse, "a", 1);
            insert(clickhouse, "b", 2);
            insert(clickhouse, "c", 2);
            assertThat(execute(clickhouse, "SELECT id FROM dedup.t ORDER BY id"))
                    .isEqualTo("1\n2\n2\n");
            last = clickhouse.process().toHandle();
        }
        assertThat(last.isAlive()).isFalse();
    }

    @Test
    void writesToDiskBeforeItAcknowledges() throws Exception {
        try (ClickHouseServer clickhouse = start(directory)) {
            assertThat(execute(
                            clickhouse,
                            "SELECT name, value FROM system.merge_tree_settings WHERE name IN"
                                    + " ('fsync_after_insert', 'fsync_part_directory') ORDER BY name"))
                    .isEqualTo("fsync_after_insert\t1\nfsync_part_directory\t1\n");
            assertThat(execute(clickhouse, "SELECT engine, timezone() FROM system.databases WHERE name = 'dedup'"))
                    .isEqualTo("Atomic\tUTC\n");
        }
    }

    @Test
    void listensForHttpOnLoopbackOnly() throws Exception {
        try (ClickHouseServer clickhouse = start(directory)) {
            String port = ":%04X".formatted(URI.create(clickhouse.url()).getPort());
            assertThat(listening(clickhouse.process().pid())).containsExactly("0100007F" + port);
        }
    }

    @Test
    void letsEverybodyReadAndOnlyItsUserWrite() throws Exception {
        try (ClickHouseServer clickhouse = start(directory)) {
            execute(clickhouse, "CREATE TABLE dedup.t (id UInt32) ENGINE = MergeTree ORDER BY id");
            assertThat(send(clickhouse, null, "SELECT count() FROM dedup.t").body())
                    .isEqualTo("0\n");
            for (String refused : List.of(
                    "INSERT INTO dedup.t VALUES (1)",
                    "TRUNCATE TABLE dedup.t",
                    "ALTER TABLE dedup.t DELETE WHERE 1",
                    "DROP TABLE dedup.t",
                    "CREATE TABLE dedup.u (id UInt32) ENGINE = Memory",
                    "CREATE DATABASE u",
                    "GRANT INSERT ON *.* TO default",
                    "SELECT * FROM file('/etc/hostname', 'LineAsString', 'line String')",
                    "SELECT * FROM url('http://127.0.0.1/', 'LineAsString', 'line String')")) {
                assertThat(send(clickhouse, null, refused).body()).contains("ACCESS_DENIED");
            }
            assertThat(send(clickhouse, "dedup:wrong", "SELECT 1").body()).contains("AUTHENTICATION_FAILED");
            execute(clickhouse, "INSERT INTO dedup.t VALUES (1)");
            assertThat(send(clickhouse, null, "SELECT count() FROM dedup.t").body())
                    .isEqualTo("1\n");
            try (var files = Files.list(directory)) {
                assertThat(files.filter(Files::isRegularFile))
                        .extracting(file -> file.getFileName().toString())
                        .containsExactlyInAnyOrder("clickhouse.log", "config.xml");
            }
        }
    }

    @Test
    void refusesATakenPort() throws Exception {
        try (ClickHouseServer first = start(directory.resolve("first"))) {
            int port = URI.create(first.url()).getPort();
            ClickHouseServer second = new ClickHouseServer(directory.resolve("second"), ENGINE, port);
            assertThatThrownBy(second::start)
                    .isInstanceOf(ServerException.class)
                    .hasMessageStartingWith("clickhouse cannot listen on 127.0.0.1:" + port);
            assertThat(first.answers()).isTrue();
        }
    }

    @Test
    void refusesADirectoryInUse() throws Exception {
        try (ClickHouseServer first = start(directory)) {
            ClickHouseServer second = new ClickHouseServer(directory, ENGINE, FreePort.find());
            assertThatThrownBy(second::start)
                    .isInstanceOf(ServerException.class)
                    .hasMessageContaining("clickhouse.log")
                    .hasMessageContaining("Another server instance in same directory is already running");
            assertThat(second.process().isAlive()).isFalse();
            assertThat(first.answers()).isTrue();
        }
    }

    private static ClickHouseServer start(Path directory) throws Exception {
        ClickHouseServer clickhouse = new ClickHouseServer(directory, ENGINE, FreePort.find());
        clickhouse.start();
        return clickhouse;
    }

    private static void insert(ClickHouseServer clickhouse, String token, int id) throws Exception {
        execute(
                clickhouse,
                "INSERT INTO dedup.t SETTINGS insert_deduplication_token = '%s' VALUES (%d)".formatted(token, id));
    }

    private static String execute(ClickHouseServer clickhouse, String sql) throws Exception {
        HttpResponse<String> response = send(clickhouse, ClickHouseServer.USER + ":" + ClickHouseServer.PASSWORD, sql);
        assertThat(response.statusCode()).as(response.body()).isEqualTo(200);
        return response.body();
    }

    private static HttpResponse<String> send(ClickHouseServer clickhouse, String user, String sql) throws Exception {
        HttpRequest.Builder request =
                HttpRequest.newBuilder(URI.create(clickhouse.url())).POST(HttpRequest.BodyPublishers.ofString(sql));
        if (user != null) {
            String credentials = Base64.getEncoder().encodeToString(user.getBytes(StandardCharsets.UTF_8));
            request.header("Authorization", "Basic " + credentials);
        }
        return HTTP.send(request.build(), HttpResponse.BodyHandlers.ofString());
    }

    /** What the process listens on, as the kernel writes addresses: 0100007F:1F90 is 127.0.0.1:8080. */
    private static List<String> listening(long pid) throws Exception {
        Set<String> sockets = new HashSet<>();
        try (var descriptors = Files.list(Path.of("/proc/" + pid + "/fd"))) {
            for (Path descriptor : descriptors.toList()) {
                if (Files.isSymbolicLink(descriptor)) {
                    sockets.add(Files.readSymbolicLink(descriptor).toString());
                }
            }
        }
        return List.of("tcp", "tcp6").stream()
                .flatMap(table -> {
                    try {
                        return Files.readAllLines(Path.of("/proc/" + pid + "/net/" + table)).stream();
                    } catch (IOException e) {
                        throw new UncheckedIOException(e);
                    }
                })
                .map(line -> line.strip().split(" +"))
                .filter(columns -> columns[3].equals("0A") && sockets.contains("socket:[" + columns[9] + "]"))
                .map(columns -> columns[1])
                .toList();
    }
}
