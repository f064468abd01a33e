package io.github.eventdedup.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class DurationsTest {

    @ParameterizedTest
    @CsvSource({"500ms, PT0.5S", "30s, PT30S", "90m, PT1H30M", "36h, PT36H", "7d, PT168H", "0s, PT0S"})
    void readsANumberAndItsUnit(String text, Duration duration) {
        assertThat(Durations.parse(text)).contains(duration);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "5", "s", "-1s", "1.5s", "1 s", "1w", "1S", "1234567890s", "P1D"})
    void readsNothingElse(String text) {
        assertThat(Durations.parse(text)).isEmpty();
    }
}
