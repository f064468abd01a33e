package io.github.eventdedup.local.system;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import io.github.eventdedup.local.testing.DedupCommand;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LayoutTest {

    @TempDir
    private Path directory;

    @Test
    void aDataDirectoryThatCannotBeWrittenIsNamed() throws IOException {
        Path file = Files.writeString(directory.resolve("file"), "");
        for (Path data : new Path[] {file, file.resolve("below"), Path.of("/proc/dedup"), Path.of("/dev/null/x")}) {
            assertThatThrownBy(() -> in(DedupCommand.HOME, data).checkWritable())
                    .isInstanceOf(LocalException.class)
                    .hasMessageStartingWith("cannot write to the data directory " + data + ": ")
                    .hasMessageEndingWith("give another with --data-dir DIR");
        }
    }

    @Test
    void aFileInThePlaceOfAFolderIsNamed() throws IOException {
        for (String name : new String[] {"run", "logs", "flink", "tmp"}) {
            Path data = Files.createDirectories(directory.resolve("with-" + name));
            Files.writeString(data.resolve(name), "");

            assertThatThrownBy(() -> in(DedupCommand.HOME, data).checkWritable())
                    .isInstanceOf(LocalException.class)
                    .hasMessageContaining(data.resolve(name) + ": is there already, and is no directory");
        }
    }

    @Test
    void aDirectoryThatIsNotThereIsCreated() {
        assertThatCode(() -> in(DedupCommand.HOME, directory.resolve("a/b")).checkWritable())
                .doesNotThrowAnyException();
    }

    /** Each job's classes take metaspace, and each takes as many slots as its parallelism. */
    @Test
    void flinkHasMemoryAndSlotsForTheStreamsThatThereAre() throws IOException {
        JsonNode two = configured(0);
        JsonNode seven = configured(5);

        for (String process : List.of("jobmanager", "taskmanager")) {
            String metaspace = process + ".memory.jvm-metaspace.size";
            assertThat(two.has(metaspace)).isFalse();
            assertThat(seven.path(metaspace).asText()).isEqualTo(192 + 5 * 64 + "m");
        }
        assertThat(seven.path("jobmanager.memory.process.size").asText()).isEqualTo(768 + 5 * (64 + 32) + "m");
        assertThat(seven.path("taskmanager.memory.process.size").asText()).isEqualTo(1216 + 5 * (64 + 64) + "m");
        assertThat(seven.path("taskmanager.numberOfTaskSlots").asInt()).isEqualTo(8 + 5 * 4);
    }

    private JsonNode configured(int more) throws IOException {
        Path home = Files.createDirectories(directory.resolve("home-" + more));
        copy("streams", home);
        copy("flink-conf", home);
        for (int i = 0; i < more; i++) {
            String text = Files.readString(home.resolve("streams/view-events.yaml"));
            Files.writeString(
                    home.resolve("streams/more-" + i + ".yaml"),
                    text.replace("stream: view-events", "stream: more-" + i));
        }
        Layout layout = in(home, home.resolve("data"));
        new FlinkCluster(layout).configure();
        return new YAMLMapper()
                .readTree(layout.flink().resolve("conf/config.yaml").toFile());
    }

    private static void copy(String folder, Path home) throws IOException {
        Path to = Files.createDirectories(home.resolve(folder));
        try (var files = Files.list(DedupCommand.HOME.resolve(folder))) {
            for (Path file : files.toList()) {
                Files.copy(file, to.resolve(file.getFileName()));
            }
        }
    }

    private static Layout in(Path home, Path data) {
        return new Layout(home, data, 0, true);
    }
}
