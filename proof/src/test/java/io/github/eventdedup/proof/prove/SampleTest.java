package io.github.eventdedup.proof.prove;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.eventdedup.proof.prove.faults.Fault;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SampleTest {

    @TempDir
    private Path directory;

    /** A sample a second from 0 on: the rows, and the lag in seconds. */
    private static List<Sample> samples(long[] rows, long... lags) {
        List<Sample> samples = new ArrayList<>();
        for (int i = 0; i < rows.length; i++) {
            samples.add(new Sample(1000L * i, 0, rows[i], lags.length == 0 ? 0 : 1000 * lags[i]));
        }
        return samples;
    }

    @Test
    void recoveredIsWhenRowsComeAgainAndStayYoung() {
        List<Sample> samples =
                samples(new long[] {10, 20, 20, 20, 20, 40, 70, 80, 90, 100, 110}, 0, 0, 1, 2, 3, 4, 1, 1, 1, 1, 1);

        assertThat(Sample.recovery(samples, 1500, 1500)).isEqualTo(OptionalLong.of(3500));
    }

    @Test
    void theLastRowsOfWhatDiesAreNoRecovery() {
        List<Sample> samples = samples(new long[] {10, 20, 25, 30, 30, 30, 30, 30, 40, 50, 60, 70, 80});

        assertThat(Sample.recovery(samples, 900, 900)).isEqualTo(OptionalLong.of(7100));
    }

    @Test
    void whatIsStoredLateIsNotRecoveredYet() {
        List<Sample> samples =
                samples(new long[] {10, 20, 20, 30, 40, 50, 60, 70, 80, 90, 99}, 0, 0, 9, 8, 7, 6, 4, 1, 1, 1, 1);

        assertThat(Sample.recovery(samples, 1000, 1000)).isEqualTo(OptionalLong.of(5000));
    }

    @Test
    void aSystemThatWasSlowBeforeIsMeasuredByThat() {
        List<Sample> samples = samples(new long[] {10, 20, 30, 40, 50, 60, 70, 80}, 8, 8, 9, 9, 9, 9, 9, 9);

        assertThat(Sample.recovery(samples, 1500, 1500)).isEqualTo(OptionalLong.of(1500));
    }

    @Test
    void aPauseIsCountedFromItsEnd() {
        List<Sample> samples = samples(new long[] {10, 20, 20, 20, 20, 20, 30, 40, 50, 60, 70});

        assertThat(Sample.recovery(samples, 1500, 4500)).isEqualTo(OptionalLong.of(1500));
    }

    /** The rows that a system stores on its way down are no recovery from its restart. */
    @Test
    void aRestartIsCountedFromItsBeginAndOverAtItsEnd() {
        List<Sample> samples =
                samples(new long[] {10, 20, 30, 40, 50, 60, 60, 60, 60, 60, 60, 70, 80, 90, 100, 110, 120});
        InjectedFault restart = new InjectedFault(
                new Fault(1, Fault.Kind.RESTART, List.of(), List.of(), 0, "", 0, 0, false),
                1500,
                9500,
                "",
                OptionalLong.empty());

        assertThat(restart.seenIn(samples, samples).recoveryMillis()).isEqualTo(OptionalLong.of(9500));
    }

    @Test
    void withoutRowsThereIsNoRecovery() {
        assertThat(Sample.recovery(samples(new long[] {10, 20, 20, 20, 20, 20}), 1500, 1500))
                .isEmpty();
        assertThat(Sample.recovery(List.of(), 1500, 1500)).isEmpty();
    }

    @Test
    void readsWhatIsThereOfAFileThatIsBeingWritten() throws Exception {
        Path file = directory.resolve("samples.csv");
        assertThat(Sample.read(file)).isEmpty();

        Files.writeString(
                file,
                "epoch_ms,sent,acknowledged,refused,rows,lag_ms\n1000,5,4,0,3,20\n2000,9,8,0,,\n30",
                StandardCharsets.UTF_8);

        assertThat(Sample.read(file)).containsExactly(new Sample(1000, 4, 3, 20), new Sample(2000, 8, 3, 20));
    }
}
