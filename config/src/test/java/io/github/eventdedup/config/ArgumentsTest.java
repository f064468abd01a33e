package io.github.eventdedup.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

class ArgumentsTest {

    @Command(name = "a-process", mixinStandardHelpOptions = true, versionProvider = ManifestVersion.class)
    private static final class Options {

        @Option(names = "--stream", required = true)
        private String stream;

        @Option(names = "--once")
        private boolean once;
    }

    @Test
    void setsTheFields() {
        Options options = new Options();
        assertThat(Arguments.parse(options, List.of("--once", "--stream", "@a.yaml")))
                .isEmpty();
        assertThat(options.stream).isEqualTo("@a.yaml");
        assertThat(options.once).isTrue();
    }

    @Test
    void reportsWhatIsWrong() {
        assertThat(problem()).startsWith("Missing required option: '--stream");
        assertThat(problem("--strem", "a")).isEqualTo("Unknown options: '--strem', 'a'");
        assertThat(problem("--stream", "a", "--twice")).isEqualTo("Unknown option: '--twice'");
        assertThat(problem("--stream", "a", "b")).contains("'b'");
        assertThat(problem("--stream", "a", "--stream", "b")).contains("--stream", "only once");
    }

    private static String problem(String... arguments) {
        return Arguments.parse(new Options(), List.of(arguments)).orElseThrow();
    }

    @Test
    void helpsWhereItIsAskedTo() {
        assertThat(Arguments.help(new Options(), List.of("--help"), List.of("DEDUP_B", "DEDUP_A")))
                .get()
                .asString()
                .contains("Usage: a-process", "--stream", "--once", "--version")
                .containsSubsequence("DEDUP_A", "DEDUP_B");
        assertThat(Arguments.help(new Options(), List.of("--version"), List.of()))
                .get()
                .asString()
                .startsWith("a-process ");
        assertThat(Arguments.help(new Options(), List.of("--stream", "a"), List.of()))
                .isEmpty();
        assertThat(Arguments.help(new Options(), List.of("--unknown"), List.of()))
                .isEmpty();
    }
}
