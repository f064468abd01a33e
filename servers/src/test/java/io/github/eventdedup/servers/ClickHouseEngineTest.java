package io.github.eventdedup.servers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Collections;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** With shell scripts in npm's place: the real one is run by {@link ClickHouseServerIT}. */
class ClickHouseEngineTest {

    private static final String INSTALLS = """
            echo "$@" >> "$CALLS"
            test -f package.json && test -f package-lock.json || exit 9
            mkdir -p node_modules/@chdb/lib-linux-x64-gnu
            sleep 0.3
            echo library > node_modules/@chdb/lib-linux-x64-gnu/libchdb.so
            """;

    @TempDir
    private Path temp;

    private Path directory;
    private Path calls;

    @BeforeEach
    void layOut() throws IOException {
        directory = temp.resolve("engine");
        calls = Files.createFile(temp.resolve("calls"));
    }

    @Test
    void saysInOneLineThatNpmIsMissing() throws Exception {
        ClickHouseEngine engine = new ClickHouseEngine(directory, Map.of("PATH", temp.toString()));
        assertThatThrownBy(engine::install)
                .isInstanceOf(ServerException.class)
                .hasMessage(
                        "clickhouse: its engine comes as an npm package, and there is no npm on the PATH: install npm");
        assertThat(engine.isInstalled()).isFalse();
    }

    @Test
    void repeatsWhatNpmSaidLast() throws Exception {
        ClickHouseEngine engine = engine("seq 1 20; echo 'npm error no network' >&2; exit 1");
        assertThatThrownBy(engine::install)
                .isInstanceOf(ServerException.class)
                .hasMessageStartingWith("clickhouse: its engine cannot be installed, for npm failed:\n14\n")
                .hasMessageEndingWith("\n20\nnpm error no network");
        assertThat(engine.isInstalled()).isFalse();
    }

    @Test
    void installsOnceHoweverManyAsk() throws Exception {
        ClickHouseEngine engine = engine(INSTALLS);
        ExecutorService threads = Executors.newFixedThreadPool(4);
        try {
            for (Future<Path> install : threads.invokeAll(Collections.<Callable<Path>>nCopies(4, engine::install))) {
                assertThat(install.get()).hasContent("library");
            }
        } finally {
            threads.shutdownNow();
        }
        assertThat(engine.isInstalled()).isTrue();
        assertThat(calls).content().hasLineCount(1).startsWith("ci --ignore-scripts ");
    }

    @Test
    void beginsAgainAfterAnInstallCutShort() throws Exception {
        ClickHouseEngine cutShort = engine("mkdir -p node_modules/@chdb/lib-linux-x64-gnu;"
                + " echo half > node_modules/@chdb/lib-linux-x64-gnu/libchdb.so; exit 137");
        assertThatThrownBy(cutShort::install).isInstanceOf(ServerException.class);

        assertThat(engine(INSTALLS).install()).hasContent("library");
        try (Stream<Path> left = Files.list(directory)) {
            assertThat(left.filter(Files::isDirectory)).hasSize(1);
        }
    }

    private ClickHouseEngine engine(String npm) throws IOException {
        Path bin = Files.createDirectories(temp.resolve("bin"));
        Path script = Files.writeString(bin.resolve("npm"), "#!/bin/sh\n" + npm);
        Files.setPosixFilePermissions(script, PosixFilePermissions.fromString("rwxr-xr-x"));
        return new ClickHouseEngine(
                directory, Map.of("PATH", bin + ":" + System.getenv("PATH"), "CALLS", calls.toString()));
    }
}
