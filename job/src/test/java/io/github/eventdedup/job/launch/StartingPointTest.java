package io.github.eventdedup.job.launch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.job.pipeline.StateIdentity;
import io.github.eventdedup.job.settings.JobSettings.Consent;
import io.github.eventdedup.job.settings.JobSettings.Start;
import io.github.eventdedup.job.testing.Fixtures;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.HighAvailabilityOptions;
import org.apache.flink.configuration.PipelineOptionsInternal;
import org.apache.flink.configuration.StateRecoveryOptions;
import org.apache.flink.core.execution.RecoveryClaimMode;
import org.apache.flink.runtime.checkpoint.Checkpoints;
import org.apache.flink.runtime.checkpoint.MasterState;
import org.apache.flink.runtime.checkpoint.metadata.CheckpointMetadata;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** With a savepoint as Flink has written it, copied to where Flink puts checkpoints and savepoints. */
class StartingPointTest {

    private static final String JOB = "5b1450aa000000000000000000000000";

    @TempDir
    private Path directory;

    private final StateIdentity identity = StateIdentity.of(Fixtures.keptStream());
    private final Configuration flink = new Configuration();
    private byte[] metadata;

    @BeforeEach
    void configureFlink() throws IOException {
        metadata = Files.readAllBytes(Fixtures.keptStates().get(0).resolve("_metadata"));
        flink.set(
                CheckpointingOptions.CHECKPOINTS_DIRECTORY,
                directory.resolve("checkpoints").toUri().toString());
        flink.set(
                CheckpointingOptions.SAVEPOINT_DIRECTORY,
                directory.resolve("savepoints").toUri().toString());
    }

    @Test
    void startsWithoutStateWhereThereIsNone() throws Exception {
        for (Start start : Start.values()) {
            assertThat(startingPoint(start)).isEqualTo(new Configuration());
        }
        assertThat(StartingPoint.of(new Configuration(), identity, Start.RESUME).configuration())
                .as("no directories configured")
                .isEqualTo(new Configuration());
    }

    @Test
    void refusesToStartEmptyBesideStateAndSaysWhatCanBeDone() throws Exception {
        write("checkpoints/" + JOB + "/chk-3", 1);
        Path newest = write("savepoints/savepoint-x", 2);

        assertThat(refusal(Start.ONLY_WITHOUT_STATE))
                .contains("'view-events'", "--resume", "-s PATH", "--fresh", "1970-01-01T00:00:02Z")
                .endsWith(": " + uri(newest));
    }

    @Test
    void resumesFromTheNewestByTimeWhereverItIs() throws Exception {
        assertThat(restored(write("checkpoints/" + JOB + "/chk-300", 1))).isTrue();
        assertThat(restored(write("savepoints/savepoint-x", 2))).isTrue();
        assertThat(restored(write("checkpoints/c0ffee00/chk-3", 3))).isTrue();
        assertThat(restored(write("savepoints/stops/view-events/savepoint-y", 4)))
                .isTrue();
        assertThat(restored(write("savepoints/savepoint-old", 3))).isFalse();
    }

    /** Whoever wrote it may still run; and what Flink owns it deletes. */
    @Test
    void resumingLeavesTheStateToItsOwner() throws Exception {
        write("savepoints/savepoint-x", 1);

        assertThat(startingPoint(Start.RESUME).get(StateRecoveryOptions.RESTORE_MODE))
                .isEqualTo(RecoveryClaimMode.NO_CLAIM);
    }

    @Test
    void freshStartsWithoutTheStateThereIs() throws Exception {
        write("savepoints/savepoint-x", 1);

        assertThat(startingPoint(Start.FRESH)).isEqualTo(new Configuration());
    }

    @Test
    void theStateOfAnotherStreamIsNotOfInterest() throws Exception {
        write("savepoints/savepoint-x", 1);
        StateIdentity other = StateIdentity.of("clicks", identity.fingerprint());

        assertThat(StartingPoint.of(flink, other, Start.ONLY_WITHOUT_STATE).configuration())
                .isEqualTo(new Configuration());
        assertThat(StartingPoint.of(flink, other, Start.RESUME).configuration()).isEqualTo(new Configuration());
    }

    @Test
    void stateOfOtherFieldsIsRefusedHoweverItIsChosen() throws Exception {
        Path savepoint = write("savepoints/savepoint-x", 1);
        StateIdentity changed = StateIdentity.of(identity.stream(), List.of("userId"));

        assertThat(refusal(changed, Start.RESUME)).contains(uri(savepoint), "over [userId, content_id", "[userId],");
        assertThat(refusal(changed, Start.ONLY_WITHOUT_STATE)).contains("--fresh");
        restore(savepoint);
        assertThat(refusal(changed, Start.ONLY_WITHOUT_STATE)).contains(uri(savepoint), "over [userId, content_id");
    }

    @Test
    void aNamedStateIsFlinksToRestoreAndWinsOverTheNewest() throws Exception {
        Path named = write("savepoints/savepoint-x", 1);
        write("savepoints/savepoint-y", 2);
        restore(named);

        assertThat(startingPoint(Start.ONLY_WITHOUT_STATE)).isEqualTo(new Configuration());
        assertThat(startingPoint(Start.RESUME)).isEqualTo(new Configuration());
    }

    @Test
    void aNamedStateOfAnotherStreamIsRefused() throws Exception {
        restore(write("savepoints/savepoint-x", 1));

        assertThat(refusal(StateIdentity.of("clicks", identity.fingerprint()), Start.ONLY_WITHOUT_STATE))
                .contains("'view-events'", "'clicks'");
    }

    @Test
    void freshAndANamedStateExcludeEachOther() throws Exception {
        Path savepoint = write("savepoints/savepoint-x", 1);
        restore(savepoint);

        assertThat(refusal(Start.FRESH)).contains("--fresh", uri(savepoint), "leave one out");
    }

    @Test
    void aNamedStateThatIsNotThereIsSaid() throws Exception {
        restore(directory.resolve("savepoints/nowhere"));

        assertThat(refusal(Start.ONLY_WITHOUT_STATE))
                .contains("cannot read the state at", "savepoints/nowhere", "Cannot find", "flink savepoint");
    }

    /** It may be the newest: what it holds must not be lost in silence. */
    @Test
    void whatCannotBeReadIsNamedAndNotPassedOver() throws Exception {
        write("savepoints/savepoint-x", 1);
        for (int length = 0; length < metadata.length; length += 37) {
            Path broken = write("checkpoints/" + JOB + "/chk-4", 2, Arrays.copyOf(metadata, length));

            for (Start start : List.of(Start.RESUME, Start.ONLY_WITHOUT_STATE)) {
                assertThat(refusal(start))
                        .as("%s bytes of it", length)
                        .contains(uri(broken), "move it away", "-s PATH")
                        .doesNotContain("null");
            }
        }
    }

    @Test
    void theStateOfANewerFlinkIsNamedAndNotPassedOver() throws Exception {
        write("savepoints/savepoint-x", 1);
        byte[] newer = ByteBuffer.wrap(metadata.clone()).putInt(4, 99).array();
        Path savepoint = write("savepoints/savepoint-y", 2, newer);

        assertThat(refusal(Start.RESUME)).contains(uri(savepoint), "version", "99");
        restore(savepoint);
        assertThat(refusal(Start.RESUME)).contains(uri(savepoint), "version", "99");
    }

    @Test
    void theStateOfAnotherKindOfJobIsNotOfInterestAndCannotBeNamed() throws Exception {
        ByteArrayOutputStream other = new ByteArrayOutputStream();
        Checkpoints.storeCheckpointMetadata(new CheckpointMetadata(1, List.of(), List.of()), other);
        Path savepoint = write("savepoints/savepoint-x", 1, other.toByteArray());

        assertThat(startingPoint(Start.ONLY_WITHOUT_STATE)).isEqualTo(new Configuration());
        restore(savepoint);
        assertThat(refusal(Start.ONLY_WITHOUT_STATE))
                .contains(uri(savepoint), "not the state of a job that deduplicates");
    }

    @Test
    void aFileThatMayNotBeReadIsNamedAndNotPassedOver() throws Exception {
        write("savepoints/savepoint-x", 1);
        Path closed = write("savepoints/savepoint-y", 2);
        Path file = closed.resolve("_metadata");
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("---------"));
        assumeFalse(Files.isReadable(file), "root may read everything");

        assertThat(refusal(Start.RESUME)).contains(uri(closed), "move it away");
    }

    /** Flink's listing fails as a whole where one entry has gone: that is not an empty directory. */
    @Test
    void aDirectoryThatCannotBeListedIsNamedAndNotPassedOver() throws Exception {
        write("checkpoints/" + JOB + "/chk-3", 1);
        Files.createSymbolicLink(directory.resolve("checkpoints/" + JOB + "/chk-2"), Path.of("gone"));

        for (Start start : List.of(Start.RESUME, Start.ONLY_WITHOUT_STATE)) {
            assertThat(refusal(start)).contains("cannot list", "checkpoints/" + JOB);
        }
    }

    @Test
    void whatWasNotCompletedDoesNotCount() throws Exception {
        Path complete = write("checkpoints/" + JOB + "/chk-3", 1);
        Files.createDirectories(directory.resolve("checkpoints/" + JOB + "/chk-4"));

        assertThat(restored(complete)).isTrue();
    }

    @Test
    void theDataOfIncrementalCheckpointsIsNotLookedAt() throws Exception {
        Path complete = write("checkpoints/" + JOB + "/chk-3", 1);
        write("checkpoints/" + JOB + "/shared", 2);
        write("checkpoints/" + JOB + "/taskowned", 3);

        assertThat(restored(complete)).isTrue();
    }

    /** In application mode every new JobManager runs the main method; high availability then has the checkpoint. */
    @Test
    void aRecoveryByHighAvailabilityIsLeftToFlink() throws Exception {
        write("checkpoints/" + JOB + "/chk-3", 1);
        flink.set(HighAvailabilityOptions.HA_MODE, "kubernetes");
        flink.set(PipelineOptionsInternal.PIPELINE_FIXED_JOB_ID, JOB);

        // Should somebody have deleted what high availability knows, it is this and nothing newer of another job.
        Path upgrade = write("savepoints/savepoint-x", 2);
        for (Start start : Start.values()) {
            assertThat(startingPoint(start).get(StateRecoveryOptions.SAVEPOINT_PATH))
                    .endsWith("chk-3");
        }
        flink.set(StateRecoveryOptions.SAVEPOINT_PATH, uri(upgrade));
        assertThat(startingPoint(Start.ONLY_WITHOUT_STATE).get(StateRecoveryOptions.SAVEPOINT_PATH))
                .endsWith("chk-3");
        assertThat(StartingPoint.of(flink, identity, Start.RESUME).isRecovery()).isTrue();

        flink.set(StateRecoveryOptions.SAVEPOINT_PATH, "AN_OPERATORS_WORD_FOR_HIGH_AVAILABILITY");
        for (Start start : Start.values()) {
            assertThat(startingPoint(start)).isEqualTo(new Configuration());
        }
    }

    @Test
    void anotherJobOrNoHighAvailabilityIsNoRecovery() throws Exception {
        write("checkpoints/" + JOB + "/chk-3", 1);
        flink.set(HighAvailabilityOptions.HA_MODE, "kubernetes");
        flink.set(PipelineOptionsInternal.PIPELINE_FIXED_JOB_ID, "00000000000000000000000000000000");
        assertThat(refusal(Start.ONLY_WITHOUT_STATE)).contains("--resume");

        flink.set(PipelineOptionsInternal.PIPELINE_FIXED_JOB_ID, JOB);
        flink.set(HighAvailabilityOptions.HA_MODE, "NONE");
        assertThat(refusal(Start.ONLY_WITHOUT_STATE)).contains("--resume");

        flink.set(HighAvailabilityOptions.HA_MODE, "kubernetes");
        flink.removeConfig(PipelineOptionsInternal.PIPELINE_FIXED_JOB_ID);
        assertThat(refusal(Start.ONLY_WITHOUT_STATE)).contains("--resume");
    }

    @Test
    void aJobContinuesWithTheIdentityOfItsState() throws Exception {
        StateIdentity saved = identified("topic-1", "table-1", 5_000);
        write("savepoints/savepoint-x", 9, metadata(saved));

        assertThat(start(Start.RESUME).identity()).isEqualTo(identity.continuing(saved));
        assertThat(start(Start.FRESH).identity()).isEqualTo(identity);
        // The kept one was taken before there were ids: what is there now is noted from then on.
        write("savepoints/savepoint-x", 9);
        assertThat(start(Start.RESUME)
                        .attachedTo(attachment("topic-2", "table-2"), Set.of())
                        .identity())
                .isEqualTo(identity.attachedTo("cluster", "topic-2", "table-2"));
    }

    @Test
    void aStartWithoutStateNotesWhereItBegins() throws Exception {
        assertThat(start(Start.RESUME)
                        .attachedTo(attachment("topic-1", null), Set.of())
                        .identity())
                .isEqualTo(identity.attachedTo("cluster", "topic-1", null));
    }

    @Test
    void anotherTopicIsRefusedWithTheChoices() throws Exception {
        write("savepoints/savepoint-x", 9, metadata(identified("topic-1", null, 5_000)));

        assertThat(refusal(attachment("topic-2", null)))
                .contains("topic-1", "topic-2", "cluster-1", "DEDUP_KAFKA_BOOTSTRAP_SERVERS", "--new-topic", "--fresh");
        StartingPoint start = start(Start.RESUME).attachedTo(attachment("topic-2", null), Set.of(Consent.NEW_TOPIC));
        assertThat(start.identity().topicId()).isEqualTo("topic-2");
        assertThat(start.identity().sourceUid()).startsWith("read-");
        assertThat(start.configuration().get(StateRecoveryOptions.SAVEPOINT_IGNORE_UNCLAIMED_STATE))
                .isTrue();
        // State of earlier versions does not know: the operator does.
        assertThat(new StartingPoint(
                                new Configuration(),
                                false,
                                identity,
                                SavedState.read(
                                        Fixtures.keptStates().get(0).toUri().toString()))
                        .attachedTo(attachment("topic-2", null), Set.of(Consent.NEW_TOPIC))
                        .identity()
                        .sourceUid())
                .startsWith("read-");
        // Given where nothing is new it changes nothing.
        start = start(Start.RESUME).attachedTo(attachment("topic-1", null), Set.of(Consent.NEW_TOPIC));
        assertThat(start.identity().sourceUid()).isEqualTo("read");
        assertThat(start.configuration().get(StateRecoveryOptions.SAVEPOINT_IGNORE_UNCLAIMED_STATE))
                .isFalse();
    }

    @Test
    void aTopicThatEndsBeforeTheSavedOffsetIsRefusedWithTheChoices() throws Exception {
        write("savepoints/savepoint-x", 9, metadata(identified("topic-1", null, 5_000)));
        for (Map<Integer, Long> ends : List.of(Map.<Integer, Long>of(), Map.of(0, 1000L, 1, 1000L, 2, 1000L, 3, 1L))) {
            Attachment truncated = new Attachment("cluster", "topic-1", ends, null);

            assertThat(refusal(truncated)).contains("up to offset", "ends at", "--new-topic", "--fresh");
            assertThat(start(Start.RESUME)
                            .attachedTo(truncated, Set.of(Consent.NEW_TOPIC))
                            .identity()
                            .sourceUid())
                    .startsWith("read-");
        }
    }

    @Test
    void anotherTableIsRefusedWithTheChoices() throws Exception {
        write("savepoints/savepoint-x", 9, metadata(identified("topic-1", "table-1", 5_000)));

        assertThat(refusal(attachment("topic-1", "table-2")))
                .contains("table-1", "table-2", "EXCHANGE TABLES", "--new-table", "--fresh");
        // No row for ClickHouse waits in this state.
        assertThat(start(Start.RESUME)
                        .attachedTo(attachment("topic-1", "table-2"), Set.of(Consent.NEW_TABLE))
                        .identity()
                        .tableId())
                .isEqualTo("table-2");
    }

    @Test
    void everyFindingIsNamedAtOnce() throws Exception {
        write("savepoints/savepoint-x", 9, metadata(identified("topic-1", "table-1", 5_000)));

        assertThat(refusal(attachment("topic-2", "table-2")).lines()).hasSize(2);
    }

    @Test
    void newestIsByTheTimeInItAndNotByThatOfItsFile() throws Exception {
        Path newer = write("savepoints/savepoint-x", 7, metadata(identified(null, null, 6_000)));
        write("savepoints/savepoint-y", 9, metadata(identified(null, null, 5_000)));

        assertThat(restored(newer)).isTrue();
    }

    @Test
    void olderStateIsRefusedUnlessTheTableKnowsItsRowsOrItWasAgreedTo() throws Exception {
        Path older = write("savepoints/savepoint-x", 9, metadata(identified(null, null, 5_000)));
        StateIdentity fresh = StateIdentity.of(identity.stream(), identity.fingerprint());
        Path newer = write("savepoints/savepoint-y", 9, metadata(fresh.attachedTo("c", "t", "t"), 6_000));
        restore(older);
        StartingPoint start = start(Start.ONLY_WITHOUT_STATE);

        assertThatThrownBy(() -> start.requireNewest(flink, false, Set.of()))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining(uri(older))
                .hasMessageContaining(uri(newer))
                .hasMessageContaining("is of a job that began anew, so all that was stored since then would be")
                .hasMessageContaining("--from-older");
        start.requireNewest(flink, false, Set.of(Consent.FROM_OLDER));
        start.requireNewest(flink, true, Set.of());
        restore(newer);
        start(Start.ONLY_WITHOUT_STATE).requireNewest(flink, false, Set.of());
        flink.removeConfig(StateRecoveryOptions.SAVEPOINT_PATH);
        start(Start.RESUME).requireNewest(flink, false, Set.of());
        start(Start.FRESH).requireNewest(flink, false, Set.of());
    }

    @Test
    void stateThatCannotBeReadMayBeNewer() throws Exception {
        Path named = write("savepoints/savepoint-x", 9, metadata(identified(null, null, 5_000)));
        Path broken = write("savepoints/savepoint-y", 9, new byte[7]);
        restore(named);
        StartingPoint start = start(Start.ONLY_WITHOUT_STATE);

        assertThatThrownBy(() -> start.requireNewest(flink, false, Set.of()))
                .hasMessageContaining(uri(broken))
                .hasMessageContaining("--from-older");
        start.requireNewest(flink, false, Set.of(Consent.FROM_OLDER));
        // Older files hold nothing newer.
        write("savepoints/savepoint-y", 4, new byte[7]);
        start.requireNewest(flink, false, Set.of());
    }

    /** A copy of the newest in another place, say: no row was stored in between. */
    @Test
    void stateThatHasReadAsFarAsTheNewestIsNotOlder() throws Exception {
        StateIdentity saved = identified(null, null, 5_000);
        restore(write("elsewhere/savepoint", 9, metadata(saved)));
        write("checkpoints/" + JOB + "/chk-3", 9, metadata(saved, 6_000));

        start(Start.ONLY_WITHOUT_STATE).requireNewest(flink, false, Set.of());
    }

    @Test
    void whatAStateHoldsIsRead() throws Exception {
        for (Path kept : Fixtures.keptStates()) {
            SavedState state = SavedState.read(kept.toUri().toString()).orElseThrow();

            assertThat(state.unique()).isEqualTo(63);
            assertThat(state.offsets()).containsOnlyKeys(0, 1, 2, 3);
            assertThat(state.offsets().values().stream()
                            .mapToLong(Long::longValue)
                            .sum())
                    .isEqualTo(93);
            assertThat(state.hasPendingRows()).isFalse();
        }
        Path logins = Fixtures.file("job/src/test/resources/state-clickhouse/1").toAbsolutePath();
        assertThat(SavedState.read(logins.toUri().toString()).orElseThrow().hasPendingRows())
                .isTrue();
    }

    private StateIdentity identified(String topicId, String tableId, long takenAt) {
        return new StateIdentity(
                identity.stream(), identity.fingerprint(), "lineage", "cluster-1", topicId, tableId, "read", takenAt);
    }

    private static Attachment attachment(String topicId, String tableId) {
        return new Attachment("cluster", topicId, Map.of(0, 1000L, 1, 1000L, 2, 1000L, 3, 1000L), tableId);
    }

    /** The kept state with another identity. */
    private byte[] metadata(StateIdentity saved) throws IOException {
        CheckpointMetadata kept = kept();
        return bytes(saved, kept);
    }

    private byte[] metadata(StateIdentity saved, long takenAt) throws Exception {
        return metadata(new StateIdentity.Hook(saved)
                .triggerCheckpoint(1, takenAt, Runnable::run)
                .get());
    }

    private CheckpointMetadata kept() throws IOException {
        return Checkpoints.loadCheckpointMetadata(
                new DataInputStream(new ByteArrayInputStream(metadata)),
                getClass().getClassLoader(),
                "kept");
    }

    private static byte[] bytes(StateIdentity saved, CheckpointMetadata kept) throws IOException {
        StateIdentity.Serializer serializer = new StateIdentity.Serializer();
        MasterState state =
                new MasterState(StateIdentity.Hook.ID, serializer.serialize(saved), serializer.getVersion());
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        Checkpoints.storeCheckpointMetadata(
                new CheckpointMetadata(
                        kept.getCheckpointId(),
                        kept.getOperatorStates(),
                        List.of(state),
                        kept.getCheckpointProperties()),
                bytes);
        return bytes.toByteArray();
    }

    private StartingPoint start(Start start) throws ConfigurationException {
        return StartingPoint.of(flink, identity, start);
    }

    private String refusal(Attachment live, Consent... consents) {
        return catchThrowableOfType(
                        ConfigurationException.class, () -> start(Start.RESUME).attachedTo(live, Set.of(consents)))
                .getMessage();
    }

    private Configuration startingPoint(Start start) throws ConfigurationException {
        return StartingPoint.of(flink, identity, start).configuration();
    }

    private boolean restored(Path state) throws ConfigurationException {
        return startingPoint(Start.RESUME)
                .get(StateRecoveryOptions.SAVEPOINT_PATH)
                .equals(uri(state));
    }

    private String refusal(Start start) {
        return refusal(identity, start);
    }

    private String refusal(StateIdentity identity, Start start) {
        return catchThrowableOfType(ConfigurationException.class, () -> StartingPoint.of(flink, identity, start))
                .getMessage();
    }

    /** As {@code flink run -s} does. */
    private void restore(Path state) {
        flink.set(StateRecoveryOptions.SAVEPOINT_PATH, uri(state));
    }

    private Path write(String path, long second) throws IOException {
        return write(path, second, metadata);
    }

    private Path write(String path, long second, byte[] content) throws IOException {
        Path state = Files.createDirectories(directory.resolve(path));
        Path file = Files.write(state.resolve("_metadata"), content);
        Files.setLastModifiedTime(file, FileTime.from(Instant.ofEpochSecond(second)));
        return state;
    }

    /** As Flink writes paths. */
    private static String uri(Path path) {
        return "file:" + path;
    }
}
