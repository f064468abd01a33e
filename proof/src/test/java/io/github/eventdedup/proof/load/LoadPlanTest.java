package io.github.eventdedup.proof.load;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.github.eventdedup.proof.load.LoadPlan.Kind;
import java.util.EnumMap;
import java.util.Map;
import org.junit.jupiter.api.Test;

final class LoadPlanTest {

    private static final int COPIES = 100_000;

    @Test
    void sharesAreAsAskedFor() {
        LoadPlan plan = new LoadPlan(1, 0.2, 0.01);
        Map<Kind, Integer> counts = new EnumMap<>(Kind.class);
        for (int copy = 0; copy < COPIES; copy++) {
            counts.merge(plan.kind(copy), 1, Integer::sum);
        }

        assertThat(counts.get(Kind.INVALID)).isCloseTo(COPIES / 100, within(COPIES / 500));
        assertThat(counts.get(Kind.TWIN)).isCloseTo(COPIES / 25, within(COPIES / 200));
        assertThat(counts.get(Kind.AGAIN)).isCloseTo(COPIES * 4 / 25, within(COPIES / 100));
    }

    @Test
    void copiesThatAreNotTheFirstAreOfAnEventSentBeforeNearOrFar() {
        LoadPlan plan = new LoadPlan(2, 0.3, 0.01);
        int near = 0;
        int far = 0;
        for (int copy = 0; copy < COPIES; copy++) {
            long event = plan.event(copy);
            switch (plan.kind(copy)) {
                case FIRST -> assertThat(event).isEqualTo(copy);
                case AGAIN, TWIN -> {
                    assertThat(event).isLessThan(copy);
                    assertThat(plan.kind(event)).isEqualTo(Kind.FIRST);
                    near += copy - event < 10 ? 1 : 0;
                    far += copy - event > 10_000 ? 1 : 0;
                }
                case INVALID -> {}
            }
        }

        assertThat(near).isGreaterThan(1000);
        assertThat(far).isGreaterThan(1000);
    }

    @Test
    void sameSeedSamePlanAndAnotherSeedAnotherOne() {
        LoadPlan plan = new LoadPlan(3, 0.2, 0.01);
        LoadPlan same = new LoadPlan(3, 0.2, 0.01);
        LoadPlan other = new LoadPlan(4, 0.2, 0.01);
        int different = 0;
        for (int copy = 0; copy < 1000; copy++) {
            assertThat(same.kind(copy)).isEqualTo(plan.kind(copy));
            assertThat(same.event(copy)).isEqualTo(plan.event(copy));
            different += other.kind(copy) == plan.kind(copy) ? 0 : 1;
        }

        assertThat(different).isGreaterThan(100);
    }

    @Test
    void withoutDuplicatesEachCopyIsAnEvent() {
        LoadPlan plan = new LoadPlan(5, 0, 0);
        for (int copy = 0; copy < 1000; copy++) {
            assertThat(plan.kind(copy)).isEqualTo(Kind.FIRST);
        }
    }
}
