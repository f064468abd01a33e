package io.github.eventdedup.event;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.Test;

class FingerprintTest {

    private static final String HEX = "2f4f2aef652115f38caac5290dcbcb51e54cc60152ad7fb5648e1294387aed04";

    private final FingerprintFunction viewEvents = new FingerprintFunction("view-events");

    /** The vectors of the contract: other programs compute the same. */
    @Test
    void vectors() {
        assertThat(viewEvents.apply(List.of("u1", "1810111", "watch", "2025-05-01T00:00:00.004Z", "3423943363")))
                .hasToString(HEX);
        assertThat(viewEvents.apply(List.of("ю", "", "a:b", "2025-05-01 00:00:00", "-0")))
                .hasToString("ec05133e239fcee7980990b166d1f9a71345bb97fcfb90230eaa6cfc41cbf4f0");
        assertThat(new FingerprintFunction("user-logins").apply(List.of("621")))
                .hasToString("5c88813dedf461f6a70c1aa82fc81ed46fccd58c4dbfd44de5cb6aefa388b462");
    }

    /** The vectors are short; here every byte of a length counts. */
    @Test
    void hashesLengthsOfFourBytes() throws Exception {
        String text = "é".repeat(0x00812345);
        ByteArrayOutputStream hashed = new ByteArrayOutputStream();
        for (String part : List.of("view-events", text)) {
            byte[] utf8 = part.getBytes(StandardCharsets.UTF_8);
            hashed.writeBytes(ByteBuffer.allocate(4).putInt(utf8.length).array());
            hashed.writeBytes(utf8);
        }
        assertThat(viewEvents.apply(List.of(text)).bytes())
                .isEqualTo(MessageDigest.getInstance("SHA-256").digest(hashed.toByteArray()));
    }

    @Test
    void differsWhereACharacterMovesToTheNextField() {
        assertThat(viewEvents.apply(List.of("ab", "c")))
                .isNotEqualTo(viewEvents.apply(List.of("a", "bc")))
                .isNotEqualTo(viewEvents.apply(List.of("abc", "")))
                .isNotEqualTo(viewEvents.apply(List.of("c", "ab")));
    }

    @Test
    void differsBetweenStreams() {
        assertThat(new FingerprintFunction("a").apply(List.of("1")))
                .isNotEqualTo(new FingerprintFunction("b").apply(List.of("1")));
    }

    @Test
    void isTheSameFromItsBytesAndFromItsNumbers() {
        byte[] bytes = HexFormat.of().parseHex(HEX);
        Fingerprint fingerprint = Fingerprint.of(bytes);
        assertThat(fingerprint).hasToString(HEX);
        assertThat(fingerprint.bytes()).isEqualTo(bytes);
        assertThat(new Fingerprint(
                        fingerprint.first(), fingerprint.second(), fingerprint.third(), fingerprint.fourth()))
                .isEqualTo(fingerprint);
        for (int i = 0; i < bytes.length; i++) {
            byte[] other = bytes.clone();
            other[i] ^= 1;
            assertThat(Fingerprint.of(other)).as("byte %d changed", i).isNotEqualTo(fingerprint);
        }
    }

    /** Savepoints depend on it. */
    @Test
    void hashesToItsFirstFourBytes() {
        assertThat(Fingerprint.of(HexFormat.of().parseHex(HEX)).hashCode()).isEqualTo(0x2f4f2aef);
    }

    @Test
    void cannotBeChangedThroughItsBytes() {
        byte[] bytes = HexFormat.of().parseHex(HEX);
        Fingerprint fingerprint = Fingerprint.of(bytes);
        bytes[0]++;
        fingerprint.bytes()[1]++;
        assertThat(fingerprint).hasToString(HEX);
    }

    @Test
    void has32Bytes() {
        assertThatThrownBy(() -> Fingerprint.of(new byte[31]))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("a fingerprint has 32 bytes, not 31");
    }
}
