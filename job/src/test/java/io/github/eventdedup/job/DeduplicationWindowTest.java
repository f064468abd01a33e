package io.github.eventdedup.job;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import org.junit.jupiter.api.Test;

class DeduplicationWindowTest {

    private static final long WINDOW = Duration.ofDays(7).toMillis();
    private static final long FIRST = 1_746_057_600_000L;

    private final DeduplicationWindow window = new DeduplicationWindow(Duration.ofDays(7));

    @Test
    void theFirstIsNoDuplicate() {
        assertThat(window.isDuplicate(null, FIRST)).isFalse();
        assertThat(window.firstSeen(null, FIRST)).isEqualTo(FIRST);
    }

    @Test
    void theWindowEndsOneWindowAfterTheFirstSight() {
        assertThat(window.isDuplicate(FIRST, FIRST)).isTrue();
        assertThat(window.isDuplicate(FIRST, FIRST + WINDOW - 1)).isTrue();
        assertThat(window.isDuplicate(FIRST, FIRST + WINDOW)).isFalse();
        assertThat(window.firstSeen(FIRST, FIRST + WINDOW)).isEqualTo(FIRST + WINDOW);
    }

    @Test
    void aRecordOfAnEarlierTimeThatComesLaterIsADuplicateWithinTheWindowOnly() {
        assertThat(window.isDuplicate(FIRST, FIRST - WINDOW + 1)).isTrue();
        assertThat(window.isDuplicate(FIRST, FIRST - WINDOW)).isFalse();
    }

    @Test
    void anEarlierRecordDoesNotMoveTheWindowBack() {
        assertThat(window.firstSeen(FIRST, FIRST - WINDOW)).isEqualTo(FIRST);
    }
}
