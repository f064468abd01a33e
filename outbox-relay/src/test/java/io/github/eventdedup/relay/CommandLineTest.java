package io.github.eventdedup.relay;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.eventdedup.servers.MainProcess;
import org.junit.jupiter.api.Test;

class CommandLineTest {

    @Test
    void theRelayExplainsItself() throws Exception {
        MainProcess help = MainProcess.run(OutboxRelay.class, "--help");
        assertThat(help.exitCode()).isZero();
        assertThat(help.output()).contains("Usage: outbox-relay", "--stream", "--once", "DEDUP_POSTGRES_PASSWORD_FILE");
        assertThat(MainProcess.run(OutboxRelay.class, "--version").exitCode()).isZero();
    }

    @Test
    void theRelayNamesAnUnknownOption() throws Exception {
        MainProcess wrong = MainProcess.run(OutboxRelay.class, "--unknown");
        assertThat(wrong.exitCode()).isEqualTo(1);
        assertThat(wrong.output()).contains("arguments: give --stream FILE", "Unknown option: '--unknown'");
    }
}
