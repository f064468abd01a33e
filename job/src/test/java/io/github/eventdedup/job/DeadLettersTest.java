package io.github.eventdedup.job;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.eventdedup.job.clickhouse.ClickHouseSinkIT;
import io.github.eventdedup.job.testing.Fixtures;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** What the command says without Kafka; with it: {@link DeduplicationJobIT} and {@link ClickHouseSinkIT}. */
class DeadLettersTest {

    private static final Map<String, String> NOWHERE = Map.of("DEDUP_KAFKA_BOOTSTRAP_SERVERS", "nowhere.invalid:9092");

    @Test
    void explainsItself() {
        assertThat(say()).startsWith("0 ").contains("list", "show", "replay", "discard", "Exit codes");
        assertThat(say("replay", "--help")).startsWith("0 ").contains("--dry-run", "--reason-code");
    }

    @Test
    void saysWhatIsWrongWithItsArguments() {
        assertThat(say("list", "--from", "yesterday"))
                .startsWith("2 ")
                .contains("--from", "'yesterday' is no time such as 2026-11-28T06:00:00Z");
        assertThat(say("list", "--stream", "unknown"))
                .startsWith("2 --stream unknown: no file in")
                .contains("view-events", "user-logins");
        assertThat(say("replay", "--position", "0:1")).startsWith("2 --position: say of which stream");
        assertThat(say("show", "--limit", "-1")).startsWith("2 --limit -1: give a number from 1");
        assertThat(say("replay", "--stream", "view-events", "--position", "3:10:1"))
                .startsWith("2 --position 3:10:1: give PARTITION:OFFSET");
        assertThat(say("replay", "--reason-code", "rejected"))
                .startsWith("2 --reason-code rejected: there are ")
                .contains("rejected-by-postgres");
        assertThat(say("show", "--fingerprint", "abc")).startsWith("2 --fingerprint abc: give all of its 64");
        assertThat(say("list", "--from", "2026-11-28T12:00:00Z", "--to", "2026-11-28T11:00:00Z"))
                .startsWith("2 --from 2026-11-28T12:00:00Z is not before --to 2026-11-28T11:00:00Z");
        assertThat(say("discard")).startsWith("1 discard: say which letters");
        assertThat(Fixtures.deadLetters(Fixtures.file("no-such-directory"), NOWHERE, "list"))
                .startsWith("1 --streams: cannot read the directory");
        assertThat(Fixtures.deadLetters(Fixtures.file("streams"), Map.of("DEDUP_KAFKA", "x"), "list"))
                .startsWith("1 DEDUP_KAFKA is not known");
    }

    @Test
    void saysThatKafkaDoesNotAnswer() {
        assertThat(say("list"))
                .startsWith("1 ")
                .contains("Kafka at nowhere.invalid:9092 does not answer", "DEDUP_KAFKA_BOOTSTRAP_SERVERS")
                .doesNotContain("\tat ");
    }

    private static String say(String... arguments) {
        return Fixtures.deadLetters(Fixtures.file("streams"), NOWHERE, arguments);
    }
}
