package io.github.eventdedup.local;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.eventdedup.local.Status.JobStatus;
import io.github.eventdedup.local.Status.ProcessStatus;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class StatusTest {

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
                List.of(new JobStatus("view-events", "RUNNING", 4L, 2L, 1L, 1L)));

        assertThat(status.json())
                .isEqualTo("{\"processes\":[{\"name\":\"kafka\",\"pid\":1,\"port\":9092,\"health\":\"up\"},"
                        + "{\"name\":\"taskmanager\",\"pid\":null,\"port\":null,\"health\":\"down\"}],"
                        + "\"jobs\":[{\"stream\":\"view-events\",\"state\":\"RUNNING\",\"received\":4,\"unique\":2,"
                        + "\"duplicate\":1,\"deadLettered\":1}]}");
    }
}
