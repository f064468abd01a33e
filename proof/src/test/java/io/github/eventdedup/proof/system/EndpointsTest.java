package io.github.eventdedup.proof.system;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.eventdedup.config.ConfigurationException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EndpointsTest {

    @TempDir
    private Path directory;

    @Test
    void defaultsAreTheLocalSystem() throws Exception {
        assertThat(Endpoints.of(Map.of()))
                .hasToString("ingest http://127.0.0.1:8001, Flink http://127.0.0.1:8081, Kafka 127.0.0.1:9092, Postgres"
                        + " jdbc:postgresql://127.0.0.1:5432/dedup, ClickHouse http://127.0.0.1:8123");
        assertThat(Endpoints.of(Map.of()).postgres().password()).isEmpty();
        assertThat(Endpoints.of(Map.of()).files().processes()).isNull();
    }

    @Test
    void readsPasswordsFromFiles() throws Exception {
        Path postgres = Files.writeString(directory.resolve("postgres"), "p1\n");
        Path clickHouse = Files.writeString(directory.resolve("clickhouse"), "p2\n");
        Endpoints endpoints = Endpoints.of(Map.of(
                "DEDUP_POSTGRES_PASSWORD_FILE", postgres.toString(),
                "DEDUP_CLICKHOUSE_PASSWORD_FILE", clickHouse.toString()));
        assertThat(endpoints.postgres().password()).isEqualTo("p1");
        assertThat(endpoints.clickHouse().password()).isEqualTo("p2");
    }

    @Test
    void reportsEveryErrorAtOnce() {
        assertThatThrownBy(() -> Endpoints.of(Map.of(
                        "DEDUP_HTTP_URL", "ftp://x",
                        "DEDUP_KAFKA_BOOTSTRAP_SERVERS", "kafka",
                        "DEDUP_POSTGRES_URL", "jdbc:postgresql://db/x?password=hunter2",
                        "DEDUP_CLICKHOUSE_PASSWORD_FILE", directory + "/nothing",
                        "DEDUP_HTTP_ULR", "http://x")))
                .isInstanceOf(ConfigurationException.class)
                .message()
                .contains("DEDUP_HTTP_URL must be a URL such as http://127.0.0.1:8001")
                .contains("DEDUP_KAFKA_BOOTSTRAP_SERVERS has 'kafka'; write host:port")
                .contains("DEDUP_POSTGRES_URL holds a password")
                .contains("DEDUP_CLICKHOUSE_PASSWORD_FILE cannot be read")
                .contains("DEDUP_HTTP_ULR is not known; known are DEDUP_CLICKHOUSE_DATABASE, ")
                .doesNotContain("hunter2");
    }

    @Test
    void refusesTwoFilesThatDefineOneStream() throws Exception {
        String definition = Files.readString(Path.of("../streams/view-events.yaml"));
        Files.writeString(directory.resolve("a.yaml"), definition);
        Files.writeString(directory.resolve("b.yaml"), definition);
        Endpoints endpoints = Endpoints.of(Map.of("DEDUP_STREAMS_DIR", directory.toString()));
        assertThatThrownBy(endpoints::streams)
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("define the stream 'view-events'");
    }
}
