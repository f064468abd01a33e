package io.github.eventdedup.relay.settings;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.config.Secret;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RelaySettingsTest {

    private static final List<String> ARGUMENTS = List.of("--stream", "streams/user-logins.yaml");

    @TempDir
    private Path directory;

    @Test
    void hasDefaults() throws Exception {
        assertThat(RelaySettings.from(ARGUMENTS, Map.of("PATH", "/bin", "DEDUP_POSTGRES_PASSWORD", "p")))
                .isEqualTo(new RelaySettings(
                        Path.of("streams/user-logins.yaml"),
                        false,
                        "127.0.0.1:9092",
                        "jdbc:postgresql://127.0.0.1:5432/dedup",
                        "dedup",
                        new Secret("p", null),
                        null));
    }

    @Test
    void readsEveryKey() throws Exception {
        Path file = Files.writeString(directory.resolve("password"), "p\n");
        RelaySettings settings = RelaySettings.from(
                List.of("--once", "--stream", "a.yaml"),
                Map.of(
                        "DEDUP_KAFKA_BOOTSTRAP_SERVERS", "kafka-1:9093,[::1]:9094",
                        "DEDUP_POSTGRES_URL", "jdbc:postgresql://db/app",
                        "DEDUP_POSTGRES_USER", "relay",
                        "DEDUP_POSTGRES_PASSWORD_FILE", file.toString(),
                        "DEDUP_CLICKHOUSE_URL", "https://clickhouse:8443",
                        "DEDUP_CLICKHOUSE_DATABASE", "app",
                        "DEDUP_CLICKHOUSE_USER", "reader",
                        "DEDUP_CLICKHOUSE_PASSWORD", "c"));
        assertThat(settings)
                .isEqualTo(new RelaySettings(
                        Path.of("a.yaml"),
                        true,
                        "kafka-1:9093,[::1]:9094",
                        "jdbc:postgresql://db/app",
                        "relay",
                        new Secret(null, file),
                        new RelaySettings.ClickHouse(
                                "https://clickhouse:8443", "app", "reader", new Secret("c", null))));
        assertThat(settings.postgresPassword().read()).isEqualTo("p");
    }

    @Test
    void saysEveryErrorAtOnce() {
        assertThatThrownBy(() -> RelaySettings.from(
                        List.of("--strem", "a.yaml"),
                        Map.of(
                                "DEDUP_KAFKA_BOOTSTRAP_SERVERS", "http://kafka",
                                "DEDUP_POSTGRES_URL", "jdbc:mysql://db",
                                "DEDUP_POSTGRES_USER", " ",
                                "DEDUP_POSTGRES_PASSWROD", "p",
                                "DEDUP_CLICKHOUSE_URL", "http://dedup:p@clickhouse")))
                .isInstanceOf(ConfigurationException.class)
                .message()
                .satisfies(message -> assertThat(message.lines()).hasSize(9))
                .contains("DEDUP_CLICKHOUSE_URL must be a URL such as http://127.0.0.1:8123")
                .contains("DEDUP_CLICKHOUSE_PASSWORD is not set; set it, or DEDUP_CLICKHOUSE_PASSWORD_FILE")
                .contains("arguments: give --stream FILE")
                .contains("DEDUP_KAFKA_BOOTSTRAP_SERVERS has 'http://kafka'; write host:port")
                .contains("DEDUP_POSTGRES_URL must be a JDBC URL")
                .contains("DEDUP_POSTGRES_USER is empty")
                .contains("DEDUP_POSTGRES_PASSWORD is not set; set it, or DEDUP_POSTGRES_PASSWORD_FILE")
                .contains("DEDUP_POSTGRES_PASSWROD is not known; known are DEDUP_CLICKHOUSE_DATABASE, ");
    }

    @Test
    void refusesPasswordsWhereTheyDoNotBelong() {
        assertThatThrownBy(() -> RelaySettings.from(
                        ARGUMENTS,
                        Map.of(
                                "DEDUP_POSTGRES_URL", "jdbc:postgresql://db/app?password=p",
                                "DEDUP_POSTGRES_PASSWORD", "p",
                                "DEDUP_POSTGRES_PASSWORD_FILE", "p")))
                .hasMessageContaining("DEDUP_POSTGRES_URL holds a password")
                .hasMessageContaining("both set");
        assertThatThrownBy(() ->
                        RelaySettings.from(ARGUMENTS, Map.of("DEDUP_POSTGRES_PASSWORD_FILE", directory + "/nothing")))
                .hasMessageContaining("which cannot be read");
    }

    @Test
    void masksThePassword() throws Exception {
        assertThat(RelaySettings.from(ARGUMENTS, Map.of("DEDUP_POSTGRES_PASSWORD", "hunter2")))
                .asString()
                .contains("postgresPassword=***")
                .doesNotContain("hunter2");
    }
}
