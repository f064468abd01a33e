package io.github.eventdedup.job.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.eventdedup.event.Fingerprint;
import io.github.eventdedup.event.FingerprintFunction;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.model.IdentifiedEvent;
import io.github.eventdedup.job.model.ImmutableType;
import io.github.eventdedup.job.model.Replay;
import io.github.eventdedup.job.model.SourceRecord;
import io.github.eventdedup.job.testing.Fixtures;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Queue;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.GlobalConfiguration;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.state.rocksdb.EmbeddedRocksDBStateBackend;
import org.apache.flink.state.rocksdb.RocksDBKeyedStateBackend;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.KeyedProcessOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.util.KeyedOneInputStreamOperatorTestHarness;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The operator with the state backend it runs with: RocksDB. */
class DeduplicateFunctionTest {

    private static final long WINDOW = Duration.ofDays(7).toMillis();
    private static final long SLACK = Duration.ofDays(1).toMillis();
    private static final String STATE_ID = "8b0c6b0e-9a55-4b6c-8f0e-000000000001";
    private static final long START = 1_746_057_600_000L;

    private final FingerprintFunction fingerprints = new FingerprintFunction("view-events");
    private KeyedOneInputStreamOperatorTestHarness<Fingerprint, IdentifiedEvent, IdentifiedEvent> harness;

    @BeforeEach
    void open() throws Exception {
        harness = harness();
        harness.open();
        clockShows(START);
    }

    @AfterEach
    void close() throws Exception {
        harness.close();
    }

    @Test
    void theFirstWinsAndItsDuplicatesAreSetAside() throws Exception {
        process(event("a", 1, START), event("a", 2, START + 1), event("a", 3, START + 2));

        assertThat(uniqueOffsets()).containsExactly(1L);
        assertThat(duplicateOffsets()).containsExactly(2L, 3L);
    }

    @Test
    void anotherFingerprintIsAnotherEvent() throws Exception {
        process(event("a", 1, START), event("b", 2, START), event("a", 3, START), event("b", 4, START));

        assertThat(uniqueOffsets()).containsExactly(1L, 2L);
        assertThat(duplicateOffsets()).containsExactly(3L, 4L);
    }

    @Test
    void theWindowRunsByRecordTimeFromTheFirstSight() throws Exception {
        process(event("a", 1, START), event("a", 2, START + WINDOW - 1), event("a", 3, START + WINDOW));
        assertThat(uniqueOffsets())
                .as("one millisecond before the edge, and on it")
                .containsExactly(1L, 3L);

        process(event("a", 4, START + 2 * WINDOW - 1), event("a", 5, START + 2 * WINDOW));
        assertThat(uniqueOffsets()).as("a new window began").containsExactly(1L, 3L, 5L);
    }

    @Test
    void theClockOfTheJobDoesNotDecide() throws Exception {
        process(event("a", 1, START));
        clockShows(START + 100 * WINDOW);
        process(event("a", 2, START + 1));

        assertThat(uniqueOffsets()).containsExactly(1L);
    }

    @Test
    void anOutageWithinTheSlackIsDecidedExactly() throws Exception {
        process(event("a", 1, START));
        clockShows(START + WINDOW + SLACK - 1);
        compact();
        process(event("a", 2, START + WINDOW - 1));

        assertThat(uniqueOffsets()).containsExactly(1L);
        assertThat(duplicateOffsets()).containsExactly(2L);
    }

    @Test
    void aRecordFromAClockThatWasAheadIsRememberedUntilItsWindowIsOver() throws Exception {
        long ahead = START + 30 * WINDOW;
        process(event("a", 1, ahead), event("a", 2, START + 1));
        for (long now = START; now < ahead; now += WINDOW / 3) {
            clockShows(now);
            compact();
            process(event("a", 3, now));
        }
        assertThat(uniqueOffsets()).as("older ones are duplicates all the time").containsExactly(1L);

        for (long now = ahead; now <= ahead + WINDOW + 2 * SLACK + WINDOW; now += SLACK) {
            clockShows(now);
        }
        compact();
        assertThat(backend().numKeyValueStateEntries())
                .as("forgotten afterwards")
                .isZero();
        assertThat(harness.numProcessingTimeTimers()).isZero();
    }

    @Test
    void anOrdinaryRecordNeedsNoTimer() throws Exception {
        process(event("a", 1, START), event("b", 2, START - WINDOW), event("c", 3, START + SLACK));
        assertThat(harness.numProcessingTimeTimers()).isZero();
    }

    /** What then comes through is the upsert's to catch and to count: PostgresBatchStoreIT. */
    @Test
    void anOutageBeyondTheSlackForgets() throws Exception {
        process(event("a", 1, START));
        clockShows(START + WINDOW + SLACK);
        compact();
        process(event("a", 2, START + WINDOW - 1));

        assertThat(uniqueOffsets()).containsExactly(1L, 2L);
    }

    @Test
    void stateIsGoneAfterItExpired() throws Exception {
        process(event("a", 1, START), event("b", 2, START));
        compact();
        assertThat(backend().numKeyValueStateEntries()).isEqualTo(2);

        clockShows(START + WINDOW + SLACK);
        compact();
        assertThat(backend().numKeyValueStateEntries()).isZero();
    }

    /** Otherwise files to which nothing is written would keep what has expired for 30 days. */
    @Test
    void rocksDbCompactsEveryFileWithinADay(@TempDir Path directory) throws Exception {
        EmbeddedRocksDBStateBackend rocksDb = new EmbeddedRocksDBStateBackend();
        rocksDb.setDbStoragePath(directory.toString());
        Configuration flink = GlobalConfiguration.loadConfiguration(
                Fixtures.file("flink-conf").toString());
        // Memory for the whole TaskManager is nothing that a harness has.
        flink.removeKey("state.backend.rocksdb.memory.fixed-per-tm");
        harness.close();
        harness = harness(rocksDb.configure(flink, getClass().getClassLoader()));
        harness.open();

        assertThat(rocksDbOptions(directory, "first-seen"))
                .contains(
                        "periodic_compaction_seconds=86400", "compaction_filter_factory=FlinkCompactionFilterFactory");
    }

    /** What RocksDB itself writes down when a column family is there. */
    private static List<String> rocksDbOptions(Path directory, String columnFamily) throws IOException {
        try (var files = Files.walk(directory)) {
            Path newest = files.filter(file -> file.getFileName().toString().startsWith("OPTIONS-"))
                    .max(Comparator.comparing(file -> file.getFileName().toString()))
                    .orElseThrow();
            return Files.readAllLines(newest).stream()
                    .map(String::strip)
                    .dropWhile(line -> !line.equals("[CFOptions \"" + columnFamily + "\"]"))
                    .skip(1)
                    .takeWhile(line -> !line.startsWith("["))
                    .toList();
        }
    }

    @Test
    void memoryAndCountsComeBackWithASnapshot() throws Exception {
        process(event("a", 1, START), event("a", 2, START), event("b", 3, START));
        OperatorSubtaskState snapshot = harness.snapshot(1, START);
        harness.close();

        harness = harness();
        harness.initializeState(snapshot);
        harness.open();
        clockShows(START);
        process(event("a", 4, START + 1), event("c", 5, START + 1));

        assertThat(uniqueOffsets()).containsExactly(5L);
        assertThat(duplicateOffsets()).containsExactly(4L);
        assertThat(count("unique")).isEqualTo(3);
        assertThat(count("duplicate")).isEqualTo(2);
    }

    @Test
    void aRecordOlderThanTheFirstSightIsADuplicateAlways() throws Exception {
        process(event("a", 1, START + 30 * WINDOW), event("a", 2, START), event("a", 3, START + WINDOW));

        assertThat(uniqueOffsets()).containsExactly(1L);
        assertThat(duplicateOffsets()).containsExactly(2L, 3L);
    }

    @Test
    void aRejectedEventPassesOnceForEachReplayAndItsOtherCopiesStayDuplicates() throws Exception {
        IdentifiedEvent again = replay(event("a", 1, START), 1, STATE_ID);
        process(event("a", 1, START), event("a", 2, START + 1), again, again, event("a", 3, START + 2));
        assertThat(uniqueOffsets()).as("the original and its first replay").containsExactly(1L, 1L);
        assertThat(duplicateOffsets()).containsExactly(2L, 1L, 3L);

        // Rejected once more, and replayed once more.
        process(replay(event("a", 1, START), 2, STATE_ID), again, replay(event("a", 1, START), 2, STATE_ID));
        assertThat(uniqueOffsets()).containsExactly(1L, 1L, 1L);
        assertThat(count("replayed")).isEqualTo(2);
        assertThat(count("unique")).isEqualTo(3);
        assertThat(count("duplicate")).isEqualTo(5);
    }

    @Test
    void whatWasReplayedIsRememberedInASnapshot() throws Exception {
        IdentifiedEvent again = replay(event("a", 1, START), 1, STATE_ID);
        process(event("a", 1, START), again);
        restore(Duration.ofMillis(WINDOW));
        process(again);

        assertThat(uniqueOffsets()).isEmpty();
        assertThat(duplicateOffsets()).containsExactly(1L);
    }

    @Test
    void twoRejectedEventsOfOneFingerprintAreReplayedEach() throws Exception {
        process(event("a", 1, START), event("a", 9, START + WINDOW));
        process(replay(event("a", 1, START), 1, STATE_ID), replay(event("a", 9, START + WINDOW), 1, STATE_ID));

        assertThat(uniqueOffsets()).containsExactly(1L, 9L, 1L, 9L);
    }

    /** A job without the state of before has read the original again and decided it: its own letters are those that count. */
    @Test
    void aReplayForAnotherStateIsADuplicateOfTheOriginalThatThisOneDecided() throws Exception {
        process(event("a", 1, START), replay(event("a", 1, START), 1, "another"));
        assertThat(uniqueOffsets()).containsExactly(1L);
        assertThat(duplicateOffsets()).containsExactly(1L);

        process(replay(event("b", 2, START), 1, "another"), replay(event("b", 2, START), 1, "another"));
        assertThat(uniqueOffsets()).as("whose original is gone").containsExactly(1L, 2L);
    }

    @Test
    void aLetterOfAnEarlierVersionHasNoStateAndIsReplayed() throws Exception {
        process(event("a", 1, START), replay(event("a", 1, START), 1, null));

        assertThat(uniqueOffsets()).containsExactly(1L, 1L);
    }

    @Test
    void anInvalidEventThatIsReplayedIsDecidedAsIfItCameForTheFirstTime() throws Exception {
        Replay invalid = new Replay(0, 100, 1, false, STATE_ID);
        IdentifiedEvent first = event("a", 1, START);
        IdentifiedEvent again = new IdentifiedEvent(first.fingerprint(), first.source(), first.columns(), invalid);
        process(again, again, event("a", 2, START + 1));
        assertThat(uniqueOffsets()).containsExactly(1L);
        assertThat(duplicateOffsets()).containsExactly(1L, 2L);

        process(event("b", 3, START + 5), replayOfInvalid(event("b", 1, START)));
        assertThat(uniqueOffsets()).as("an equal event was stored meanwhile").containsExactly(1L, 3L);
    }

    @Test
    void aReplayAfterEverythingHasExpiredIsStored() throws Exception {
        process(event("a", 1, START));
        clockShows(START + WINDOW + SLACK + 1);
        compact();
        process(replay(event("a", 1, START), 1, STATE_ID), event("a", 5, START + WINDOW + SLACK + 1));

        assertThat(uniqueOffsets()).containsExactly(1L, 1L, 5L);
    }

    private static IdentifiedEvent replay(IdentifiedEvent original, int attempt, String stateId) {
        return new IdentifiedEvent(
                original.fingerprint(),
                original.source(),
                original.columns(),
                new Replay(0, 1000 + attempt, attempt, true, stateId));
    }

    private static IdentifiedEvent replayOfInvalid(IdentifiedEvent original) {
        return new IdentifiedEvent(
                original.fingerprint(), original.source(), original.columns(), new Replay(0, 1000, 1, false, STATE_ID));
    }

    @Test
    void aWindowThatWasChangedIsTheOneThatCounts() throws Exception {
        process(event("a", 1, START));
        restore(Duration.ofMillis(2 * WINDOW));
        clockShows(START + WINDOW + SLACK);
        compact();
        process(event("a", 2, START + WINDOW));
        assertThat(duplicateOffsets()).as("longer").containsExactly(2L);

        restore(Duration.ofMillis(WINDOW));
        clockShows(START + WINDOW);
        process(event("a", 3, START + WINDOW - 1), event("a", 4, START + WINDOW + 1));
        assertThat(duplicateOffsets()).as("shorter").containsExactly(3L);
        assertThat(uniqueOffsets()).containsExactly(4L);
        clockShows(START + WINDOW + WINDOW + SLACK);
        compact();
        assertThat(backend().numKeyValueStateEntries()).isZero();
    }

    /** Goes on in another job, with what this one remembers. */
    private void restore(Duration window) throws Exception {
        OperatorSubtaskState snapshot = harness.snapshot(1, START);
        harness.close();
        StreamDefinition views = Fixtures.viewEvents();
        harness = harness(
                new StreamDefinition(
                        views.stream(), views.fingerprint(), window, views.ttlSlack(), null, views.table()),
                new EmbeddedRocksDBStateBackend());
        harness.initializeState(snapshot);
        harness.open();
    }

    private static KeyedOneInputStreamOperatorTestHarness<Fingerprint, IdentifiedEvent, IdentifiedEvent> harness()
            throws Exception {
        return harness(new EmbeddedRocksDBStateBackend());
    }

    private static KeyedOneInputStreamOperatorTestHarness<Fingerprint, IdentifiedEvent, IdentifiedEvent> harness(
            EmbeddedRocksDBStateBackend backend) throws Exception {
        return harness(Fixtures.viewEvents(), backend);
    }

    private static KeyedOneInputStreamOperatorTestHarness<Fingerprint, IdentifiedEvent, IdentifiedEvent> harness(
            StreamDefinition stream, EmbeddedRocksDBStateBackend backend) throws Exception {
        var operator = new KeyedProcessOperator<>(new DeduplicateFunction(
                stream,
                new StateIdentity(
                        stream.stream(),
                        stream.fingerprint(),
                        STATE_ID,
                        null,
                        null,
                        null,
                        StateIdentity.SOURCE_UID,
                        0)));
        var created = new KeyedOneInputStreamOperatorTestHarness<>(
                operator, IdentifiedEvent::fingerprint, ImmutableType.FINGERPRINT);
        created.setStateBackend(backend);
        return created;
    }

    private void clockShows(long millis) throws Exception {
        harness.setStateTtlProcessingTime(millis);
        harness.setProcessingTime(millis);
    }

    private void compact() throws Exception {
        backend().compactState(new ValueStateDescriptor<>("first-seen", Types.LONG));
    }

    private RocksDBKeyedStateBackend<Fingerprint> backend() {
        return (RocksDBKeyedStateBackend<Fingerprint>)
                ((AbstractStreamOperator<?>) harness.getOperator()).<Fingerprint>getKeyedStateBackend();
    }

    private void process(IdentifiedEvent... events) throws Exception {
        for (IdentifiedEvent event : events) {
            harness.processElement(event, event.source().timestamp());
        }
    }

    private IdentifiedEvent event(String key, long offset, long time) {
        return new IdentifiedEvent(
                fingerprints.apply(List.of(key)), new SourceRecord(new byte[0], 0, offset, time), new byte[0]);
    }

    private List<Long> uniqueOffsets() {
        return harness.extractOutputValues().stream()
                .map(event -> event.source().offset())
                .toList();
    }

    private List<Long> duplicateOffsets() {
        Queue<StreamRecord<IdentifiedEvent>> duplicates = harness.getSideOutput(DeduplicateFunction.DUPLICATES);
        return duplicates.stream()
                .map(record -> record.getValue().source().offset())
                .toList();
    }

    private long count(String counter) throws Exception {
        harness.snapshot(2, START);
        var descriptor = new org.apache.flink.api.common.state.ListStateDescriptor<>(counter, Types.LONG);
        return ((AbstractStreamOperator<?>) harness.getOperator())
                .getOperatorStateBackend()
                .getListState(descriptor)
                .get()
                .iterator()
                .next();
    }
}
