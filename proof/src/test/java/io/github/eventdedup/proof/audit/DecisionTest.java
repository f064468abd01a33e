package io.github.eventdedup.proof.audit;

import static io.github.eventdedup.proof.audit.Decision.Verdict.DUPLICATE;
import static io.github.eventdedup.proof.audit.Decision.Verdict.DUPLICATE_OF_REMOVED;
import static io.github.eventdedup.proof.audit.Decision.Verdict.NEW;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.eventdedup.proof.audit.records.RecordLayout;
import io.github.eventdedup.proof.audit.records.SortedRecords;
import io.github.eventdedup.proof.audit.topics.Positions;
import io.github.eventdedup.proof.system.TopicRange;
import java.nio.ByteBuffer;
import java.time.Duration;
import org.junit.jupiter.api.Test;

class DecisionTest {

    private static final int RECORD_BYTES = RecordLayout.EVENT_EXPECTED;
    private static final Duration WINDOW = Duration.ofMillis(100);

    private final TopicRange range = new TopicRange("t", new long[] {0, 0, 0}, new long[] {100, 100, 100});
    private final Positions recorded = new Positions(range);

    /** Partition, offset and time of each event. */
    private static SortedRecords events(long... numbers) {
        ByteBuffer bytes = ByteBuffer.allocate(numbers.length / 3 * RECORD_BYTES);
        for (int i = 0; i < numbers.length; i += 3) {
            bytes.put(new byte[RecordLayout.FINGERPRINT_BYTES])
                    .putInt((int) numbers[i])
                    .putLong(numbers[i + 1])
                    .putLong(numbers[i + 2]);
        }
        return new SortedRecords(bytes, RECORD_BYTES, RecordLayout.POSITION_BYTES);
    }

    private Decision.Verdict[] decide(SortedRecords events, Long firstMillis, long removedUntil) {
        return new Decision(WINDOW, recorded, removedUntil)
                .decide(events, 0, events.count(), firstMillis, event -> false);
    }

    @Test
    void withinAPartitionTheOffsetDecides() {
        // The broker's clock stepped back: the lowest offset wins all the same.
        assertThat(decide(events(1, 5, 1010, 1, 9, 1000, 1, 10, 1110), null, Long.MIN_VALUE))
                .containsExactly(NEW, DUPLICATE, NEW);
    }

    @Test
    void ofSeveralPartitionsAnyFirstOneMayHaveWon() {
        SortedRecords events = events(0, 1, 1000, 0, 2, 1001, 2, 8, 1002);
        recorded.add(0, 1);
        recorded.add(0, 2);

        assertThat(decide(events, null, Long.MIN_VALUE)).containsExactly(DUPLICATE, DUPLICATE, NEW);
    }

    @Test
    void ofSeveralPartitionsNoOtherThanAFirstOneMayHaveWon() {
        SortedRecords events = events(0, 1, 1000, 0, 2, 1001, 2, 8, 1002);
        recorded.add(0, 1);
        recorded.add(2, 8);

        assertThat(decide(events, null, Long.MIN_VALUE)).containsExactly(NEW, DUPLICATE, DUPLICATE);
    }

    @Test
    void whatIsRecordedMayBeACopyOfWhatIsRemovedWhileTheWindowReachesThere() {
        SortedRecords events = events(0, 1, 1050, 0, 2, 1099, 0, 3, 1100, 0, 4, 1101);
        recorded.add(0, 1);
        recorded.add(0, 2);
        recorded.add(0, 3);

        assertThat(decide(events, null, 1000))
                .containsExactly(DUPLICATE_OF_REMOVED, DUPLICATE_OF_REMOVED, NEW, DUPLICATE);
        assertThat(decide(events, null, Long.MIN_VALUE)).containsExactly(NEW, DUPLICATE, DUPLICATE, DUPLICATE);
    }

    @Test
    void theWindowRunsFromAnEventThatTheTableStillKnows() {
        assertThat(decide(events(0, 1, 1050, 0, 2, 1090), 980L, 1000)).containsExactly(DUPLICATE, NEW);
    }
}
