package io.github.eventdedup.proof.audit.tables;

import static org.assertj.core.api.Assertions.assertThat;

import java.math.BigInteger;
import java.time.Instant;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** What the audit expects of each value is what Postgres writes, whatever the value. */
class PostgresRowsTest {

    private static final Instant FIRST = Instant.parse("0001-01-01T00:00:00Z");
    private static final Instant LAST = Instant.parse("9999-12-31T23:59:59.999999999Z");

    @Test
    void timesAreExactOverAllTheirYears() {
        long seed = Long.getLong("dedup.test.seed", System.nanoTime());
        System.out.println("seed " + seed);
        SplittableRandom random = new SplittableRandom(seed);
        for (Instant edge : List.of(
                FIRST,
                LAST,
                Instant.EPOCH,
                Instant.EPOCH.minusNanos(1),
                Instant.parse("1677-09-21T00:12:43.145224192Z"),
                Instant.parse("2262-04-11T23:47:16.854775807Z"),
                Instant.parse("2262-04-11T23:47:16.854775808Z"))) {
            assertExact(edge);
        }
        for (int i = 0; i < 100_000; i++) {
            long second = random.nextLong(FIRST.getEpochSecond(), LAST.getEpochSecond() + 1);
            assertExact(Instant.ofEpochSecond(second, random.nextInt(1_000_000_000)));
        }
    }

    private static void assertExact(Instant time) {
        BigInteger nanos = BigInteger.valueOf(time.getEpochSecond())
                .multiply(BigInteger.valueOf(1_000_000_000))
                .add(BigInteger.valueOf(time.getNano()));
        BigInteger micros = nanos.subtract(nanos.mod(BigInteger.valueOf(1000))).divide(BigInteger.valueOf(1000));
        assertThat(PostgresRows.text(time)).as(time.toString()).isEqualTo(micros.toString());
    }

    @Test
    void numbersAreTheirBits() {
        assertThat(PostgresRows.text(-0.0)).isEqualTo("8000000000000000");
        assertThat(PostgresRows.text(Double.MIN_VALUE)).isEqualTo("0000000000000001");
        assertThat(PostgresRows.text(Double.MAX_VALUE)).isEqualTo("7fefffffffffffff");
        assertThat(PostgresRows.text(Long.MIN_VALUE)).isEqualTo("-9223372036854775808");
        assertThat(PostgresRows.text("")).isEmpty();
        assertThat(PostgresRows.text(null)).isNull();
    }
}
