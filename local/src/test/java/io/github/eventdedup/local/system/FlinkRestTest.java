package io.github.eventdedup.local.system;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import org.junit.jupiter.api.Test;

class FlinkRestTest {

    @Test
    void ofAStackTraceTheLastCauseIsShown() {
        assertThat(FlinkRest.rootCause("""
                        Internal server error.
                        <Exception on server side:
                        java.util.concurrent.CompletionException: org.apache.flink.X: Could not run the jar.
                        \tat org.apache.flink.Handler.handle(Handler.java:1)
                        Caused by: org.apache.flink.client.program.ProgramInvocationException: The main method caused an error
                        \t... 3 more
                        Caused by: io.github.eventdedup.job.DeduplicationJob$NotSubmittedException: Kafka has no topic 'a': create it
                        Kafka has no topic 'b': create it
                        \t... 7 more

                        End of exception on server side>"""))
                .isEqualTo("Kafka has no topic 'a': create it" + System.lineSeparator()
                        + "Kafka has no topic 'b': create it");
    }

    @Test
    void aFailureIsOneLineWithTheRootCause() throws Exception {
        String history = """
                {"exceptionHistory": {"truncated": false, "entries": [
                  {"timestamp": 1, "stacktrace": "java.io.IOException: the first\\n\\tat a.B.c(B.java:1)"},
                  {"timestamp": 2, "stacktrace": "java.io.IOException: x\\n\\tat a.B.c(B.java:1)\\nCaused by: java.lang.ArithmeticException: long overflow\\n\\tat java.base/java.lang.Math.addExact(Math.java:1)\\n\\t... 3 more\\n"},
                  {"timestamp": 3, "stacktrace": "io.github.eventdedup.job.A$B: the topic\\n  ends early\\n\\tat a.B.c(B.java:1)"}]}}""";

        assertThat(FlinkRest.failures(new ObjectMapper().readTree(history)))
                .containsExactly(
                        new FlinkRest.Failure(3, "the topic ends early"),
                        new FlinkRest.Failure(2, "ArithmeticException: long overflow"),
                        new FlinkRest.Failure(1, "IOException: the first"));
    }

    @Test
    void metricsSpellAStreamsNameWithoutTheirSeparators() {
        assertThat(FlinkRest.inMetrics("a.b-c_d 1:2,3")).isEqualTo("a_b-c_d_1_2_3");
    }

    @Test
    void aPlainMessageStaysAsItIs() {
        assertThat(FlinkRest.rootCause("Job 1 not found")).isEqualTo("Job 1 not found");
    }
}
