package io.github.eventdedup.job;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.eventdedup.servers.MainProcess;
import org.junit.jupiter.api.Test;

class CommandLineTest {

    @Test
    void theJobExplainsItself() throws Exception {
        MainProcess help = MainProcess.run(DeduplicationJob.class, "--help");
        assertThat(help.exitCode()).isZero();
        assertThat(help.output())
                .contains(
                        "Usage: deduplication-job",
                        "--stream",
                        "--resume",
                        "--new-table",
                        "DEDUP_POSTGRES_ALLOW_NONDURABLE");
        assertThat(MainProcess.run(DeduplicationJob.class, "--version").exitCode())
                .isZero();
    }

    @Test
    void theJobNamesAnUnknownOption() throws Exception {
        MainProcess wrong = MainProcess.run(DeduplicationJob.class, "--stream", "a.yaml", "--unknown");
        assertThat(wrong.exitCode()).isEqualTo(1);
        assertThat(wrong.output()).contains("arguments: give --stream FILE", "Unknown option: '--unknown'");
    }

    @Test
    void theSetupExplainsItself() throws Exception {
        MainProcess help = MainProcess.run(Setup.class, "--help");
        assertThat(help.exitCode()).isZero();
        assertThat(help.output())
                .contains("Usage: setup", "--streams", "--postgres", "--clickhouse", "DEDUP_POSTGRES_PASSWORD_FILE");
        assertThat(MainProcess.run(Setup.class, "--version").exitCode()).isZero();
    }

    @Test
    void theSetupNamesAnUnknownOption() throws Exception {
        MainProcess wrong = MainProcess.run(Setup.class, "--streams", "../streams", "--unknown");
        assertThat(wrong.exitCode()).isEqualTo(1);
        assertThat(wrong.output()).contains("arguments: give --streams DIR", "Unknown option: '--unknown'");
    }

    @Test
    void theDeadLettersExplainsItself() throws Exception {
        MainProcess help = MainProcess.run(DeadLetters.class, "--help");
        assertThat(help.exitCode()).isZero();
        assertThat(help.output()).contains("Usage: dead-letters", "--streams", "replay");
        assertThat(MainProcess.run(DeadLetters.class, "--version").exitCode()).isZero();
    }

    @Test
    void theDeadLettersNamesAnUnknownOption() throws Exception {
        MainProcess wrong = MainProcess.run(DeadLetters.class, "--unknown");
        assertThat(wrong.exitCode()).isEqualTo(2);
        assertThat(wrong.output()).contains("Unknown option: '--unknown'");
    }
}
