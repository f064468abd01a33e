package io.github.eventdedup.proof.load;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.Fingerprint;
import io.github.eventdedup.event.InvalidEventException;
import io.github.eventdedup.event.StreamDefinition;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;

final class ViewEventsTest {

    private final EventReader reader;

    ViewEventsTest() throws Exception {
        reader = new EventReader(StreamDefinition.read(Path.of("../streams/view-events.yaml")));
    }

    @Test
    void everyEventHasTheFieldsOfARealOneAndIsValid() throws Exception {
        ViewEvents events = new ViewEvents(7);
        for (int event = 0; event < 1000; event++) {
            byte[] bytes = bytes(events, event);
            JsonNode json = new ObjectMapper().readTree(bytes);

            assertThat(json.size()).isEqualTo(137);
            assertThat(json.path("sid").asText()).hasSize(10);
            assertThat(bytes.length).isBetween(3000, 4000);
            assertThat(reader.read(bytes).fingerprint()).isNotNull();
        }
    }

    @Test
    void sameSeedSameBytes() {
        for (int event = 0; event < 100; event++) {
            assertThat(bytes(new ViewEvents(-5), event)).isEqualTo(bytes(new ViewEvents(-5), event));
        }
    }

    @Test
    void noTwoEventsOfAnySeedHaveTheSameFingerprint() throws Exception {
        Set<Fingerprint> fingerprints = new HashSet<>();
        for (long seed : new long[] {0, 1, 2, Long.MAX_VALUE}) {
            ViewEvents events = new ViewEvents(seed);
            for (int event = 0; event < 5000; event++) {
                fingerprints.add(reader.read(bytes(events, event)).fingerprint());
            }
        }

        assertThat(fingerprints).hasSize(20_000);
    }

    @Test
    void whatIsNoEventIsRefused() {
        ViewEvents events = new ViewEvents(7);
        byte[] target = new byte[events.longest()];
        Set<String> reasons = new HashSet<>();
        for (int number = 0; number < 10 * ViewEvents.INVALID_KINDS; number++) {
            byte[] bytes = Arrays.copyOf(target, events.writeInvalid(number, target, 0));
            System.arraycopy(target, 0, bytes, 0, bytes.length);

            assertThat(new String(bytes, UTF_8)).doesNotContain("\n").doesNotStartWith("[");
            assertThatExceptionOfType(InvalidEventException.class)
                    .isThrownBy(() -> reader.read(bytes))
                    .satisfies(e -> reasons.add(e.getMessage().replaceAll("\\d+", "n")));
        }

        assertThat(reasons)
                .hasSizeGreaterThanOrEqualTo(ViewEvents.INVALID_KINDS)
                .anyMatch(reason -> reason.contains("sid"))
                .anyMatch(reason -> reason.contains("U+n "));
    }

    private static byte[] bytes(ViewEvents events, long event) {
        byte[] target = new byte[events.longest()];
        return Arrays.copyOf(target, events.write(event, target, 0));
    }
}
