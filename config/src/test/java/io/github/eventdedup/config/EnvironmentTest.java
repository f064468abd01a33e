package io.github.eventdedup.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class EnvironmentTest {

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
        assertThat(new Environment(Map.of(name, value), List.of(name)).has(name))
                .isFalse();
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
        assertThat(new Environment(Map.of(name, value), List.of(name)).text(name, "default"))
                .isEqualTo(value);
    }

    @Test
    void keepsTheSettingsBesideThem() throws Exception {
        Environment environment = new Environment(
                Map.of("DEDUP_INGEST_PORT", "tcp://10.0.0.7:8001", "DEDUP_HTTP_PORT", "8002", "PATH", "/bin"),
                List.of("DEDUP_HTTP_PORT"));
        assertThat(environment.integer("DEDUP_HTTP_PORT", 8001, 0, 65535)).isEqualTo(8002);
        environment.refuseErrors();
    }

    @Test
    void refusesWhatIsNotKnownAndReportsEveryErrorAtOnce() {
        Environment environment = new Environment(
                Map.of("DEDUP_A", " ", "DEDUP_B", "x", "DEDUP_C", "9", "DEDUP_D", "2d", "DEDUP_DD", "1"),
                List.of("DEDUP_D", "DEDUP_C", "DEDUP_B", "DEDUP_A"));
        assertThat(environment.text("DEDUP_A", "a")).isEqualTo("a");
        assertThat(environment.flag("DEDUP_B")).isFalse();
        assertThat(environment.integer("DEDUP_C", 1, 0, 8)).isEqualTo(1);
        assertThat(environment.duration("DEDUP_D", "1h", Duration.ofMinutes(1), Duration.ofDays(1)))
                .isEqualTo(Duration.ofMinutes(1));
        assertThatThrownBy(environment::refuseErrors)
                .isInstanceOf(ConfigurationException.class)
                .hasMessage("""
                        invalid settings:
                          DEDUP_DD is not known; known are DEDUP_A, DEDUP_B, DEDUP_C, DEDUP_D
                          DEDUP_A is empty; leave it out for its default, a
                          DEDUP_B is 'x'; write true or false
                          DEDUP_C is '9'; write a number from 0 to 8
                          DEDUP_D is '2d'; write a time such as 500ms, 5s or 1m, from 60000ms to 86400s""");
    }

    @Test
    void readsAddresses() throws Exception {
        Environment environment = new Environment(Map.of(), List.of());
        assertThat(environment.bootstrapServers()).isEqualTo("127.0.0.1:9092");
        assertThat(environment.postgresUrl()).isEqualTo("jdbc:postgresql://127.0.0.1:5432/dedup");
        assertThat(environment.clickHouseUrl()).isEqualTo("http://127.0.0.1:8123");
        environment.refuseErrors();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "DEDUP_KAFKA_BOOTSTRAP_SERVERS | http://kafka              | has 'http://kafka'; write host:port",
                "DEDUP_KAFKA_BOOTSTRAP_SERVERS | kafka:9092,               | has ''; write host:port",
                "DEDUP_POSTGRES_URL            | postgres://db             | must be a JDBC URL such as",
                "DEDUP_POSTGRES_URL            | jdbc:postgresql://a:b@db/x | holds a password; put it into",
                "DEDUP_CLICKHOUSE_URL          | http://dedup:secret@ch    | must be a URL such as http://127.0.0.1:8123"
            })
    void refusesAddressesThatCannotBeUsed(String name, String value, String error) {
        Environment environment = new Environment(Map.of(name, value), List.of(name));
        environment.bootstrapServers();
        environment.postgresUrl();
        environment.clickHouseUrl();
        assertThatThrownBy(environment::refuseErrors)
                .hasMessageStartingWith(name + " " + error)
                .hasMessageNotContaining("secret");
    }

    @Test
    void readsASecretFromItsVariableOrItsFile(@TempDir Path directory) throws Exception {
        List<String> known = List.of("DEDUP_P", "DEDUP_P_FILE");
        Path file = Files.writeString(directory.resolve("p"), " s3 \n");
        assertThat(new Environment(Map.of("DEDUP_P", " s "), known)
                        .secret("DEDUP_P")
                        .read())
                .isEqualTo(" s ");
        assertThat(new Environment(Map.of("DEDUP_P_FILE", file.toString()), known)
                        .secret("DEDUP_P")
                        .read())
                .isEqualTo("s3");
        assertThat(new Environment(Map.of(), known).optionalSecret("DEDUP_P")).isNull();
        Environment none = new Environment(Map.of(), known);
        assertThat(none.secret("DEDUP_P")).isNull();
        assertThatThrownBy(none::refuseErrors)
                .hasMessage("DEDUP_P is not set; set it, or DEDUP_P_FILE to the path of a file that holds it");
        Environment both = new Environment(Map.of("DEDUP_P", "s", "DEDUP_P_FILE", "f"), known);
        assertThat(both.secret("DEDUP_P")).hasToString("***");
        assertThatThrownBy(both::refuseErrors).hasMessage("DEDUP_P and DEDUP_P_FILE are both set; leave one out");
    }
}
