package io.github.eventdedup.local;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FlinkClusterTest {

    @TempDir
    private Path home;

    @Test
    void thereAreSlotsForEveryStream() throws IOException {
        Files.createDirectories(home.resolve("flink-conf"));
        for (String file : new String[] {"config.yaml", "log4j.properties", "log4j-cli.properties"}) {
            String path = "flink-conf/" + file;
            Files.copy(DedupCommand.HOME.resolve(path), home.resolve(path));
        }
        String stream = Files.readString(DedupCommand.HOME.resolve("streams/view-events.yaml"));
        Files.createDirectories(home.resolve("streams"));
        Files.writeString(home.resolve("streams/view-events.yaml"), stream);
        Files.writeString(home.resolve("streams/other-events.yaml"), stream.replace("view-events", "other-events"));
        Layout layout = new Layout(home, home.resolve("data"), 0);
        assertThat(layout.streams()).hasSize(2);

        FlinkCluster cluster = new FlinkCluster(layout);
        cluster.configure();

        assertThat(new YAMLMapper()
                        .readTree(layout.flink().resolve("conf/config.yaml").toFile())
                        .path("taskmanager.numberOfTaskSlots")
                        .asInt())
                .isEqualTo(2 * cluster.parallelism());
    }
}
