package io.github.eventdedup.servers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class PausedProcessesTest {

    /** A thing at work and one that sleeps have stopped when the call returns, not some time after it. */
    @Test
    void stopsAProcessAndItsChildrenUntilTheyAreResumed() throws Exception {
        assumeTrue(Files.exists(Path.of("/proc/self/stat")), "states of processes are read from /proc");
        Process parent = new ProcessBuilder("sh", "-c", "sh -c 'while :; do :; done' & echo $!; wait").start();
        PausedProcesses paused = new PausedProcesses();
        ProcessHandle child = null;
        try (BufferedReader output = parent.inputReader(StandardCharsets.US_ASCII)) {
            child = ProcessHandle.of(Long.parseLong(output.readLine())).orElseThrow();
            for (int round = 0; round < 20; round++) {
                paused.pause(parent.toHandle());
                assertThat(isStopped(parent.toHandle())).isTrue();
                assertThat(isStopped(child)).isTrue();
                assertThat(paused.toString().split(" ")).hasSize(2).contains(Long.toString(child.pid()));

                paused.resume();
                assertThat(isStopped(parent.toHandle())).isFalse();
                assertThat(isStopped(child)).isFalse();
                assertThat(paused).hasToString("");
            }
        } finally {
            if (child != null) {
                child.destroyForcibly();
            }
            parent.destroyForcibly();
        }
    }

    @Test
    void whatHasEndedIsNoError() throws Exception {
        Process process = new ProcessBuilder("true").start();
        process.waitFor();
        PausedProcesses paused = new PausedProcesses();

        paused.pause(process.toHandle());
        paused.resume();
    }

    private static boolean isStopped(ProcessHandle process) throws IOException {
        String stat = Files.readString(Path.of("/proc/" + process.pid() + "/stat"));
        return stat.substring(stat.lastIndexOf(')') + 2).startsWith("T");
    }
}
