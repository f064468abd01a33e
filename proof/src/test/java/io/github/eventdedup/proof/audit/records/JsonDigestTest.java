package io.github.eventdedup.proof.audit.records;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class JsonDigestTest {

    private static byte[] canonical(String json) {
        return new JsonDigest().canonical(json.getBytes(UTF_8));
    }

    @Test
    void forgetsWhatJsonbDoesNotKeep() {
        assertThat(canonical("{\"b\": 1.50, \"a\":[true,null,1e2], \"b\":2.50}"))
                .isEqualTo(canonical("{\"a\":[true,null,100],\"b\":2.5}"));
    }

    @Test
    void tellsApartWhatDiffers() {
        assertThat(canonical("{\"a\":1}")).isNotEqualTo(canonical("{\"a\":\"1\"}"));
        assertThat(canonical("{\"a\":[1,2]}")).isNotEqualTo(canonical("{\"a\":[2,1]}"));
        assertThat(canonical("{\"a\":null}")).isNotEqualTo(canonical("{}"));
        assertThat(canonical("{\"a\":\"null\"}")).isNotEqualTo(canonical("{\"a\":null}"));
        assertThat(canonical("[[],1]")).isNotEqualTo(canonical("[[1]]"));
    }
}
