package io.github.eventdedup.relay;

import io.github.eventdedup.servers.FreePort;
import io.github.eventdedup.servers.FreshDirectory;
import io.github.eventdedup.servers.KafkaServer;
import io.github.eventdedup.servers.PausedProcesses;
import io.github.eventdedup.servers.PostgresServer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Properties;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.postgresql.Driver;

/** One Kafka and one Postgres for all tests of a JVM; every test has a topic and a table of its own. */
final class TestServers implements BeforeAllCallback {

    private static volatile Running running;

    record Running(KafkaServer kafka, PostgresServer postgres, Path directory, PausedProcesses paused)
            implements AutoCloseable {

        static Running start(Path directory) throws Exception {
            Running servers = new Running(
                    new KafkaServer(directory.resolve("kafka"), FreePort.find()),
                    new PostgresServer(directory.resolve("postgres"), FreePort.find()),
                    directory,
                    new PausedProcesses());
            try {
                servers.kafka.start();
                servers.postgres.start();
                try (Connection connection = servers.connect();
                        Statement statement = connection.createStatement()) {
                    statement.execute(Files.readString(file("sql/postgres/002-user-logins.sql")));
                }
                return servers;
            } catch (Exception e) {
                servers.close();
                throw e;
            }
        }

        Connection connect() throws SQLException {
            Properties login = new Properties();
            login.setProperty("user", PostgresServer.USER);
            login.setProperty("password", PostgresServer.PASSWORD);
            return new Driver().connect(postgres.jdbcUrl(), login);
        }

        /** Stops the broker as a debugger would: it keeps its connections and answers nothing. */
        void pauseKafka() throws IOException {
            paused.pause(kafka.process().toHandle());
        }

        void resumeKafka() throws IOException {
            paused.resume();
        }

        @Override
        public void close() throws Exception {
            kafka.kill();
            postgres.stop();
            FreshDirectory.delete(directory);
        }
    }

    @Override
    public void beforeAll(ExtensionContext context) {
        // Closed by JUnit after the last test of this JVM.
        running = context.getRoot()
                .getStore(ExtensionContext.Namespace.GLOBAL)
                .computeIfAbsent(
                        Running.class,
                        key -> {
                            try {
                                return Running.start(Files.createTempDirectory(Path.of("target"), "it-"));
                            } catch (Exception e) {
                                throw new IllegalStateException(e);
                            }
                        },
                        Running.class);
    }

    static Running running() {
        return running;
    }

    /** A file of the project, wherever the tests run. */
    static Path file(String path) {
        Path here = Path.of("").toAbsolutePath();
        return here.getFileName().toString().equals("outbox-relay") ? here.resolveSibling(path) : here.resolve(path);
    }
}
