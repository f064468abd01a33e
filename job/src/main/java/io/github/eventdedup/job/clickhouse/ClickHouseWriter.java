package io.github.eventdedup.job.clickhouse;

import io.github.eventdedup.job.model.IdentifiedEvent;
import io.github.eventdedup.job.model.IdentifiedEventSerializer;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import org.apache.flink.api.connector.sink2.CommittingSinkWriter;
import org.apache.flink.core.memory.DataOutputSerializer;

/**
 * Gathers rows until the next checkpoint, which they become part of; only then are they inserted. In memory until then: at
 * most {@link #MAX_HELD_BYTES}, and what arrives at a trickle beyond it. Used by the task thread only.
 */
final class ClickHouseWriter implements CommittingSinkWriter<IdentifiedEvent, ClickHouseBatch> {

    /** Larger inserts no longer lower the cost of a row. */
    static final int MAX_BATCH_BYTES = 8 << 20;

    /** Around 170,000 logins, each with what a dead letter of it would need. Checkpoints copy it, so the heap needs thrice this. */
    static final long MAX_HELD_BYTES = 32 << 20;

    /** What a full writer still accepts: the barrier of the checkpoint that empties it is behind these rows. */
    private static final int TRICKLE_BYTES_PER_MILLI = 1024;

    private final byte[] header;
    private final DataOutputSerializer open = new DataOutputSerializer(64 << 10);
    private final List<ClickHouseBatch> closed = new ArrayList<>();
    private long heldBytes;

    ClickHouseWriter(byte[] header) {
        this.header = header;
    }

    @Override
    public void write(IdentifiedEvent event, Context context) throws IOException, InterruptedException {
        int before = open.length();
        IdentifiedEventSerializer.INSTANCE.serialize(event, open);
        int bytes = open.length() - before;
        heldBytes += bytes;
        if (open.length() >= MAX_BATCH_BYTES) {
            closeBatch();
        }
        if (heldBytes > MAX_HELD_BYTES) {
            Thread.sleep(1 + bytes / TRICKLE_BYTES_PER_MILLI);
        }
    }

    /** Nothing to do: rows leave with the checkpoint, by {@link #prepareCommit}. */
    @Override
    public void flush(boolean endOfInput) {}

    @Override
    public Collection<ClickHouseBatch> prepareCommit() {
        closeBatch();
        List<ClickHouseBatch> batches = List.copyOf(closed);
        closed.clear();
        heldBytes = 0;
        return batches;
    }

    private void closeBatch() {
        if (open.length() > 0) {
            closed.add(new ClickHouseBatch(header, open.getCopyOfBuffer(), List.of()));
            open.clear();
        }
    }

    @Override
    public void close() {}
}
