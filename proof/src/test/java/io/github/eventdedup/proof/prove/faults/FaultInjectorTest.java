package io.github.eventdedup.proof.prove.faults;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.eventdedup.proof.prove.faults.Fault.Kind;
import io.github.eventdedup.proof.system.Databases;
import io.github.eventdedup.proof.system.DedupScript;
import io.github.eventdedup.proof.system.Endpoints;
import io.github.eventdedup.proof.system.Flink;
import io.github.eventdedup.proof.system.ProofException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** On processes that do nothing. */
class FaultInjectorTest {

    @TempDir
    private Path directory;

    private Process parent;
    private ProcessHandle child;
    private FaultInjector injector;

    @BeforeEach
    void start() throws Exception {
        assumeTrue(Files.exists(Path.of("/proc/self/stat")), "states of processes are read from /proc");
        parent = new ProcessBuilder("sh", "-c", "sleep 600 & wait").start();
        await().until(() -> parent.children().count() == 1);
        child = parent.children().findFirst().orElseThrow();
        Path script = directory.resolve("dedup");
        Files.writeString(script, """
                #!/bin/sh
                echo '{"processes":[{"name":"postgres","pid":%d}],"directories":{"kafka":"%s"}}'
                """.formatted(parent.pid(), directory.resolve("kafka")), StandardCharsets.UTF_8);
        assertThat(script.toFile().setExecutable(true)).isTrue();
        DedupScript dedup = new DedupScript(script, directory, 0, directory.resolve("commands.log"));
        Endpoints endpoints = Endpoints.of(Map.of());
        injector = new FaultInjector(
                dedup,
                new Flink(endpoints.flink()),
                new Databases(endpoints),
                endpoints.streamsDirectory(),
                dedup.status());
    }

    @AfterEach
    void end() {
        if (parent != null) {
            child.destroyForcibly();
            parent.destroyForcibly();
        }
    }

    private static Fault pause(int seconds) {
        return new Fault(0, Kind.PAUSE, List.of(), List.of("postgres"), seconds, "", 0, 0, false);
    }

    /** T is stopped. The name before it is in brackets. */
    private static boolean isStopped(ProcessHandle process) throws Exception {
        String stat = Files.readString(Path.of("/proc/" + process.pid() + "/stat"), StandardCharsets.UTF_8);
        return stat.substring(stat.lastIndexOf(')') + 2).startsWith("T");
    }

    @Test
    void aPauseStopsTheProcessAndItsChildrenAndContinuesThem() throws Exception {
        CompletableFuture<Void> pausing = inject(pause(5));

        await().until(() -> isStopped(parent.toHandle()) && isStopped(child));
        pausing.join();
        assertThat(isStopped(parent.toHandle())).isFalse();
        assertThat(isStopped(child)).isFalse();
    }

    @Test
    void whatIsStoppedContinuesWhenItIsClosed() throws Exception {
        CompletableFuture<Void> pausing = inject(pause(600));
        await().until(() -> isStopped(child));

        injector.close();

        assertThat(isStopped(parent.toHandle())).isFalse();
        assertThat(isStopped(child)).isFalse();
        assertThatThrownBy(() -> injector.inject(pause(1))).isInstanceOf(ProofException.class);
        assertThat(isStopped(parent.toHandle())).isFalse();
        assertThat(pausing).isNotDone();
    }

    @Test
    void aKillIsOverWhenTheProcessIs() throws Exception {
        injector.inject(new Fault(0, Kind.KILL, List.of("postgres"), List.of(), 0, "", 0, 0, false));

        assertThat(parent.isAlive()).isFalse();
    }

    private CompletableFuture<Void> inject(Fault fault) {
        CompletableFuture<Void> result = new CompletableFuture<>();
        Thread thread = new Thread(() -> {
            try {
                injector.inject(fault);
                result.complete(null);
            } catch (Exception e) {
                result.completeExceptionally(e);
            }
        });
        thread.setDaemon(true);
        thread.start();
        return result;
    }
}
