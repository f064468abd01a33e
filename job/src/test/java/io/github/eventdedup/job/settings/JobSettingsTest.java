package io.github.eventdedup.job.settings;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.job.settings.JobSettings.Consent;
import io.github.eventdedup.job.settings.JobSettings.Start;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

class JobSettingsTest {

    private static final List<String> ARGUMENTS = List.of("--stream", "streams/view-events.yaml");

    @Test
    void defaultsAreTheLocalSystem() throws Exception {
        assertThat(JobSettings.of(ARGUMENTS, Map.of()))
                .isEqualTo(new JobSettings(
                        Path.of("streams/view-events.yaml"),
                        Start.ONLY_WITHOUT_STATE,
                        Set.of(),
                        new Endpoints(
                                "127.0.0.1:9092",
                                new PostgresLogin("jdbc:postgresql://127.0.0.1:5432/dedup", "dedup"),
                                new ClickHouseLogin("http://127.0.0.1:8123", "dedup", "dedup"))));
    }

    @Test
    void everySettingIsTaken() throws Exception {
        Map<String, String> environment = Map.of(
                "DEDUP_KAFKA_BOOTSTRAP_SERVERS", "kafka:1",
                "DEDUP_POSTGRES_URL", "jdbc:postgresql://db:2/events",
                "DEDUP_POSTGRES_USER", "writer",
                "DEDUP_POSTGRES_PASSWORD_FILE", "/run/secrets/postgres",
                "DEDUP_CLICKHOUSE_URL", "https://ch:3",
                "DEDUP_CLICKHOUSE_DATABASE", "events",
                "DEDUP_CLICKHOUSE_USER", "inserter",
                "DEDUP_CLICKHOUSE_PASSWORD_FILE", "/run/secrets/clickhouse");
        assertThat(JobSettings.of(ARGUMENTS, environment))
                .isEqualTo(new JobSettings(
                        Path.of("streams/view-events.yaml"),
                        Start.ONLY_WITHOUT_STATE,
                        Set.of(),
                        new Endpoints(
                                "kafka:1",
                                new PostgresLogin("jdbc:postgresql://db:2/events", "writer"),
                                new ClickHouseLogin("https://ch:3", "events", "inserter"))));
    }

    @Test
    void whatToDoAboutStateIsSaidAfterTheStream() throws Exception {
        assertThat(start("--resume")).isEqualTo(Start.RESUME);
        assertThat(start("--fresh")).isEqualTo(Start.FRESH);
        assertThatThrownBy(() -> start("--resume", "--fresh")).hasMessageContaining("exclude each other");
        assertThatThrownBy(() -> start("--refresh")).hasMessageContaining("--stream FILE");
    }

    @Test
    void whatIsAgreedToIsSaidInAsManyWords() throws Exception {
        assertThat(settings("--from-older").consents()).containsExactly(Consent.FROM_OLDER);
        assertThat(settings("--new-table", "--resume", "--new-topic").consents())
                .containsExactlyInAnyOrder(Consent.NEW_TABLE, Consent.NEW_TOPIC);
        assertThatThrownBy(() -> settings("--fresh", "--new-topic"))
                .hasMessageContaining("--fresh starts without state, and --new-topic is about")
                .hasMessageContaining("leave one out");
    }

    private static JobSettings settings(String... more) throws ConfigurationException {
        List<String> arguments = new ArrayList<>(ARGUMENTS);
        arguments.addAll(List.of(more));
        return JobSettings.of(arguments, Map.of());
    }

    private static Start start(String... more) throws ConfigurationException {
        return settings(more).start();
    }

    @Test
    void everyErrorIsNamedAtOnce() {
        Map<String, String> environment = Map.of(
                "DEDUP_POSTGRES_URL",
                "mysql://db",
                "DEDUP_POSTGRES_USR",
                "x",
                "DEDUP_CLICKHOUSE_URL",
                "http://dedup:secret@ch:8123",
                "PATH",
                "/bin");
        assertThatThrownBy(() -> JobSettings.of(List.of(), environment))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("--stream FILE")
                .hasMessageContaining("DEDUP_POSTGRES_URL")
                .hasMessageContaining("DEDUP_POSTGRES_USR is not known")
                .hasMessageContaining("DEDUP_CLICKHOUSE_URL must be a URL such as")
                .hasMessageNotContaining("secret");
    }

    @Test
    void aStreamFileThatIsNotThereIsNamedWithWhatToDo() throws Exception {
        JobSettings settings = JobSettings.of(List.of("--stream", "nowhere.yaml"), Map.of());
        assertThatThrownBy(settings::readStream)
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("--stream: cannot read nowhere.yaml, give the path");
    }

    @Test
    void aPasswordInTheUrlIsRefusedAndNotRepeated() {
        Map<String, String> environment = Map.of("DEDUP_POSTGRES_URL", "jdbc:postgresql://db/events?password=hunter2");
        assertThatThrownBy(() -> JobSettings.of(ARGUMENTS, environment))
                .hasMessageContaining("holds a password")
                .hasMessageNotContaining("hunter2");
    }

    @Test
    void thePasswordOfAClientKeyIsNoPasswordOfTheRoleAndIsNotShown() throws Exception {
        String url = "jdbc:postgresql://db/events?sslmode=verify-full&sslpassword=hunter2&sslkey=k.p12";
        PostgresLogin login = JobSettings.of(ARGUMENTS, Map.of("DEDUP_POSTGRES_URL", url))
                .endpoints()
                .postgres();
        assertThat(login.url()).isEqualTo(url);
        assertThat(login.cannotBeUsed(new RuntimeException("no route")))
                .contains("sslmode=verify-full&sslpassword=***&sslkey=k.p12")
                .doesNotContain("hunter2");
        assertThat(login.toString()).doesNotContain("hunter2");
        assertThatThrownBy(() -> JobSettings.of(
                        ARGUMENTS,
                        Map.of("DEDUP_POSTGRES_URL", "jdbc:postgresql://db/events?ssl=true&password=hunter2")))
                .hasMessageContaining("holds a password");
    }

    @Test
    void aPostgresThatMayLoseRowsIsAllowedInAsManyWords() throws Exception {
        assertThat(JobSettings.of(ARGUMENTS, Map.of("DEDUP_POSTGRES_ALLOW_NONDURABLE", "true"))
                        .endpoints()
                        .allowsNonDurablePostgres())
                .isTrue();
        assertThatThrownBy(() -> JobSettings.of(ARGUMENTS, Map.of("DEDUP_POSTGRES_ALLOW_NONDURABLE", "yes")))
                .hasMessageContaining("DEDUP_POSTGRES_ALLOW_NONDURABLE is 'yes'; write true or false");
    }
}
