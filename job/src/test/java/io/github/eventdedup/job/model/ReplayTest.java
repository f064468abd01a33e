package io.github.eventdedup.job.model;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.eventdedup.event.ReasonCode;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ReplayTest {

    private static final byte[] VALUE = "{}".getBytes(UTF_8);

    @Test
    void anOrdinaryRecordStaysAsItIs() {
        SourceRecord plain = new SourceRecord(VALUE, 1, 2, 3);
        assertThat(Replay.resolve(plain)).isEqualTo(new Replay.Resolved(plain, null));

        SourceRecord traced = record(new RecordHeaders().add("trace", new byte[] {1}));
        assertThat(Replay.resolve(traced)).isEqualTo(new Replay.Resolved(traced, null));
    }

    @Test
    void aMarkedRecordIsResolvedToItsOriginal() {
        RecordHeaders headers = new RecordHeaders();
        headers.add("trace", new byte[] {1});
        Replay.mark(headers, "3:4000000000:1746057600000", 2, "state", ReasonCode.REJECTED_BY_CLICKHOUSE.code());

        Replay.Resolved resolved = Replay.resolve(record(headers));
        assertThat(resolved.replay()).isEqualTo(new Replay(1, 2, 2, true, "state"));
        SourceRecord original = resolved.original();
        assertThat(original.partition()).isEqualTo(3);
        assertThat(original.offset()).isEqualTo(4_000_000_000L);
        assertThat(original.timestamp()).isEqualTo(1_746_057_600_000L);
        assertThat(original.value()).isSameAs(VALUE);
        assertThat(HeaderBytes.read(original.headers()))
                .as("the headers of the original, without those of the replay")
                .singleElement()
                .satisfies(header -> assertThat(header.key()).isEqualTo("trace"));
    }

    @Test
    void aLetterThatWasInvalidWasNeverDecided() {
        RecordHeaders headers = new RecordHeaders();
        Replay.mark(headers, "0:1:2", 1, null, ReasonCode.WRONG_TYPE.code());

        assertThat(Replay.resolve(record(headers)).replay()).isEqualTo(new Replay(1, 2, 1, false, null));
    }

    @ParameterizedTest
    @CsvSource({"0:1, 1", "a:1:2, 1", "0:1:2, x", "0:1:-5, 1", "0:99999999999999999999:2, 1", "0:1:2, -1"})
    void aRecordWithOtherHeadersOfTheseNamesIsAnOrdinaryRecord(String of, String attempt) {
        SourceRecord record = record(new RecordHeaders()
                .add("replay-of", of.getBytes(UTF_8))
                .add("replay-attempt", attempt.getBytes(UTF_8)));
        assertThat(Replay.resolve(record)).isEqualTo(new Replay.Resolved(record, null));
    }

    @Test
    void aRecordWhoseStateIdIsTooLongToBeOneIsAnOrdinaryRecord() {
        RecordHeaders headers = new RecordHeaders();
        Replay.mark(headers, "0:1:2", 1, "x".repeat(70_000), ReasonCode.REJECTED_BY_POSTGRES.code());
        assertThat(Replay.resolve(record(headers)).replay()).isNull();
    }

    private static SourceRecord record(Headers headers) {
        return new SourceRecord(VALUE, 1, 2, 3, null, HeaderBytes.write(headers));
    }
}
