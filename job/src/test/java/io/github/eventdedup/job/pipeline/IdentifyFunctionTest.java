package io.github.eventdedup.job.pipeline;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.eventdedup.event.Column;
import io.github.eventdedup.job.model.IdentifiedEvent;
import io.github.eventdedup.job.model.RowFormat;
import io.github.eventdedup.job.model.SourceRecord;
import io.github.eventdedup.job.testing.Fixtures;
import java.util.List;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.util.OneInputStreamOperatorTestHarness;
import org.apache.flink.streaming.util.ProcessFunctionTestHarnesses;
import org.junit.jupiter.api.Test;

/** One record never stops the others: whatever it causes, it is a dead letter. */
class IdentifyFunctionTest {

    /** Fails for one value as a fault in our own code would: with an exception that says nothing about the event. */
    private record FaultyFormat(List<Column> columns) implements RowFormat {

        private static final long serialVersionUID = 1L;

        @Override
        public byte[] encode(List<Object> values) {
            if (values.contains("bad")) {
                throw new ArithmeticException("long overflow");
            }
            return new byte[0];
        }
    }

    @Test
    void anUnexpectedExceptionMakesItsRecordADeadLetterAndTheNextIsRead() throws Exception {
        RowFormat format = new FaultyFormat(Fixtures.viewEvents().table().columns());
        try (OneInputStreamOperatorTestHarness<SourceRecord, IdentifiedEvent> harness =
                ProcessFunctionTestHarnesses.forProcessFunction(new IdentifyFunction(Fixtures.viewEvents(), format))) {
            harness.processElement(record("bad", 1), 0);
            harness.processElement(record("good", 2), 0);

            assertThat(harness.extractOutputValues())
                    .singleElement()
                    .satisfies(event -> assertThat(event.source().offset()).isEqualTo(2));
            assertThat(harness.getSideOutput(IdentifyFunction.DEAD_LETTERS))
                    .singleElement()
                    .extracting(StreamRecord::getValue)
                    .satisfies(letter -> {
                        assertThat(letter.source().offset()).isEqualTo(1);
                        assertThat(letter.reason()).contains("ArithmeticException: long overflow");
                    });
        }
    }

    /** By its producer's clock. In microseconds it would not fit into 64 bits. */
    @Test
    void aRecordOfAfterTheYear9999IsADeadLetter() throws Exception {
        RowFormat format = new FaultyFormat(Fixtures.viewEvents().table().columns());
        try (OneInputStreamOperatorTestHarness<SourceRecord, IdentifiedEvent> harness =
                ProcessFunctionTestHarnesses.forProcessFunction(new IdentifyFunction(Fixtures.viewEvents(), format))) {
            for (long millis : new long[] {Long.MAX_VALUE, 253_402_300_800_000L, 253_402_300_799_999L}) {
                harness.processElement(record("good", 1, millis), 0);
            }
            assertThat(harness.extractOutputValues())
                    .singleElement()
                    .satisfies(event -> assertThat(event.source().timestamp()).isEqualTo(253_402_300_799_999L));
            assertThat(harness.getSideOutput(IdentifyFunction.DEAD_LETTERS))
                    .extracting(letter -> letter.getValue().reasonCode())
                    .containsExactly("not-storable", "not-storable");
        }
    }

    private static SourceRecord record(String user, long offset) {
        return record(user, offset, 0);
    }

    private static SourceRecord record(String user, long offset, long millis) {
        return new SourceRecord(Fixtures.viewEvent(user, "watch").getBytes(UTF_8), 0, offset, millis);
    }
}
