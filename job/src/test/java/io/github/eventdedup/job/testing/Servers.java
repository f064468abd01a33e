package io.github.eventdedup.job.testing;

import io.github.eventdedup.job.settings.Endpoints;
import io.github.eventdedup.job.settings.PostgresLogin;
import io.github.eventdedup.servers.FreePort;
import io.github.eventdedup.servers.KafkaServer;
import io.github.eventdedup.servers.PostgresServer;
import java.io.IOException;
import java.nio.file.Path;
import org.apache.flink.util.IOUtils;

/** The job's endpoints, running: one of each. */
public record Servers(KafkaServer kafka, PostgresServer postgres) implements AutoCloseable {

    /** Starts both, with their data and logs in the directory. */
    public static Servers start(Path directory) throws IOException {
        Servers servers = new Servers(
                new KafkaServer(directory.resolve("kafka"), FreePort.find()),
                new PostgresServer(directory.resolve("postgres"), FreePort.find()));
        servers.kafka.start();
        servers.postgres.start();
        return servers;
    }

    public Endpoints endpoints() {
        return new Endpoints(kafka.bootstrapServers(), login(), null);
    }

    public PostgresLogin login() {
        return new PostgresLogin(postgres.jdbcUrl(), PostgresServer.USER);
    }

    @Override
    public void close() throws Exception {
        IOUtils.closeAll(postgres, kafka);
    }
}
