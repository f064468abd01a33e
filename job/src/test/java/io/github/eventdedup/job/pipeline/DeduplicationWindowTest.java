package io.github.eventdedup.job.pipeline;

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
    }

    @Test
    void theWindowEndsOneWindowAfterTheFirstSight() {
        assertThat(window.isDuplicate(FIRST, FIRST)).isTrue();
        assertThat(window.isDuplicate(FIRST, FIRST + WINDOW - 1)).isTrue();
        assertThat(window.isDuplicate(FIRST, FIRST + WINDOW)).isFalse();
    }

    @Test
    void aRecordOlderThanTheFirstSightIsADuplicateHoweverOldItIs() {
        assertThat(window.isDuplicate(FIRST, FIRST - 1)).isTrue();
        assertThat(window.isDuplicate(FIRST, FIRST - WINDOW)).isTrue();
        assertThat(window.isDuplicate(FIRST, FIRST - 100 * WINDOW)).isTrue();
        assertThat(window.isDuplicate(FIRST, 0)).isTrue();
    }
}
