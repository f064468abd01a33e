package io.github.eventdedup.job;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.Test;

class StateIdentityTest {

    private final StateIdentity identity = new StateIdentity("view-events", List.of("userId", "sid"));
    private final StateIdentity.Serializer serializer = new StateIdentity.Serializer();

    /** In every savepoint there is: these bytes must always be read, and as this. */
    @Test
    void itsBytesAreThoseOfEverySavepoint() throws Exception {
        byte[] bytes = "\0\013view-events\0\0\0\2\0\6userId\0\3sid".getBytes(ISO_8859_1);

        assertThat(serializer.getVersion()).isEqualTo(1);
        assertThat(serializer.serialize(identity)).isEqualTo(bytes);
        assertThat(serializer.deserialize(1, bytes)).isEqualTo(identity);
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
        assertThatCode(() -> identity.requireSame(new StateIdentity("view-events", List.of("userId", "sid"))))
                .doesNotThrowAnyException();
    }

    @Test
    void anotherStreamIsRefusedWithBothNames() {
        assertThatThrownBy(() -> identity.requireSame(new StateIdentity("clicks", identity.fingerprint())))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("'clicks'")
                .hasMessageContaining("'view-events'")
                .hasMessageContaining("of its own");
    }

    @Test
    void otherFieldsAreRefusedWithBothListsAndWhatToDo() {
        assertThatThrownBy(() -> identity.requireSame(new StateIdentity("view-events", List.of("userId"))))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("over [userId]")
                .hasMessageContaining("says [userId, sid]")
                .hasMessageContaining("--fresh");
    }

    /** The fingerprint is over the values one after the other. */
    @Test
    void theSameFieldsInAnotherOrderAreOtherFields() {
        assertThatThrownBy(() -> identity.requireSame(new StateIdentity("view-events", List.of("sid", "userId"))))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("over [sid, userId]");
    }
}
