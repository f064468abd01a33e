package io.github.eventdedup.proof.load;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RowPollerTest {

    @ParameterizedTest
    @CsvSource({"0, 10", "1, 10", "20, 200", "49, 490", "50, 500", "10000, 500"})
    void leavesTheDatabaseTimeAndSoonLooksAgain(long tookMillis, long pauseMillis) {
        assertThat(RowPoller.pauseMillis(tookMillis)).isEqualTo(pauseMillis);
    }
}
