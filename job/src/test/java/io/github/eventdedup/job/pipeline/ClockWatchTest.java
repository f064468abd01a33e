package io.github.eventdedup.job.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.Optional;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;
import org.junit.jupiter.api.Test;

class ClockWatchTest {

    private static final long NOW = 1_746_057_600_000L;
    private static final long STEP = Duration.ofDays(30).toMillis();

    private final ClockWatch watch = new ClockWatch(new UnregisteredMetricsGroup(), () -> NOW);

    @Test
    void aClockThatGoesAndAPauseAreNoStep() {
        see(0, NOW - STEP);
        see(1, NOW - STEP - 5000);
        see(0, NOW - 10);
        see(0, NOW);
        assertThat(watch.largestStepMillis()).isZero();
        assertThat(watch.createTimeRecords()).isZero();
    }

    @Test
    void aClockThatIsAheadIsSeenWhileItIs() {
        see(3, NOW);
        see(3, NOW + STEP);
        assertThat(watch.largestStepMillis()).isEqualTo(STEP);
        see(3, NOW + 1);
        assertThat(watch.largestStepMillis()).as("stays the largest").isEqualTo(STEP);
    }

    @Test
    void aStepThatIsLongOverIsSeenWhereTimeGoesBack() {
        see(0, NOW - 2 * STEP);
        see(0, NOW - STEP);
        see(1, NOW - 3 * STEP);
        assertThat(watch.largestStepMillis()).isZero();
        see(0, NOW - 2 * STEP + 1000);
        assertThat(watch.largestStepMillis()).isEqualTo(STEP - 1000);
    }

    @Test
    void timesOfClientsAreCounted() {
        see(0, NOW, TimestampType.LOG_APPEND_TIME);
        see(0, NOW, TimestampType.CREATE_TIME);
        see(0, NOW, TimestampType.CREATE_TIME);
        assertThat(watch.createTimeRecords()).isEqualTo(2);
    }

    @Test
    void timesOfClientsThatGoBackAreNoStep() {
        see(0, NOW, TimestampType.CREATE_TIME);
        see(0, 0, TimestampType.CREATE_TIME);
        assertThat(watch.largestStepMillis()).isZero();
        see(0, NOW + STEP, TimestampType.CREATE_TIME);
        assertThat(watch.largestStepMillis()).isEqualTo(STEP);
    }

    private void see(int partition, long time) {
        see(partition, time, TimestampType.LOG_APPEND_TIME);
    }

    private void see(int partition, long time, TimestampType type) {
        watch.see(new ConsumerRecord<>(
                "view-events",
                partition,
                0,
                time,
                type,
                0,
                0,
                new byte[0],
                new byte[0],
                new RecordHeaders(),
                Optional.empty()));
    }
}
