package io.github.eventdedup.servers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PostgresServerIT {

    @TempDir
    private Path directory;

    @Test
    void keepsCommittedRowsOverKillAndStop() throws Exception {
        ProcessHandle last;
        try (PostgresServer postgres = new PostgresServer(directory, FreePort.find())) {
            postgres.start();
            execute(postgres, "CREATE TABLE t (v text)");
            execute(postgres, "INSERT INTO t VALUES ('before kill')");

            postgres.kill();
            assertThat(postgres.answers()).isFalse();
            postgres.start();
            execute(postgres, "INSERT INTO t VALUES ('before stop')");

            postgres.stop();
            postgres.start();
            assertThat(query(postgres, "SELECT v FROM t")).containsExactly("before kill", "before stop");
            last = postgres.process().toHandle();
        }
        assertThat(last.isAlive()).isFalse();
    }

    @Test
    void writesToDiskBeforeItAcknowledges() throws Exception {
        try (PostgresServer postgres = new PostgresServer(directory, FreePort.find())) {
            postgres.start();
            assertThat(
                            query(
                                    postgres,
                                    "SELECT name || '=' || setting FROM pg_settings WHERE name IN"
                                            + " ('fsync', 'synchronous_commit', 'full_page_writes', 'listen_addresses') ORDER BY 1"))
                    .containsExactly(
                            "fsync=on", "full_page_writes=on", "listen_addresses=127.0.0.1", "synchronous_commit=on");
        }
    }

    @Test
    void refusesAWrongPassword() throws Exception {
        try (PostgresServer postgres = new PostgresServer(directory, FreePort.find())) {
            postgres.start();
            assertThatThrownBy(() -> DriverManager.getConnection(postgres.jdbcUrl(), PostgresServer.USER, "wrong"))
                    .isInstanceOf(SQLException.class)
                    .hasMessageContaining("password");
        }
    }

    @Test
    void takesThePlaceOfAnOrphan() throws Exception {
        int port = FreePort.find();
        PostgresServer parent = new PostgresServer(directory, port);
        parent.start();
        execute(parent, "CREATE TABLE t (v text)");
        try (PostgresServer postgres = new PostgresServer(directory, port)) {
            postgres.start();
            assertThat(parent.process().isAlive()).isFalse();
            assertThat(query(postgres, "SELECT v FROM t")).isEmpty();
        } finally {
            parent.kill();
        }
    }

    @Test
    void stopsWhereItsToolKnowsOfNoServer() throws Exception {
        try (PostgresServer postgres = new PostgresServer(directory, FreePort.find())) {
            postgres.start();
            // As in the first moments of a start.
            Files.delete(directory.resolve("data/postmaster.pid"));
            postgres.stop();
            assertThat(postgres.process().isAlive()).isFalse();
        }
    }

    @Test
    void startsWhereTheOldPidBelongsToSomebodyElseNow() throws Exception {
        Process stranger = new ProcessBuilder("sleep", "600").start();
        try (PostgresServer postgres = new PostgresServer(directory, FreePort.find())) {
            postgres.start();
            postgres.kill();
            Path lock = directory.resolve("data").resolve("postmaster.pid");
            List<String> lines = new ArrayList<>(Files.readAllLines(lock));
            lines.set(0, Long.toString(stranger.pid()));
            lines.set(2, "1000000000");
            Files.write(lock, lines);

            postgres.start();
            assertThat(postgres.answers()).isTrue();
            assertThat(stranger.isAlive()).isTrue();
        } finally {
            stranger.destroyForcibly();
        }
    }

    private static void execute(PostgresServer postgres, String sql) throws SQLException {
        try (Connection connection = connect(postgres);
                Statement statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }

    private static List<String> query(PostgresServer postgres, String sql) throws SQLException {
        try (Connection connection = connect(postgres);
                Statement statement = connection.createStatement();
                ResultSet result = statement.executeQuery(sql)) {
            List<String> rows = new ArrayList<>();
            while (result.next()) {
                rows.add(result.getString(1));
            }
            return rows;
        }
    }

    private static Connection connect(PostgresServer postgres) throws SQLException {
        return DriverManager.getConnection(postgres.jdbcUrl(), PostgresServer.USER, PostgresServer.PASSWORD);
    }
}
