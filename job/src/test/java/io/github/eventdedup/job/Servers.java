package io.github.eventdedup.job;

import io.github.eventdedup.servers.FreePort;
import io.github.eventdedup.servers.KafkaServer;
import io.github.eventdedup.servers.PostgresServer;
import java.io.IOException;
import java.nio.file.Path;
import org.apache.flink.util.IOUtils;

/** The job's neighbours, running: one of each. */
record Servers(KafkaServer kafka, PostgresServer postgres) implements AutoCloseable {

    /** Starts both, with their data and logs in the directory. */
    static Servers start(Path directory) throws IOException {
        Servers servers = new Servers(
                new KafkaServer(directory.resolve("kafka"), FreePort.find()),
                new PostgresServer(directory.resolve("postgres"), FreePort.find()));
        servers.kafka.start();
        servers.postgres.start();
        return servers;
    }

    Neighbours neighbours() {
        return new Neighbours(kafka.bootstrapServers(), login(), null);
    }

    PostgresLogin login() {
        return new PostgresLogin(postgres.jdbcUrl(), PostgresServer.USER);
    }

    @Override
    public void close() throws Exception {
        IOUtils.closeAll(postgres, kafka);
    }
}
