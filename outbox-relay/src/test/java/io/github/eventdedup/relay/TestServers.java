package io.github.eventdedup.relay;

import io.github.eventdedup.servers.FreshDirectory;
import io.github.eventdedup.servers.KafkaServer;
import io.github.eventdedup.servers.PostgresServer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Properties;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.postgresql.Driver;

/** One Kafka and one Postgres for all tests of a run; every test has a topic and a table of its own. */
final class TestServers implements BeforeAllCallback {

    private static volatile Running running;

    record Running(KafkaServer kafka, PostgresServer postgres, Path directory) implements AutoCloseable {

        static Running start(Path directory) throws Exception {
            FreshDirectory.create(directory);
            Running servers = new Running(
                    new KafkaServer(directory.resolve("kafka"), freePort()),
                    new PostgresServer(directory.resolve("postgres"), freePort()),
                    directory);
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
        void pauseKafka() {
            signal(kafka.process(), "STOP");
        }

        void resumeKafka() {
            signal(kafka.process(), "CONT");
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
        // Closed by JUnit after the last test of the run.
        running = context.getRoot()
                .getStore(ExtensionContext.Namespace.GLOBAL)
                .computeIfAbsent(
                        Running.class,
                        key -> {
                            try {
                                return Running.start(Path.of("target", "it-servers"));
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

    static int freePort() {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static void signal(Process process, String name) {
        try {
            int status = new ProcessBuilder("kill", "-" + name, Long.toString(process.pid()))
                    .inheritIO()
                    .start()
                    .waitFor();
            if (status != 0) {
                throw new IllegalStateException("kill -" + name + " failed");
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }
}
