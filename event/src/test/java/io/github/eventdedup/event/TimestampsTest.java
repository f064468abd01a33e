package io.github.eventdedup.event;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.time.temporal.ChronoUnit;
import java.util.Random;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class TimestampsTest {

    @ParameterizedTest
    @CsvSource({
        "2025-05-01T00:00:00.004Z, 2025-05-01T00:00:00.004Z",
        "2025-05-01 00:00:00, 2025-05-01T00:00:00Z",
        "2025-05-01T12:30, 2025-05-01T12:30:00Z",
        "2025-05-01, 2025-05-01T00:00:00Z",
        "2024-02-29, 2024-02-29T00:00:00Z",
        "2025-05-01T00:00:00+03, 2025-04-30T21:00:00Z",
        "2025-05-01T00:00:00+0300, 2025-04-30T21:00:00Z",
        "2025-05-01 00:00:00-03:30, 2025-05-01T03:30:00Z",
        "2025-05-01T00:00-00:00, 2025-05-01T00:00:00Z",
        "2025-05-01T00:00:00.1Z, 2025-05-01T00:00:00.1Z",
        "2025-05-01T00:00:00.123456789012Z, 2025-05-01T00:00:00.123456Z",
        "0001-01-01, 0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.9999999, 9999-12-31T23:59:59.999999Z",
    })
    void readsIso8601(String text, Instant expected) {
        assertThat(Timestamps.parse(text)).isEqualTo(expected);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "now",
                "1762955631",
                "2025",
                "2025-05",
                "2025-5-1",
                "20250501",
                "2025-02-29",
                "2025-13-01",
                "2025-05-01 ",
                "2025-05-01T",
                "2025-05-01T00",
                "2025-05-01  00:00",
                "2025-05-01T24:00:00",
                "2025-05-01T23:59:60Z",
                "2025-05-01T00:00:00.",
                "2025-05-01T00:00:00.Z",
                "2025-05-01T00:00.5",
                "2025-05-01T00:00:00 Z",
                "2025-05-01T00:00:00Zx",
                "2025-05-01T00:00:00+3",
                "2025-05-01T00:00:00+03:",
                "2025-05-01T00:00:00+03:60",
                "2025-05-01T00:00:00+18:01",
                "2025-05-01T00:00:00+25:00",
                "２０２５-05-01",
                "+2025-05-01",
                "-2025-05-01",
                "+12025-05-01",
                "0000-12-31",
                "0001-01-01T00:00:00+01:00",
                "9999-12-31T23:59:59-01:00"
            })
    void refusesWhatIsNoDateTimeOrOutOfRange(String text) {
        assertThat(Timestamps.parse(text)).isNull();
    }

    /** The platform's own formatter is the oracle. */
    @Test
    void readsWhatThePlatformWrites() {
        Random random = new Random(Sample.SEED);
        for (int i = 0; i < 5000; i++) {
            Instant instant = Instant.ofEpochSecond(
                            random.nextLong(-62_135_000_000L, 253_402_000_000L), random.nextInt(1_000_000_000))
                    .truncatedTo(random.nextBoolean() ? ChronoUnit.MINUTES : ChronoUnit.NANOS);
            OffsetDateTime local =
                    instant.atOffset(ZoneOffset.ofTotalSeconds(60 * random.nextInt(-18 * 60, 18 * 60 + 1)));
            String text =
                    random.nextBoolean() ? local.toString() : local.toString().replace('T', ' ');
            assertThat(Timestamps.parse(text))
                    .as("%s, seed %d", text, Sample.SEED)
                    .isEqualTo(instant.truncatedTo(ChronoUnit.MICROS));
        }
    }

    @ParameterizedTest
    @CsvSource({
        "1762955631, 2025-11-12T13:53:51Z",
        "1762955631.0, 2025-11-12T13:53:51Z",
        "1762955631123, 2025-11-12T13:53:51.123Z",
        "1762955631123.4567, 2025-11-12T13:53:51.123456Z",
        "1.762955631e9, 2025-11-12T13:53:51Z",
        "0, 1970-01-01T00:00:00Z",
        "-0, 1970-01-01T00:00:00Z",
        "-1.5, 1969-12-31T23:59:58.5Z",
        "-62135596800, 0001-01-01T00:00:00Z",
        // The last that are seconds, the first that are milliseconds.
        "99999999999, 5138-11-16T09:46:39Z",
        "100000000000, 1973-03-03T09:46:40Z",
        "253402300799999, 9999-12-31T23:59:59.999Z",
    })
    void readsSecondsAndMilliseconds(String number, Instant expected) {
        assertThat(Timestamps.ofEpoch(number)).isEqualTo(expected);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "-62135596801",
                "253402300800000",
                "1e999999999",
                "-1e999999999",
                "1e2147483647",
                "-1e2147483647",
                "1e2147483648",
                "1e99999999999999999999",
                "1e-999999999",
                "1e-2147483647",
                "1e-2147483648",
                "1e-99999999999999999999"
            })
    void refusesNumbersOutOfRangeWithoutExpandingThem(String number) {
        Assertions.assertTimeoutPreemptively(
                Duration.ofMinutes(1),
                () -> assertThat(Timestamps.ofEpoch(number)).isNull());
    }
}
