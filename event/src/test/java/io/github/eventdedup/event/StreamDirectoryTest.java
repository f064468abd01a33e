package io.github.eventdedup.event;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class StreamDirectoryTest {

    @TempDir
    private Path directory;

    @BeforeEach
    void oneStream() throws IOException {
        define("a.yaml", "view-events");
    }

    @Test
    void filesThatLookLikeStreamsAreNamed() throws Exception {
        List<String> mistaken = List.of("b.yml", "c.yaml.bak", "d.YAML", "e.yaml~", "f.Yml");
        for (String name : mistaken) {
            define(name, "other");
        }
        Files.writeString(directory.resolve("README.md"), "no stream");
        Files.createDirectories(directory.resolve("folder"));
        define("folder/g.yaml", "other");
        Files.createDirectories(directory.resolve("empty"));
        Files.createDirectories(directory.resolve("..2026_01_01"));
        define("..2026_01_01/h.yaml", "of a config map");

        StreamDirectory read = StreamDirectory.read(directory);

        assertThat(read.streams().keySet()).containsExactly(directory.resolve("a.yaml"));
        assertThat(read.warnings()).hasSize(mistaken.size() + 1);
        mistaken.forEach(name -> assertThat(read.warnings())
                .anyMatch(warning -> warning.startsWith(directory.resolve(name) + " is not read")));
        assertThat(read.warnings()).anyMatch(warning -> warning.contains("move the files to its parent"));
    }

    @Test
    void twoFilesOfOneStreamAreRejected() throws IOException {
        define("copy of a.yaml", "view-events");

        assertThatThrownBy(() -> StreamDirectory.read(directory))
                .isInstanceOf(InvalidStreamDefinitionException.class)
                .hasMessageStartingWith("two files in " + directory + " define the stream 'view-events'")
                .hasMessageContainingAll("copy of a.yaml", "a.yaml; remove one");
    }

    @Test
    void aStreamIsNotNamedLikeTheSideTopicOfAnother() throws IOException {
        for (String suffix : List.of(".duplicates", ".dead-letters", ".dead-letters.handled")) {
            Path other = define("b.yaml", "view-events" + suffix);

            assertThatThrownBy(() -> StreamDirectory.read(directory))
                    .isInstanceOf(InvalidStreamDefinitionException.class)
                    .hasMessageContaining("into the topic 'view-events" + suffix + "', which is the stream of b.yaml");
            Files.delete(other);
        }
    }

    @Test
    void theErrorsOfAllFilesAreToldAtOnce() throws IOException {
        for (String name : List.of("b.yaml", "c.yaml")) {
            Files.writeString(directory.resolve(name), "stream: [");
        }

        assertThatThrownBy(() -> StreamDirectory.read(directory)).hasMessageContainingAll("b.yaml", "c.yaml");
    }

    @Test
    void aProcessOfOneStreamRejectsOnlyWhatConcernsItsStream() throws Exception {
        Path file = directory.resolve("a.yaml");
        define("b.yaml", "other");
        define("copy of b.yaml", "other");
        Files.writeString(directory.resolve("c.yaml"), "stream: [");
        assertThat(StreamDirectory.readOne(file).stream()).isEqualTo("view-events");

        define("d.yaml", "view-events");
        define("e.yaml", "view-events.duplicates");
        assertThatThrownBy(() -> StreamDirectory.readOne(file))
                .isInstanceOf(InvalidStreamDefinitionException.class)
                .hasMessageContaining("define the stream 'view-events': d.yaml")
                .hasMessageContaining("into the topic 'view-events.duplicates', which is the stream of e.yaml");
    }

    private Path define(String file, String stream) throws IOException {
        return Files.writeString(directory.resolve(file), """
                stream: %s
                fingerprint: [id]
                window: 7d
                sink:
                  postgres:
                    table: a_table
                    columns:
                      id: id
                """.formatted(stream));
    }
}
