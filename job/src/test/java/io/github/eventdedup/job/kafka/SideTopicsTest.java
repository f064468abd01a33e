package io.github.eventdedup.job.kafka;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.eventdedup.event.Fingerprint;
import io.github.eventdedup.event.ReasonCode;
import io.github.eventdedup.job.model.DeadLetter;
import io.github.eventdedup.job.model.HeaderBytes;
import io.github.eventdedup.job.model.IdentifiedEvent;
import io.github.eventdedup.job.model.Replay;
import io.github.eventdedup.job.model.SourceRecord;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.junit.jupiter.api.Test;

/** The headers of dead letters and duplicates: a contract with all who read these topics. */
class SideTopicsTest {

    private static final Fingerprint FINGERPRINT = new Fingerprint(1, 2, 3, 4);
    private static final byte[] HEADERS = HeaderBytes.write(new RecordHeaders().add("ce_id", "7".getBytes(UTF_8)));
    private static final SourceRecord SOURCE =
            new SourceRecord("{}".getBytes(UTF_8), 3, 42, 1_746_057_600_000L, "key".getBytes(UTF_8), HEADERS);

    @Test
    void anInvalidRecordSaysWhereItWasAndWhy() {
        DeadLetter letter = DeadLetter.invalid(SOURCE, null, ReasonCode.MISSING_FIELD, "the event lacks the field sid");
        ProducerRecord<byte[], byte[]> record = SideTopics.deadLetter("views.dead-letters", "views", "state", letter);

        assertThat(record.key()).isEqualTo("3:42".getBytes(UTF_8));
        assertThat(record.value()).isEqualTo(SOURCE.value());
        assertThat(headers(record))
                .containsExactlyInAnyOrderEntriesOf(Map.ofEntries(
                        Map.entry("topic", "views"),
                        Map.entry("partition", "3"),
                        Map.entry("offset", "42"),
                        Map.entry("timestamp", "1746057600000"),
                        Map.entry("kafka_dlt-original-topic", "views"),
                        Map.entry("kafka_dlt-original-partition", "\0\0\0\3"),
                        Map.entry("kafka_dlt-original-offset", "\0\0\0\0\0\0\0*"),
                        Map.entry("original-key", "key"),
                        Map.entry("original-header.ce_id", "7"),
                        Map.entry("reason", "the event lacks the field sid"),
                        Map.entry("reason-code", "missing-field"),
                        Map.entry("state-id", "state")));
    }

    @Test
    void aRejectedReplaySaysWhatItIsAReplayOf() {
        IdentifiedEvent event =
                new IdentifiedEvent(FINGERPRINT, SOURCE, new byte[0], new Replay(1, 900, 2, true, "state"));
        ProducerRecord<byte[], byte[]> record = SideTopics.deadLetter(
                "d", "views", "state", DeadLetter.rejected(event, ReasonCode.REJECTED_BY_POSTGRES, "no"));

        assertThat(record.key()).as("the original's position").isEqualTo("3:42".getBytes(UTF_8));
        assertThat(headers(record))
                .containsEntry("fingerprint", FINGERPRINT.toString())
                .containsEntry("reason-code", "rejected-by-postgres")
                .containsEntry("replay-attempt", "2")
                .containsEntry("replayed-at", "1:900");
    }

    @Test
    void aReplayThatIsADuplicateHasItsOwnPosition() {
        IdentifiedEvent event =
                new IdentifiedEvent(FINGERPRINT, SOURCE, new byte[0], new Replay(1, 900, 2, true, "state"));
        ProducerRecord<byte[], byte[]> record = SideTopics.duplicate("d", "views", event);

        assertThat(record.key()).isEqualTo("1:900".getBytes(UTF_8));
        assertThat(headers(record))
                .containsEntry("partition", "1")
                .containsEntry("offset", "900")
                .containsEntry("replay-of", "3:42")
                .containsEntry("fingerprint", FINGERPRINT.toString());
    }

    @Test
    void keyAndHeadersThatMayNotFitStayWhereTheyAre() {
        SourceRecord large = new SourceRecord(new byte[0], 0, 0, 0, new byte[20_000], HEADERS);
        ProducerRecord<byte[], byte[]> record = SideTopics.deadLetter(
                "d", "views", "state", DeadLetter.invalid(large, null, ReasonCode.NOT_JSON, "no"));

        assertThat(headers(record))
                .containsKey("original-omitted")
                .doesNotContainKeys("original-key", "original-header.ce_id");
    }

    private static Map<String, String> headers(ProducerRecord<byte[], byte[]> record) {
        Map<String, String> headers = new TreeMap<>();
        for (Header header : record.headers()) {
            headers.put(header.key(), new String(header.value(), UTF_8));
        }
        return headers;
    }
}
