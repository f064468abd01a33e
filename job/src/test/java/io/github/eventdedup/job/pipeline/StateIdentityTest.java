package io.github.eventdedup.job.pipeline;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.Test;

class StateIdentityTest {

    private static final byte[] EARLIER = "\0\013view-events\0\0\0\2\0\6userId\0\3sid".getBytes(ISO_8859_1);

    private final StateIdentity identity = StateIdentity.of("view-events", List.of("userId", "sid"));
    private final StateIdentity.Serializer serializer = new StateIdentity.Serializer();

    /** In every savepoint of the first releases: these bytes must always be read, and as this. */
    @Test
    void theBytesOfEarlierSavepointsAreRead() throws Exception {
        assertThat(serializer.getVersion()).isEqualTo(1);
        assertThat(serializer.deserialize(1, EARLIER))
                .isEqualTo(
                        new StateIdentity("view-events", List.of("userId", "sid"), null, null, null, null, "read", 0));
    }

    /** They read no further than they know, so that a job can be rolled back to them. */
    @Test
    void earlierReleasesReadTheBytesOfToday() throws Exception {
        assertThat(serializer.serialize(identity)).startsWith(EARLIER);
    }

    @Test
    void allOfItIsReadAgain() throws Exception {
        for (StateIdentity each : List.of(
                identity,
                new StateIdentity(
                        "view-events",
                        List.of("userId", "sid"),
                        "4f1c",
                        "cluster",
                        "topic",
                        "table",
                        "read-topic",
                        1_746_057_600_000L))) {
            assertThat(serializer.deserialize(1, serializer.serialize(each))).isEqualTo(each);
        }
    }

    @Test
    void aCheckpointSaysWhenItWasTaken() throws Exception {
        assertThat(new StateIdentity.Hook(identity)
                        .triggerCheckpoint(7, 1_746_057_600_000L, Runnable::run)
                        .get()
                        .takenAt())
                .isEqualTo(1_746_057_600_000L);
    }

    /** The lineage, the topic and the table are those of the state; a new lineage begins where it has none. */
    @Test
    void aJobContinuesWithWhatItsStateBelongsTo() throws Exception {
        StateIdentity saved = new StateIdentity(
                "view-events", identity.fingerprint(), "4f1c", "cluster", "topic", "table", "read-topic", 5);
        assertThat(identity.continuing(saved))
                .isEqualTo(new StateIdentity(
                        "view-events", identity.fingerprint(), "4f1c", "cluster", "topic", "table", "read-topic", 0));

        assertThat(identity.continuing(serializer.deserialize(1, EARLIER))).isEqualTo(identity);
        assertThat(StateIdentity.of("view-events", List.of("userId")).stateId()).isNotEqualTo(identity.stateId());
    }

    @Test
    void whatANewerJobWroteIsRefused() throws Exception {
        byte[] bytes = serializer.serialize(identity);
        assertThatThrownBy(() -> serializer.deserialize(2, bytes))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("version 2")
                .hasMessageContaining("newer job");
    }

    @Test
    void theSameStreamWithTheSameFieldsIsTheSame() {
        assertThatCode(() -> identity.requireSame(StateIdentity.of("view-events", List.of("userId", "sid"))))
                .doesNotThrowAnyException();
    }

    @Test
    void anotherStreamIsRefusedWithBothNames() {
        assertThatThrownBy(() -> identity.requireSame(StateIdentity.of("clicks", identity.fingerprint())))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("'clicks'")
                .hasMessageContaining("'view-events'")
                .hasMessageContaining("of its own");
    }

    @Test
    void otherFieldsAreRefusedWithBothListsAndWhatToDo() {
        assertThatThrownBy(() -> identity.requireSame(StateIdentity.of("view-events", List.of("userId"))))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("over [userId]")
                .hasMessageContaining("says [userId, sid]")
                .hasMessageContaining("--fresh");
    }

    /** The fingerprint is over the values one after the other. */
    @Test
    void theSameFieldsInAnotherOrderAreOtherFields() {
        assertThatThrownBy(() -> identity.requireSame(StateIdentity.of("view-events", List.of("sid", "userId"))))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("over [sid, userId]");
    }
}
