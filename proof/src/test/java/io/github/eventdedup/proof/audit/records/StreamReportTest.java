package io.github.eventdedup.proof.audit.records;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.List;
import org.junit.jupiter.api.Test;

class StreamReportTest {

    /** What programs read by: a key may be added, none may change or go. */
    private static final List<String> KEYS = List.of(
            "stream",
            "raw",
            "unique",
            "stored",
            "duplicates",
            "deadLetters",
            "deadLettersOpen",
            "deadLettersOpenByReasonCode",
            "replayed",
            "afterWindow",
            "withoutRecord",
            "missing",
            "extra",
            "different",
            "escapes",
            "acknowledged",
            "acknowledgedMissing",
            "acknowledgedStored",
            "acknowledgedDuplicates",
            "acknowledgedDeadLetters",
            "refused",
            "unknown",
            "invalid",
            "sent",
            "unchecked",
            "retentionLost",
            "unaccounted",
            "unaccountedOffsets",
            "later",
            "broken",
            "offenders");

    @Test
    void itsKeysInJsonAreThose() {
        StreamReport report = new StreamReport("views");
        report.offend("missing", 3, 4L, "ab", "no row");

        JsonNode json = new ObjectMapper().valueToTree(report);

        assertThat(json.fieldNames()).toIterable().containsExactlyElementsOf(KEYS);
        assertThat(json.at("/offenders/0").fieldNames())
                .toIterable()
                .containsExactly("kind", "partition", "offset", "fingerprint", "detail");
    }
}
