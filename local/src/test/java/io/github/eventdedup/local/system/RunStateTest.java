package io.github.eventdedup.local.system;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
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
    void knowsTheOptionsOfWhatRuns() {
        RunState state = new RunState(directory);
        assertThat(state.options()).isEmpty();

        RunState.Options options = new RunState.Options(100, false);
        state.supervising(options);
        assertThat(new RunState(directory).options()).contains(options);

        state.ended(RunState.SUPERVISOR);
        assertThat(new RunState(directory).options()).isEmpty();
    }

    @Test
    void keepsWhyThingsDoNotRunWhileTheSupervisorRuns() {
        RunState state = new RunState(directory);
        state.supervising(new RunState.Options(0, true));
        state.problem("job a", "refused");
        state.problem("relay", "ended");
        state.problem("relay", null);
        assertThat(new RunState(directory).problems()).containsExactly(Map.entry("job a", "refused"));

        state.ended(RunState.SUPERVISOR);
        assertThat(new RunState(directory).problems()).isEmpty();
        state.supervising(new RunState.Options(0, true));
        assertThat(new RunState(directory).problems()).isEmpty();
    }

    @Test
    void forgetsWhatHasEnded() {
        RunState state = new RunState(directory);
        state.started("part", ProcessHandle.current());
        state.ended("part");

        assertThat(state.process("part")).isEmpty();
    }
}
