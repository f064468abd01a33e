package io.github.eventdedup.servers;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LastWordsTest {

    @TempDir
    private Path directory;

    @Test
    void memoryThatRanOutIsTheReasonWhateverIsSaidAfterIt() throws IOException {
        assertThat(words(0, """
                INFO  started
                ERROR Fatal error occurred in the cluster entrypoint.
                java.lang.OutOfMemoryError: Metaspace. The metaspace out-of-memory error has occurred.
                \tat java.base/java.lang.ClassLoader.defineClass1(Native Method)
                INFO  Shutting down.
                ERROR Could not close the web server.
                """)).startsWith("java.lang.OutOfMemoryError: Metaspace.");
    }

    @Test
    void otherwiseItIsTheLastError() throws IOException {
        assertThat(words(0, """
                FATAL:  database files are incompatible with server
                DETAIL:  The data directory was initialized by PostgreSQL version 17.
                """)).isEqualTo("FATAL:  database files are incompatible with server");
    }

    @Test
    void otherwiseItIsTheLastLine() throws IOException {
        assertThat(words(0, "one\ntwo\n\n")).isEqualTo("two");
        assertThat(words(0, "\n")).isNull();
    }

    @Test
    void whatAnEarlierProcessSaidIsNoReason() throws IOException {
        String earlier = "java.lang.OutOfMemoryError: Metaspace\n";
        assertThat(words(earlier.length(), earlier + "port 1 is taken\n")).isEqualTo("port 1 is taken");
    }

    @Test
    void aLogThatIsNotThereHasNone() {
        assertThat(LastWords.in(directory.resolve("none.log"), 0)).isEmpty();
    }

    private String words(long begin, String log) throws IOException {
        return LastWords.in(Files.writeString(directory.resolve("a.log"), log), begin)
                .orElse(null);
    }
}
