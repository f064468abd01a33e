package io.github.eventdedup.event;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class EnvironmentVariablesTest {

    @ParameterizedTest
    @CsvSource({
        "DEDUP_INGEST_SERVICE_HOST,             10.0.0.7",
        "DEDUP_INGEST_SERVICE_PORT,             8001",
        "DEDUP_INGEST_SERVICE_PORT_HTTP,        8001",
        "DEDUP_INGEST_PORT,                     tcp://10.0.0.7:8001",
        "DEDUP_INGEST_PORT_8001_TCP,            tcp://10.0.0.7:8001",
        "DEDUP_INGEST_PORT_8001_TCP_ADDR,       10.0.0.7",
        "DEDUP_INGEST_PORT_8001_TCP_PORT,       8001",
        "DEDUP_INGEST_PORT_8001_TCP_PROTO,      tcp",
        "DEDUP_DNS_PORT_53_UDP,                 udp://10.0.0.7:53",
        "DEDUP_SERVICE_HOST,                    10.0.0.7",
        "DEDUP_HTTP_PORT,                       tcp://10.0.0.7:80",
        "DEDUP_DB_NAME,                         /web/dedup-db"
    })
    void ignoresWhatOrchestratorsSetForServices(String name, String value) {
        assertThat(EnvironmentVariables.settings(Map.of(name, value))).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({
        "DEDUP_HTTP_PORT,           8001",
        "DEDUP_HTTP_PROT,           8001",
        "DEDUP_PORT,                8001",
        "DEDUP_INGEST_SERVICE,      10.0.0.7",
        "DEDUP_HTTP_HOST,           10.0.0.7",
        "DEDUP_POSTGRES_URL,        jdbc:postgresql://db/x",
        "DEDUP_STREAMS_DIR,         /etc/dedup"
    })
    void keepsSettingsAndWhatMayBeATypingError(String name, String value) {
        assertThat(EnvironmentVariables.settings(Map.of(name, value))).isEqualTo(Map.of(name, value));
    }

    @Test
    void keepsTheSettingsBesideThem() {
        assertThat(EnvironmentVariables.settings(
                        Map.of("DEDUP_INGEST_PORT", "tcp://10.0.0.7:8001", "DEDUP_HTTP_PORT", "8002", "PATH", "/bin")))
                .isEqualTo(Map.of("DEDUP_HTTP_PORT", "8002", "PATH", "/bin"));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "jdbc:postgresql://db/x?password=hunter2",
                "jdbc:postgresql://db/x?user=dedup&password=hunter2",
                "jdbc:postgresql://db/x?password=",
                "jdbc:postgresql://db/x?sslpassword=a&password=hunter2",
                "jdbc:postgresql://dedup:hunter2@db/x"
            })
    void findsAPasswordInAUrl(String url) {
        assertThat(EnvironmentVariables.holdsPassword(url)).isTrue();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "jdbc:postgresql://db/x",
                "jdbc:postgresql://db/x?sslpassword=hunter2",
                "jdbc:postgresql://db/x?sslmode=verify-full&sslpassword=hunter2",
                "jdbc:postgresql://db/x?sslpassword=",
                "jdbc:postgresql://db/password=",
                "jdbc:postgresql://db:5432,other:5432/x?ApplicationName=a@b"
            })
    void takesOtherParametersForWhatTheyAre(String url) {
        assertThat(EnvironmentVariables.holdsPassword(url)).isFalse();
    }
}
