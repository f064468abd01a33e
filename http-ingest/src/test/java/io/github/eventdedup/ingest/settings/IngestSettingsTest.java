package io.github.eventdedup.ingest.settings;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.config.Secret;
import io.github.eventdedup.ingest.settings.IngestSettings.Limits;
import io.github.eventdedup.ingest.settings.IngestSettings.Postgres;
import io.github.eventdedup.ingest.settings.IngestSettings.Tls;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class IngestSettingsTest {

    @Test
    void hasDefaults() throws Exception {
        assertThat(IngestSettings.from(Map.of("PATH", "/bin")))
                .isEqualTo(new IngestSettings(
                        "127.0.0.1",
                        8001,
                        null,
                        null,
                        List.of(),
                        false,
                        "127.0.0.1:9092",
                        Path.of("streams"),
                        new Limits(262_144, 8 * 1024 * 1024, 10_000, 32, 32 * 1024 * 1024),
                        Duration.ofSeconds(5),
                        Duration.ofSeconds(30),
                        Duration.ofSeconds(75),
                        null));
    }

    @Test
    void readsEveryKey() throws Exception {
        Map<String, String> environment = Map.ofEntries(
                Map.entry("DEDUP_HTTP_HOST", "0.0.0.0"),
                Map.entry("DEDUP_HTTP_PORT", "0"),
                Map.entry("DEDUP_TLS_CERTIFICATE_FILE", "/run/tls.crt"),
                Map.entry("DEDUP_TLS_PRIVATE_KEY_FILE", "/run/tls.key"),
                Map.entry("DEDUP_API_KEYS_FILE", "/run/keys.yaml"),
                Map.entry("DEDUP_CORS_ORIGINS", "https://example.org, http://[::1]:8080"),
                Map.entry("DEDUP_ACCESS_LOG", "true"),
                Map.entry("DEDUP_KAFKA_BOOTSTRAP_SERVERS", "kafka-1:9093,[::1]:9094"),
                Map.entry("DEDUP_STREAMS_DIR", "/etc/dedup/streams"),
                Map.entry("DEDUP_MAX_EVENT_BYTES", "1001"),
                Map.entry("DEDUP_MAX_BODY_BYTES", "1002"),
                Map.entry("DEDUP_MAX_BATCH_EVENTS", "1003"),
                Map.entry("DEDUP_MAX_NESTING", "104"),
                Map.entry("DEDUP_MAX_IN_FLIGHT_BYTES", "1000000"),
                Map.entry("DEDUP_DELIVERY_TIMEOUT", "1500ms"),
                Map.entry("DEDUP_DRAIN_TIMEOUT", "1m"),
                Map.entry("DEDUP_KEEP_ALIVE_TIMEOUT", "2m"),
                Map.entry("DEDUP_POSTGRES_URL", "jdbc:postgresql://db/x"),
                Map.entry("DEDUP_POSTGRES_USER", "reader"),
                Map.entry("DEDUP_POSTGRES_PASSWORD_FILE", "/run/secret"));
        assertThat(IngestSettings.from(environment))
                .isEqualTo(new IngestSettings(
                        "0.0.0.0",
                        0,
                        new Tls(Path.of("/run/tls.crt"), Path.of("/run/tls.key")),
                        Path.of("/run/keys.yaml"),
                        List.of("https://example.org", "http://[::1]:8080"),
                        true,
                        "kafka-1:9093,[::1]:9094",
                        Path.of("/etc/dedup/streams"),
                        new Limits(1001, 1002, 1003, 104, 1_000_000),
                        Duration.ofMillis(1500),
                        Duration.ofMinutes(1),
                        Duration.ofMinutes(2),
                        new Postgres("jdbc:postgresql://db/x", "reader", new Secret(null, Path.of("/run/secret")))));
    }

    @Test
    void masksThePassword() throws Exception {
        assertThat(IngestSettings.from(
                        Map.of("DEDUP_POSTGRES_URL", "jdbc:postgresql://db/x", "DEDUP_POSTGRES_PASSWORD", "hunter2")))
                .asString()
                .doesNotContain("hunter2");
    }

    @Test
    void saysEveryErrorAtOnce() {
        Map<String, String> environment = Map.ofEntries(
                Map.entry("DEDUP_HTTP_HOST", "0.0.0.0"),
                Map.entry("DEDUP_ALLOW_UNAUTHENTICATED", "yes"),
                Map.entry("DEDUP_HTTP_PORT", "65536"),
                Map.entry("DEDUP_TLS_CERTIFICATE_FILE", "/run/tls.crt"),
                Map.entry("DEDUP_CORS_ORIGINS", "https://example.org/"),
                Map.entry("DEDUP_ACCESS_LOG", "1"),
                Map.entry("DEDUP_KAFKA_BOOTSTRAP_SERVERS", "http://kafka"),
                Map.entry("DEDUP_STREAMS_DIR", " "),
                Map.entry("DEDUP_MAX_EVENT_BYTES", "262145"),
                Map.entry("DEDUP_MAX_IN_FLIGHT_BYTES", "1000"),
                Map.entry("DEDUP_DELIVERY_TIMEOUT", "5"),
                Map.entry("DEDUP_DRAIN_TIMEOUT", "99m"),
                Map.entry("DEDUP_POSTGRES_URL", "postgres://db"),
                Map.entry("DEDUP_HTTP_PROT", "8001"));
        assertThatThrownBy(() -> IngestSettings.from(environment))
                .isInstanceOf(ConfigurationException.class)
                .message()
                .satisfies(message -> assertThat(message.lines()).hasSize(16))
                .contains("DEDUP_HTTP_HOST is 0.0.0.0, which other machines can reach")
                .contains("set DEDUP_API_KEYS_FILE, or DEDUP_ALLOW_UNAUTHENTICATED=true")
                .contains("DEDUP_ALLOW_UNAUTHENTICATED is 'yes'; write true or false")
                .contains("DEDUP_HTTP_PORT is '65536'; write a number from 0 to 65535")
                .contains("DEDUP_TLS_PRIVATE_KEY_FILE is not set")
                .contains("DEDUP_CORS_ORIGINS has 'https://example.org/'; write https://host")
                .contains("DEDUP_ACCESS_LOG is '1'; write true or false")
                .contains("DEDUP_KAFKA_BOOTSTRAP_SERVERS has 'http://kafka'; write host:port")
                .contains("DEDUP_STREAMS_DIR is empty")
                .contains("DEDUP_MAX_EVENT_BYTES is '262145'; write a number from 1 to 262144")
                .contains("DEDUP_MAX_IN_FLIGHT_BYTES is '1000'; write a number from 524288")
                .contains("DEDUP_DELIVERY_TIMEOUT is '5'; write a time such as 500ms, 5s or 1m")
                .contains("DEDUP_DRAIN_TIMEOUT is '99m'")
                .contains("DEDUP_POSTGRES_URL must be a JDBC URL")
                .contains("DEDUP_POSTGRES_PASSWORD is not set")
                .contains("DEDUP_HTTP_PROT is not known; known are DEDUP_ACCESS_LOG, ");
    }

    @Test
    void ignoresTheVariablesOfAnOrchestrator() throws Exception {
        assertThat(IngestSettings.from(Map.of(
                        "DEDUP_INGEST_SERVICE_HOST", "10.0.0.7",
                        "DEDUP_INGEST_SERVICE_PORT_HTTP", "8001",
                        "DEDUP_INGEST_PORT", "tcp://10.0.0.7:8001",
                        "DEDUP_HTTP_PORT", "tcp://10.0.0.8:80")))
                .isEqualTo(IngestSettings.from(Map.of()));
    }

    @Test
    void tellsThePasswordOfAKeyFromThatOfTheUser() throws Exception {
        String url = "jdbc:postgresql://db/x?sslmode=verify-full&sslpassword=";
        assertThat(IngestSettings.from(Map.of("DEDUP_POSTGRES_URL", url, "DEDUP_POSTGRES_PASSWORD", "hunter2"))
                        .postgres()
                        .url())
                .isEqualTo(url);
        assertThatThrownBy(() -> IngestSettings.from(
                        Map.of("DEDUP_POSTGRES_URL", url + "&password=x", "DEDUP_POSTGRES_PASSWORD", "hunter2")))
                .hasMessageContaining("holds a password");
    }

    @Test
    void refusesLimitsThatContradictEachOther() {
        assertThatThrownBy(() ->
                        IngestSettings.from(Map.of("DEDUP_MAX_EVENT_BYTES", "2000", "DEDUP_MAX_BODY_BYTES", "1000")))
                .hasMessageContaining("DEDUP_MAX_EVENT_BYTES is 2000, more than the 1000 of DEDUP_MAX_BODY_BYTES");
        assertThatThrownBy(() -> IngestSettings.from(Map.of("DEDUP_KEEP_ALIVE_TIMEOUT", "0s")))
                .hasMessageContaining("DEDUP_KEEP_ALIVE_TIMEOUT is '0s'; write a time");
    }

    @Test
    void refusesAnUnknownKey() {
        assertThatThrownBy(() -> IngestSettings.from(Map.of("DEDUP_PORT", "8001")))
                .hasMessageContaining("DEDUP_PORT is not known");
    }
}
