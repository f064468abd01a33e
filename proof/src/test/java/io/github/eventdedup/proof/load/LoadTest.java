package io.github.eventdedup.proof.load;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

final class LoadTest {

    @ParameterizedTest
    @CsvSource({
        "--rate, fast",
        "--rate, 0",
        "--rate, -1",
        "--events, 0",
        "--events, many",
        "--duration, 30",
        "--duration, 0s",
        "--duration, 5 minutes",
        "--duplicates, 1.1",
        "--invalid, -0.1",
        "--invalid, 0.9",
        "--batch, 0",
        "--batch, 2001",
        "--connections, 0",
        "--seed, x",
        "--whatever, 1"
    })
    void anOptionThatCannotBeIsNamed(String option, String value) {
        StringWriter errors = new StringWriter();
        int code = new CommandLine(new Load()).setErr(new PrintWriter(errors)).execute(option, value);

        assertThat(code).isEqualTo(2);
        assertThat(errors.toString()).contains(option);
    }

    @Test
    void helpNamesEveryOption() {
        assertThat(new CommandLine(new Load()).getUsageMessage())
                .contains("--rate", "--events", "--duration", "--duplicates", "--invalid", "--batch", "--connections")
                .contains("--seed", "--ledger", "--json", "--samples");
    }
}
