package io.github.eventdedup.local.system;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.eventdedup.local.system.Status.JobStatus;
import io.github.eventdedup.local.system.Status.ProcessStatus;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

class StatusTest {

    private static Status status(List<ProcessStatus> processes, List<JobStatus> jobs) {
        return new Status(processes, jobs, "up", Map.of());
    }

    @Test
    void aRefusedEventIsADeadLetterAndNotUnique() {
        JobStatus job = JobStatus.of(
                "s",
                "RUNNING",
                Map.of("received", 100L, "unique", 60L, "duplicate", 35L, "deadLettered", 5L, "refused", 2L));

        assertThat(job).isEqualTo(new JobStatus("s", "RUNNING", 100L, 58L, 35L, 7L));
        assertThat(job.unique() + job.duplicate() + job.deadLettered()).isEqualTo(job.received());
    }

    @Test
    void countsThatAreNotAllThereAreUnknown() {
        assertThat(JobStatus.of("s", "CREATED", Map.of("received", 100L)))
                .isEqualTo(new JobStatus("s", "CREATED", null, null, null, null));
    }

    @Test
    void theFormatForProgramsIsAContract() {
        Status status = new Status(
                List.of(
                        new ProcessStatus("kafka", 1L, 9092, "up"),
                        new ProcessStatus("taskmanager", null, null, "down")),
                List.of(new JobStatus("view-events", "RUNNING", 4L, 2L, 1L, 1L)),
                "up",
                Map.of("kafka", "/data/kafka"));

        assertThat(status.json())
                .isEqualTo(
                        "{\"processes\":[{\"name\":\"kafka\",\"pid\":1,\"port\":9092,\"health\":\"up\",\"reason\":null},"
                                + "{\"name\":\"taskmanager\",\"pid\":null,\"port\":null,\"health\":\"down\",\"reason\":null}],"
                                + "\"jobs\":[{\"stream\":\"view-events\",\"state\":\"RUNNING\",\"received\":4,\"unique\":2,"
                                + "\"duplicate\":1,\"deadLettered\":1,\"reason\":null}],"
                                + "\"supervisor\":\"up\",\"directories\":{\"kafka\":\"/data/kafka\"},"
                                + "\"problems\":[\"taskmanager is down\"]}");
    }

    @Test
    void itEndsWithZeroOnlyWhereAllOfItRuns() {
        ProcessStatus up = new ProcessStatus("kafka", 1L, 9092, "up");
        ProcessStatus down = new ProcessStatus("ingest", null, 8001, "down", "its log ends with: no memory");
        JobStatus runs = new JobStatus("s", "RUNNING", 0L, 0L, 0L, 0L);
        JobStatus restarts = new JobStatus("s", "RESTARTING", null, null, null, null, "long overflow");
        JobStatus runsForNow = new JobStatus("s", "RUNNING", 0L, 0L, 0L, 0L, "failed 4 times: long overflow");

        assertThat(status(List.of(up), List.of(runs)).exitCode()).isZero();
        assertThat(status(List.of(up, down), List.of(runs)).exitCode()).isEqualTo(3);
        assertThat(status(List.of(up), List.of(restarts)).exitCode()).isEqualTo(3);
        assertThat(status(List.of(up), List.of(runsForNow)).exitCode()).isEqualTo(3);
        assertThat(status(List.of(down), List.of(runs)).exitCode()).isEqualTo(4);
    }

    @Test
    void theReasonIsInTheTable() {
        ProcessStatus up = new ProcessStatus("kafka", 1L, 9092, "up");
        ProcessStatus down = new ProcessStatus("ingest", null, 8001, "down", "its log ends with: no memory");
        JobStatus restarts = new JobStatus("s", "RESTARTING", null, null, null, null, "long overflow");

        assertThat(status(List.of(up, down), List.of(restarts)).table().lines())
                .contains("  ingest is down: its log ends with: no memory", "  job s is RESTARTING: long overflow");
        assertThat(status(List.of(down), List.of()).table()).contains("nothing runs: start it with ./dedup up");
    }

    /** The other side of what the status looks for in logs. */
    @Test
    void relaysAndJobsLogTheLinesThatTheStatusReads() throws Exception {
        assertLogs(Status.RELAY_STATE, "outbox-relay", "relay/RelayLog", "Cannot send, retrying; no rows are lost: {}");
        assertLogs(Status.RELAY_STATE, "outbox-relay", "relay/RelayLog", "Resuming");
        assertLogs(Status.RELAY_STATE, "outbox-relay", "relay/OutboxRelay", "Following {} of {}; Kafka at {}");
        assertLogs(Status.RELAY_STATE, "outbox-relay", "relay/OutboxRelay", "Stopped");
        assertLogs(
                Status.sinkWaits("{}"),
                "job",
                "job/postgres/PostgresStore",
                "Postgres accepts no rows of stream '{}', retrying; no rows are lost: {}: {}");
        Pattern sink = Status.sinkWaits("s");
        assertThat(sink.matcher("ClickHouse accepts no rows, retrying; no rows are lost: HTTP 503")
                        .replaceFirst("$1"))
                .isEqualTo("HTTP 503");
        assertThat(source("job", "job/clickhouse/DatabaseWait"))
                .contains("\"{} accepts no rows, retrying; no rows are lost: {}\"");
    }

    private static void assertLogs(Pattern pattern, String module, String type, String line) throws Exception {
        assertThat(source(module, type)).contains('"' + line + '"');
        assertThat(line).containsPattern(pattern);
    }

    private static String source(String module, String type) throws Exception {
        return Files.readString(
                Path.of("..", module, "src/main/java/io/github/eventdedup").resolve(type + ".java"));
    }

    @Test
    void aJobFailsUntilACheckpointAfterItsLastFailure() {
        FlinkRest.Failure last = new FlinkRest.Failure(100_000, "B");
        FlinkRest.Failure before = new FlinkRest.Failure(50_000, "A");

        assertThat(StreamJob.failing(List.of(), 0, 100_000)).isEmpty();
        assertThat(StreamJob.failing(List.of(last), 90_000, 101_000)).contains("B");
        assertThat(StreamJob.failing(List.of(last), 110_000, 111_000)).isEmpty();
        assertThat(StreamJob.failing(List.of(last, before), 105_000, 106_000))
                .as("one that fails as often as it runs")
                .contains("failed 2 times in the last minute: B");
        assertThat(StreamJob.failing(List.of(last, before), 105_000, 115_000)).isEmpty();
    }
}
