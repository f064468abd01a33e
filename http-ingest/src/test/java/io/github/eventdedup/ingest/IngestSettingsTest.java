package io.github.eventdedup.ingest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Test;

class IngestSettingsTest {

    @Test
    void hasDefaults() throws Exception {
        assertThat(IngestSettings.from(Map.of("PATH", "/bin")))
                .isEqualTo(new IngestSettings(
                        "127.0.0.1",
                        8001,
                        "127.0.0.1:9092",
                        Path.of("streams"),
                        32 * 1024 * 1024,
                        Duration.ofSeconds(5),
                        Duration.ofSeconds(30)));
    }

    @Test
    void readsEveryKey() throws Exception {
        assertThat(IngestSettings.from(Map.of(
                        "DEDUP_HTTP_HOST", "0.0.0.0",
                        "DEDUP_ALLOW_UNAUTHENTICATED", "true",
                        "DEDUP_HTTP_PORT", "0",
                        "DEDUP_KAFKA_BOOTSTRAP_SERVERS", "kafka-1:9093,[::1]:9094",
                        "DEDUP_STREAMS_DIR", "/etc/dedup/streams",
                        "DEDUP_MAX_IN_FLIGHT_BYTES", "1000000",
                        "DEDUP_DELIVERY_TIMEOUT", "1500ms",
                        "DEDUP_DRAIN_TIMEOUT", "1m")))
                .isEqualTo(new IngestSettings(
                        "0.0.0.0",
                        0,
                        "kafka-1:9093,[::1]:9094",
                        Path.of("/etc/dedup/streams"),
                        1_000_000,
                        Duration.ofMillis(1500),
                        Duration.ofMinutes(1)));
    }

    @Test
    void saysEveryErrorAtOnce() {
        assertThatThrownBy(() -> IngestSettings.from(Map.of(
                        "DEDUP_HTTP_HOST", "0.0.0.0",
                        "DEDUP_ALLOW_UNAUTHENTICATED", "yes",
                        "DEDUP_HTTP_PORT", "65536",
                        "DEDUP_KAFKA_BOOTSTRAP_SERVERS", "http://kafka",
                        "DEDUP_STREAMS_DIR", " ",
                        "DEDUP_MAX_IN_FLIGHT_BYTES", "1000",
                        "DEDUP_DELIVERY_TIMEOUT", "5",
                        "DEDUP_DRAIN_TIMEOUT", "99m",
                        "DEDUP_HTTP_PROT", "8001")))
                .isInstanceOf(StartupException.class)
                .message()
                .satisfies(message -> assertThat(message.lines()).hasSize(10))
                .contains("DEDUP_HTTP_HOST is 0.0.0.0, which other machines can reach")
                .contains("set DEDUP_ALLOW_UNAUTHENTICATED=true")
                .contains("DEDUP_ALLOW_UNAUTHENTICATED is 'yes'; write true or false")
                .contains("DEDUP_HTTP_PORT is '65536'; write a number from 0 to 65535")
                .contains("DEDUP_KAFKA_BOOTSTRAP_SERVERS has 'http://kafka'; write host:port")
                .contains("DEDUP_STREAMS_DIR is empty")
                .contains("DEDUP_MAX_IN_FLIGHT_BYTES is '1000'; write a number from 524288")
                .contains("DEDUP_DELIVERY_TIMEOUT is '5'; write a time such as 500ms, 5s or 1m")
                .contains("DEDUP_DRAIN_TIMEOUT is '99m'")
                .contains("DEDUP_HTTP_PROT is not known; known are DEDUP_ALLOW_UNAUTHENTICATED, ");
    }

    @Test
    void refusesAnUnknownKey() {
        assertThatThrownBy(() -> IngestSettings.from(Map.of("DEDUP_PORT", "8001")))
                .hasMessageContaining("DEDUP_PORT is not known");
    }
}
