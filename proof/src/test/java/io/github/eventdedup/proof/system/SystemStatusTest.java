package io.github.eventdedup.proof.system;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class SystemStatusTest {

    private static final String STATUS = """
            {"processes":[{"name":"kafka","pid":%d,"port":9092,"health":"up","reason":null},
            {"name":"relay","pid":null,"port":null,"health":"down","reason":null},
            {"name":"supervisor","pid":null,"port":null,"health":"down","reason":"…"}],
            "jobs":[{"stream":"view-events","state":"RUNNING","received":4}],
            "supervisor":"down","directories":{"kafka":"/data/kafka"},"problems":["relay is down"]}
            """.formatted(ProcessHandle.current().pid());

    @Test
    void readsWhatTheCommandPrints() throws Exception {
        SystemStatus status = SystemStatus.parse(STATUS);

        assertThat(status.processes()).as("those that are part of the system").containsExactly("kafka", "relay");
        assertThat(status.process("kafka")).isEqualTo(Optional.of(ProcessHandle.current()));
        assertThat(status.process("relay")).isEmpty();
        assertThat(status.process("unknown")).isEmpty();
        assertThat(status.streams()).containsExactly("view-events");
        assertThat(status.supervisor()).isEqualTo("down");
        assertThat(status.directory("kafka")).isEqualTo(Path.of("/data/kafka"));
        assertThat(status.problems()).containsExactly("relay is down");
    }

    @Test
    void aDirectoryThatIsNotNamedIsAnError() throws Exception {
        SystemStatus status = SystemStatus.parse(STATUS);

        assertThatThrownBy(() -> status.directory("postgres"))
                .isInstanceOf(ProofException.class)
                .hasMessageContaining("postgres");
    }
}
