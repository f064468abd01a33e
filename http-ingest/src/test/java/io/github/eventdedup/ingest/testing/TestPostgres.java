package io.github.eventdedup.ingest.testing;

import io.github.eventdedup.servers.FreePort;
import io.github.eventdedup.servers.PausedProcesses;
import io.github.eventdedup.servers.PostgresServer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.HexFormat;
import java.util.List;
import java.util.Properties;
import org.postgresql.Driver;

/** A real Postgres with the table of view events, and a role that may read it and nothing else. */
public final class TestPostgres implements AutoCloseable {

    /** The role of the ingest. */
    public static final String READER = "receipts";

    private static final Path SCHEMA = Path.of("..", "sql", "postgres", "001-view-events.sql");

    private static final Path DOCUMENTATION = Path.of("..", "docs", "configuration.md");

    private final PostgresServer server;
    private final PausedProcesses paused = new PausedProcesses();

    public TestPostgres(Path directory) {
        server = new PostgresServer(directory, FreePort.find());
    }

    public String url() {
        return server.jdbcUrl();
    }

    public void start() {
        server.start();
    }

    public void createTable(String readersPassword) throws Exception {
        execute(Files.readString(SCHEMA));
        // As the documentation has it: that it is enough is part of what is tested.
        List<String> statements = Files.readAllLines(DOCUMENTATION).stream()
                .map(String::strip)
                .filter(line -> line.endsWith(";") && line.contains(" " + READER))
                .map(line -> line.replace("'…'", "'" + readersPassword + "'"))
                .toList();
        if (statements.size() != 2) {
            throw new IllegalStateException("a role and what it is granted, but: " + statements);
        }
        execute(statements.toArray(String[]::new));
    }

    public void changePassword(String password) throws SQLException {
        execute("ALTER ROLE " + READER + " PASSWORD '" + password + "'");
    }

    /** Ends every connection of the ingest, as a failover would. */
    public void disconnectReader() throws SQLException {
        execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '" + READER + "'");
    }

    public void execute(String... statements) throws SQLException {
        try (Connection connection = connect();
                Statement statement = connection.createStatement()) {
            for (String sql : statements) {
                statement.execute(sql);
            }
        }
    }

    /** Stores an event as the job would. */
    public void store(String table, String fingerprint, Instant receivedAt, int partition, long offset)
            throws SQLException {
        try (Connection connection = connect();
                PreparedStatement insert = connection.prepareStatement("INSERT INTO " + table
                        + " (fingerprint, received_at, kafka_partition, kafka_offset, user_id, content_id, event_name,"
                        + " event_datetime, sid, event) VALUES (?, ?, ?, ?, 'u1', 'c1', 'watch', now(), 's1', '{}')")) {
            insert.setBytes(1, HexFormat.of().parseHex(fingerprint));
            insert.setObject(2, receivedAt.atOffset(ZoneOffset.UTC));
            insert.setInt(3, partition);
            insert.setLong(4, offset);
            insert.executeUpdate();
        }
    }

    public Connection connect() throws SQLException {
        Properties login = new Properties();
        login.setProperty("user", PostgresServer.USER);
        login.setProperty("password", PostgresServer.PASSWORD);
        return new Driver().connect(server.jdbcUrl(), login);
    }

    public void kill() {
        server.kill();
    }

    /** Stops all its processes as a debugger would: connections are kept, new ones are taken, and nobody is answered. */
    public void pause() throws IOException {
        paused.pause(server.process().toHandle());
    }

    public void resume() throws IOException {
        paused.resume();
    }

    @Override
    public void close() throws Exception {
        // Children that are stopped would outlive their postmaster.
        resume();
        server.kill();
    }
}
