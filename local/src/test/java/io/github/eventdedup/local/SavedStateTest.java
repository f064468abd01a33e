package io.github.eventdedup.local;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Clock;
import java.time.Instant;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SavedStateTest {

    @TempDir
    private Path data;

    private Layout layout;
    private SavedState state;

    @BeforeEach
    void flinkHasRun() throws IOException {
        layout = new Layout(data, data, 0);
        Files.createDirectories(layout.checkpoints("s"));
        state = new SavedState(layout, "s");
    }

    @Test
    void thereIsNoneBeforeTheFirstCheckpoint() throws IOException {
        Files.createDirectories(layout.checkpoints("s").resolve("job1/chk-1"));

        assertThat(state.newest()).isEmpty();
    }

    @Test
    void theNewestIsByTimeWhateverItsNumber() throws IOException {
        complete(layout.checkpoints("s").resolve("job1/chk-900"), 1);
        Path newest = complete(layout.checkpoints("s").resolve("job2/chk-3"), 3);
        complete(layout.stops("s").resolve("savepoint-1"), 2);

        assertThat(state.newest()).contains(newest);
    }

    @Test
    void aSavepointCountsAsMuchAsACheckpoint() throws IOException {
        complete(layout.checkpoints("s").resolve("job1/chk-1"), 1);
        Path stop = complete(layout.stops("s").resolve("savepoint-1"), 2);
        assertThat(state.newest()).contains(stop);
        assertThat(state.isOwn(stop)).isTrue();

        Path users = complete(layout.savepoints("s").resolve("savepoint-1"), 3);
        assertThat(state.newest()).contains(users);
        assertThat(state.isOwn(users)).isFalse();
    }

    @Test
    void aJobSubmittedByHandIsKnownByItsId() throws IOException {
        complete(layout.checkpoints("s").resolve("5b1450aa/chk-1"), 1);
        Path byHand = complete(layout.checkpoints().resolve("c0ffee00/chk-7"), 2);
        complete(layout.checkpoints().resolve("ffffff00/chk-9"), 4);
        state.noteJob("c0ffee00");
        state.noteJob("c0ffee00");

        assertThat(state.newest()).contains(byHand);
        assertThat(state.isOwn(byHand)).isTrue();
        Path savepoint = complete(layout.savepoints("s").resolveSibling("savepoint-c0ffee-0123456789ab"), 3);
        assertThat(state.newest()).contains(savepoint);

        state.setAside(Clock.systemUTC());
        assertThat(state.newest()).isEmpty();
    }

    @Test
    void aSavepointTakenByHandIsKnownByItsJobAndStaysTheUsers() throws IOException {
        Path own = complete(layout.checkpoints("s").resolve("5b1450aa/chk-1"), 1);
        Path users = complete(layout.savepoints("s").resolveSibling("savepoint-5b1450-0123456789ab"), 2);
        complete(layout.savepoints("s").resolveSibling("savepoint-ffffff-0123456789ab"), 3);

        assertThat(state.newest()).contains(users);
        assertThat(state.isOwn(users)).isFalse();
        assertThat(state.isOwn(own)).isTrue();
    }

    @Test
    void oneThatWasNotCompletedDoesNotCount() throws IOException {
        Path complete = complete(layout.checkpoints("s").resolve("job1/chk-1"), 1);
        Files.createDirectories(layout.checkpoints("s").resolve("job1/chk-2"));

        assertThat(state.newest()).contains(complete);
    }

    @Test
    void startingEmptyIsRefusedOnceThereWasState() throws IOException {
        Path only = complete(layout.checkpoints("s").resolve("job1/chk-1"), 1);
        state.newest();
        Files.delete(only.resolve("_metadata"));

        assertThatThrownBy(state::newest).isInstanceOf(LocalException.class).hasMessageContaining("--fresh");
    }

    @Test
    void settingAsideMakesRoomForAnEmptyStartAndKeepsEverything() throws IOException {
        complete(layout.checkpoints("s").resolve("job1/chk-1"), 1);
        state.newest();
        state.setAside(Clock.systemUTC());

        assertThat(state.newest()).isEmpty();
        try (var files = Files.walk(layout.flink())) {
            assertThat(files).anyMatch(file -> file.endsWith("_metadata"));
        }
    }

    private static Path complete(Path checkpoint, long second) throws IOException {
        Files.createDirectories(checkpoint);
        Path metadata = Files.writeString(checkpoint.resolve("_metadata"), "");
        Files.setLastModifiedTime(metadata, FileTime.from(Instant.ofEpochSecond(second)));
        return checkpoint;
    }
}
