package io.github.eventdedup.job.deadletters;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.eventdedup.event.ReasonCode;
import io.github.eventdedup.job.kafka.SideTopics;
import io.github.eventdedup.job.model.DeadLetter;
import io.github.eventdedup.job.model.Replay;
import io.github.eventdedup.job.model.SourceRecord;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Headers;
import org.junit.jupiter.api.Test;

class KeptLetterTest {

    private static final SourceRecord SOURCE = new SourceRecord(new byte[] {1}, 2, 34, 1_746_057_600_000L);

    @Test
    void readsWhatTheJobWrites() {
        DeadLetter letter = new DeadLetter(SOURCE, "wrong-type", "the event has …", "abcd", 3, "1:99");

        KeptLetter kept = KeptLetter.of(kept(SideTopics.deadLetter("letters", "raw", "some-state", letter)));

        assertThat(kept.position()).isEqualTo("2:34");
        assertThat(kept.reasonCode()).isEqualTo("wrong-type");
        assertThat(kept.fingerprint()).isEqualTo("abcd");
        assertThat(kept.isWhole()).isTrue();
        assertThat(kept.key()).isEqualTo("2:34:1746057600000:3:some-state");
    }

    /** Rejected by the database, replayed to a job with a definition under which it was invalid, and replayed again. */
    @Test
    void anInvalidReplayOfARejectedEventIsStillOneOfARejectedEvent() {
        SourceRecord source = new SourceRecord(new byte[] {1}, 2, 34, 1, new byte[] {0x0A, 0x0B}, null);
        Replay rejected = new Replay(0, 99, 1, true, "s");
        Replay never = new Replay(0, 99, 1, false, "s");

        DeadLetter again = DeadLetter.invalid(source, rejected, ReasonCode.WRONG_TYPE, "the event …");
        assertThat(again.fingerprint()).isEqualTo("0a0b");
        assertThat(KeptLetter.of(kept(SideTopics.deadLetter("letters", "raw", "s", again)))
                        .replayReasonCode())
                .startsWith("rejected-by-");
        DeadLetter other = DeadLetter.invalid(source, never, ReasonCode.WRONG_TYPE, "the event …");
        assertThat(KeptLetter.of(kept(SideTopics.deadLetter("letters", "raw", "s", other)))
                        .replayReasonCode())
                .isEqualTo("wrong-type");
    }

    @Test
    void aLetterWithoutItsValueIsNotWhole() {
        SourceRecord large = new SourceRecord(new byte[SideTopics.MAX_VALUE_BYTES + 1], 2, 34, 1);
        DeadLetter letter = DeadLetter.invalid(large, null, ReasonCode.TOO_LARGE, "is too large");

        assertThat(KeptLetter.of(kept(SideTopics.deadLetter("letters", "raw", "s", letter)))
                        .isWhole())
                .isFalse();
    }

    /** They have a reason, and neither code, fingerprint nor state. */
    @Test
    void readsLettersOfEarlierVersions() {
        assertThat(old("Postgres refused the row: no (SQLSTATE 23514)").reasonCode())
                .isEqualTo("rejected-by-postgres");
        assertThat(old("ClickHouse refused the row: no").reasonCode()).isEqualTo("rejected-by-clickhouse");
        assertThat(old("the event is not JSON").reasonCode()).isEqualTo("unknown");
        assertThat(old("the event is not JSON").key()).isEqualTo("2:34:5:0:");
    }

    @Test
    void aRecordThatIsNoLetterIsNone() {
        assertThat(KeptLetter.of(new ConsumerRecord<>("letters", 0, 7, new byte[0], new byte[0])))
                .isNull();
    }

    private static KeptLetter old(String reason) {
        ConsumerRecord<byte[], byte[]> record = new ConsumerRecord<>("letters", 0, 7, new byte[0], new byte[0]);
        Headers headers = record.headers();
        headers.add("partition", "2".getBytes(UTF_8)).add("offset", "34".getBytes(UTF_8));
        headers.add("timestamp", "5".getBytes(UTF_8)).add("reason", reason.getBytes(UTF_8));
        return KeptLetter.of(record);
    }

    private static ConsumerRecord<byte[], byte[]> kept(ProducerRecord<byte[], byte[]> written) {
        ConsumerRecord<byte[], byte[]> record =
                new ConsumerRecord<>(written.topic(), 0, 7, written.key(), written.value());
        written.headers().forEach(record.headers()::add);
        return record;
    }
}
