package io.github.eventdedup.proof.audit.topics;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.eventdedup.proof.system.TopicRange;
import org.junit.jupiter.api.Test;

class BelowStartTest {

    private static final TopicRange RANGE = new TopicRange("t", new long[] {40, 0, 3}, new long[] {50, 10, 10});

    private final BelowStart below = new BelowStart(RANGE);

    @Test
    void namesWhatLiesBetweenWhatIsNamedAndTheBeginning() {
        for (int offset = 10; offset < 17; offset++) {
            below.add(0, offset);
        }
        below.add(0, 20);
        below.add(0, 39);
        below.add(2, 0);
        below.add(2, 1);
        below.add(2, 2);
        below.close();

        assertThat(below.ranges()).containsExactlyInAnyOrder("0:17-19", "0:21-38");
        assertThat(below.count()).isEqualTo(3 + 18);
    }

    @Test
    void allIsUnaccountedForWhereNothingIsNamed() {
        below.close();

        assertThat(below.ranges()).containsExactly("0:0-39", "2:0-2");
        assertThat(below.count()).isEqualTo(43);
    }
}
