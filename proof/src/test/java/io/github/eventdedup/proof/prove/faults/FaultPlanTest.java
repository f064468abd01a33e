package io.github.eventdedup.proof.prove.faults;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.eventdedup.proof.prove.faults.Fault.Kind;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class FaultPlanTest {

    private static final List<String> PROCESSES =
            List.of("kafka", "postgres", "clickhouse", "zookeeper", "jobmanager", "taskmanager", "ingest", "relay");
    private static final List<String> STREAMS = List.of("user-logins", "view-events");
    private static final Set<Kind> ALL = EnumSet.allOf(Kind.class);

    private static List<Fault> plan(long seed, int seconds, Set<Kind> kinds) {
        return FaultPlan.of(seed, seconds, kinds, PROCESSES, STREAMS);
    }

    @Test
    void theSameSeedGivesTheSamePlanAndAnotherSeedAnother() {
        assertThat(plan(7, 600, ALL)).isEqualTo(plan(7, 600, ALL)).isNotEqualTo(plan(8, 600, ALL));
    }

    @Test
    void aLongPlanHasEveryKindAndHitsEveryProcessInEachWay() {
        for (long seed = 0; seed < 20; seed++) {
            List<Fault> plan = plan(seed, 3600, ALL);

            assertThat(plan).extracting(Fault::kind).contains(Kind.values());
            assertThat(targets(plan, Kind.KILL)).containsExactlyInAnyOrderElementsOf(PROCESSES);
            assertThat(targets(plan, Kind.PAUSE)).containsExactlyInAnyOrderElementsOf(PROCESSES);
            assertThat(plan).extracting(Fault::stream).containsAll(STREAMS);
            assertThat(plan).extracting(Fault::early).contains(true, false);
        }
    }

    private static Set<String> targets(List<Fault> plan, Kind kind) {
        return plan.stream()
                .filter(fault -> fault.kind() == kind)
                .flatMap(fault -> targets(fault).stream())
                .collect(Collectors.toSet());
    }

    @Test
    void tenMinutesHaveTimeForEveryKind() {
        for (long seed = 0; seed < 100; seed++) {
            assertThat(plan(seed, 600, ALL))
                    .as("seed " + seed)
                    .hasSizeGreaterThan(10)
                    .extracting(Fault::kind)
                    .contains(Kind.values());
        }
    }

    @Test
    void faultsFollowEachOtherBetweenAWarmUpAndACalmEnd() {
        for (long seed = 0; seed < 100; seed++) {
            int free = 15;
            for (Fault fault : plan(seed, 600, ALL)) {
                assertThat(fault.second()).as(fault.toString()).isGreaterThanOrEqualTo(free);
                free = fault.second() + FaultPlan.usualSeconds(fault);
            }
            assertThat(free).isLessThanOrEqualTo(570);
        }
    }

    @Test
    void pausesLastTenToFortySeconds() {
        List<Fault> plan = plan(1, 36_000, ALL);

        assertThat(plan).allSatisfy(fault -> {
            if (fault.kind() == Kind.REJECT || fault.kind() == Kind.CLOCK) {
                assertThat(fault.pauseSeconds()).isBetween(5, 15);
            } else if (fault.paused().isEmpty()) {
                assertThat(fault.pauseSeconds()).isZero();
            } else {
                assertThat(fault.pauseSeconds()).isBetween(10, 40);
            }
        });
        assertThat(plan).extracting(Fault::pauseSeconds).contains(10, 40);
    }

    @Test
    void aPairIsTwoProcesses() {
        List<Fault> pairs = plan(1, 3600, EnumSet.of(Kind.PAIRS));

        assertThat(pairs)
                .isNotEmpty()
                .allSatisfy(pair -> assertThat(targets(pair)).hasSize(2).doesNotHaveDuplicates());
        assertThat(pairs).extracting(pair -> pair.killed().size()).contains(0, 1, 2);
    }

    @Test
    void aRescaleAlwaysChangesTheParallelism() {
        Map<String, Integer> parallelism = new HashMap<>();
        for (Fault fault : plan(3, 3600, EnumSet.of(Kind.RESCALE, Kind.RESTART))) {
            if (fault.kind() == Kind.RESTART) {
                parallelism.clear();
            } else {
                assertThat(fault.parallelism()).isBetween(1, 2);
                assertThat(parallelism.getOrDefault(fault.stream(), 2)).isNotEqualTo(fault.parallelism());
                parallelism.put(fault.stream(), fault.parallelism());
            }
        }
    }

    @Test
    void aMinuteHasRoomForSeveral() {
        for (long seed = 0; seed < 100; seed++) {
            List<Fault> plan = plan(seed, 60, ALL);

            assertThat(plan).as("seed " + seed).hasSizeGreaterThanOrEqualTo(3);
            assertThat(plan.subList(0, 3))
                    .as("on a slow machine the others may take the whole minute, seed " + seed)
                    .extracting(Fault::kind)
                    .doesNotContain(Kind.REJECT, Kind.PAIRS, Kind.RESTART);
            assertThat(plan).allSatisfy(fault -> {
                assertThat(fault.second()).isGreaterThanOrEqualTo(10);
                assertThat(fault.second() + FaultPlan.usualSeconds(fault)).isLessThanOrEqualTo(45);
            });
        }
    }

    @Test
    void onlyWhatWasAskedForHappens() {
        assertThat(plan(1, 600, EnumSet.of(Kind.KILL)))
                .isNotEmpty()
                .extracting(Fault::kind)
                .containsOnly(Kind.KILL);
        assertThat(plan(1, 600, EnumSet.noneOf(Kind.class))).isEmpty();
    }

    @Test
    void fiveMinutesRejectRowsAndStepTheClock() {
        for (long seed = 0; seed < 100; seed++) {
            assertThat(plan(seed, 300, ALL))
                    .as("seed " + seed)
                    .extracting(Fault::kind)
                    .contains(Kind.REJECT, Kind.CLOCK);
        }
    }

    @Test
    void aRejectionHasATableAndAClockAStep() {
        List<Fault> plan = plan(2, 3600, EnumSet.of(Kind.REJECT, Kind.CLOCK));

        assertThat(plan).allSatisfy(fault -> {
            assertThat(fault.pauseSeconds()).isBetween(5, 15);
            assertThat(fault.stream().isEmpty()).isEqualTo(fault.kind() == Kind.CLOCK);
            assertThat(fault.stepSeconds() == 0).isEqualTo(fault.kind() == Kind.REJECT);
            assertThat(fault.parallelism()).isZero();
        });
        assertThat(plan).extracting(Fault::stepSeconds).contains(90, -90, 3600, -3600);
        assertThat(plan).extracting(Fault::stream).containsAll(STREAMS);
    }

    private static List<String> targets(Fault fault) {
        return Stream.concat(fault.killed().stream(), fault.paused().stream()).toList();
    }
}
