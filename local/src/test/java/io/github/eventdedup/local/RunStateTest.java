package io.github.eventdedup.local;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RunStateTest {

    @TempDir
    private Path directory;

    @Test
    void knowsAProcessByPidAndStart() throws IOException {
        new RunState(directory).started("part", ProcessHandle.current());

        assertThat(new RunState(directory).process("part")).contains(ProcessHandle.current());
        assertThat(new RunState(directory).process("other")).isEmpty();
    }

    @Test
    void aProcessThatGotTheSamePidIsAStranger() throws IOException {
        Files.writeString(
                directory.resolve("processes.json"),
                "{\"part\":{\"pid\":" + ProcessHandle.current().pid() + ",\"started\":\"2001-01-01T00:00:00Z\"}}");

        assertThat(new RunState(directory).process("part")).isEmpty();
    }

    @Test
    void knowsThePortOffsetOfWhatRuns() {
        RunState state = new RunState(directory);
        assertThat(state.portOffset()).isEmpty();

        state.supervising(100);
        assertThat(new RunState(directory).portOffset()).contains(100);

        state.ended(RunState.SUPERVISOR);
        assertThat(new RunState(directory).portOffset()).isEmpty();
    }

    @Test
    void forgetsWhatHasEnded() {
        RunState state = new RunState(directory);
        state.started("part", ProcessHandle.current());
        state.ended("part");

        assertThat(state.process("part")).isEmpty();
    }
}
