package io.github.eventdedup.ingest;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.eventdedup.servers.MainProcess;
import org.junit.jupiter.api.Test;

class CommandLineTest {

    @Test
    void theIngestExplainsItself() throws Exception {
        MainProcess help = MainProcess.run(HttpIngest.class, "--help");
        assertThat(help.exitCode()).isZero();
        assertThat(help.output())
                .contains("Usage: http-ingest", "--version", "DEDUP_API_KEYS_FILE", "DEDUP_POSTGRES_PASSWORD_FILE");
        assertThat(MainProcess.run(HttpIngest.class, "--version").exitCode()).isZero();
    }

    @Test
    void theIngestNamesAnUnknownOption() throws Exception {
        MainProcess wrong = MainProcess.run(HttpIngest.class, "--unknown");
        assertThat(wrong.exitCode()).isEqualTo(1);
        assertThat(wrong.output())
                .contains(
                        "http-ingest takes no arguments; its settings are environment variables, DEDUP_",
                        "Unknown option: '--unknown'");
    }
}
