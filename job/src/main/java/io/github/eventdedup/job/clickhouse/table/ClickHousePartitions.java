package io.github.eventdedup.job.clickhouse.table;

import io.github.eventdedup.job.clickhouse.table.ClickHouseExternalRows.Answer;
import io.github.eventdedup.job.settings.ClickHouseLogin;
import java.io.IOException;
import java.io.Serializable;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;

/**
 * Which partitions rows belong to. An insert makes a part for each of them, and the table remembers so many parts only; so
 * it has to be known before. ClickHouse evaluates the table's partition key itself.
 *
 * <p>Not thread-safe.
 */
public final class ClickHousePartitions {

    private final Key key;
    private final ClickHouseExternalRows external;

    /**
     * How the partition of a row is known.
     *
     * @param expression the table's partition key; empty where it has one partition
     * @param computable whether the columns that are filled are enough to compute it
     */
    public record Key(String expression, boolean computable) implements Serializable {

        private static final long serialVersionUID = 1L;
    }

    public ClickHousePartitions(ClickHouseLogin login, ClickHouseSchema schema) {
        this(login, schema.partitionKey(), schema.format());
    }

    private ClickHousePartitions(ClickHouseLogin login, Key key, ClickHouseRowFormat format) {
        this.key = key;
        external = new ClickHouseExternalRows(login, format);
    }

    /**
     * Looks whether the filled columns are enough to compute the key.
     *
     * @throws IOException where ClickHouse does not answer
     */
    static Key keyOf(ClickHouseLogin login, String expression, ClickHouseRowFormat format)
            throws IOException, InterruptedException {
        if (expression.isEmpty()) {
            return new Key("", true);
        }
        Answer answer = new ClickHousePartitions(login, new Key(expression, true), format).ask(List.of());
        if (answer.status() >= 500 && answer.code() == 0) {
            throw new IOException(answer.message());
        }
        return new Key(expression, answer.isOk());
    }

    /**
     * A number for each row, the same for rows of one partition. Where the key cannot be computed, each row has its own.
     *
     * @throws IOException where ClickHouse does not answer, or not as expected
     */
    public long[] of(List<byte[]> rows) throws IOException, InterruptedException {
        long[] partitions = new long[rows.size()];
        if (key.expression.isEmpty()) {
            return partitions;
        }
        if (key.computable) {
            fill(partitions, rows, 0, rows.size());
        } else {
            for (int i = 0; i < partitions.length; i++) {
                partitions[i] = i;
            }
        }
        return partitions;
    }

    private void fill(long[] partitions, List<byte[]> rows, int from, int to) throws IOException, InterruptedException {
        Answer answer = ask(rows.subList(from, to));
        if (answer.isTooLarge()) {
            if (to - from > 1) {
                int middle = (from + to) / 2;
                fill(partitions, rows, from, middle);
                fill(partitions, rows, middle, to);
            }
            // A single row that is too large to query is too large to insert: any partition will do.
            return;
        }
        if (!answer.isOk() || answer.body().length != Long.BYTES * (to - from)) {
            throw new IOException(answer.message());
        }
        ByteBuffer.wrap(answer.body())
                .order(ByteOrder.LITTLE_ENDIAN)
                .asLongBuffer()
                .get(partitions, from, to - from);
    }

    private Answer ask(List<byte[]> rows) throws IOException, InterruptedException {
        return external.ask(
                "SELECT cityHash64(" + key.expression + ") FROM _rows SETTINGS max_threads = 1 FORMAT RowBinary", rows);
    }
}
