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

    private static SourceRecord record(String user, long offset) {
        return new SourceRecord(Fixtures.viewEvent(user, "watch").getBytes(UTF_8), 0, offset, 0);
    }
}
