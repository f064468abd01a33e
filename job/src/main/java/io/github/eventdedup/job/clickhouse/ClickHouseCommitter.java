package io.github.eventdedup.job.clickhouse;

import io.github.eventdedup.job.clickhouse.ClickHouseInserter.NotStoredException;
import io.github.eventdedup.job.clickhouse.ClickHouseInserter.Rows;
import io.github.eventdedup.job.clickhouse.table.ClickHouseSchema;
import java.util.Arrays;
import java.util.Collection;
import org.apache.flink.api.connector.sink2.Committer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Inserts batches of completed checkpoints, each as a whole and under its token. A batch that ClickHouse does not store
 * as a whole passes unchanged to {@link ClickHouseSplitter}: a recovery would not remember a part inserted here, and
 * would insert the whole batch. Used by the task thread only.
 */
final class ClickHouseCommitter implements Committer<ClickHouseBatch> {

    private static final Logger LOG = LoggerFactory.getLogger(ClickHouseCommitter.class);

    /**
     * The most partitions that a batch may have to be inserted here. It must not depend on anything that changes: a recovery
     * has to come to the same answer.
     */
    static final int MAX_PARTS = 100;

    /** The most batches that a subtask has for one checkpoint, as {@link ClickHouseWriter} fills them. */
    private static final int BATCHES = 1 + (int) (ClickHouseWriter.MAX_HELD_BYTES / ClickHouseWriter.MAX_BATCH_BYTES);

    private final ClickHouseInserter inserter;
    private final boolean restored;

    /**
     * A committer that inserts by the given inserter.
     *
     * @param restored whether the job continues from a checkpoint or savepoint; batches may be stored then
     */
    ClickHouseCommitter(ClickHouseInserter inserter, boolean restored) {
        this.inserter = inserter;
        this.restored = restored;
    }

    /**
     * Checks that a table remembers everything that a recovery can repeat: the batches here, in at most half of its
     * tokens, and the pieces of {@link ClickHouseSplitter}.
     *
     * @throws IllegalStateException where it does not
     */
    static void requireRoom(ClickHouseSchema schema, int parallelism) {
        long parts = schema.partitionKey().expression().isEmpty() ? 1 : MAX_PARTS;
        long needed = 2L * parallelism * BATCHES * parts;
        if (schema.rememberedParts() < needed) {
            throw new IllegalStateException("The ClickHouse table remembers the newest " + schema.rememberedParts()
                    + " parts. A job of parallelism " + parallelism + " needs " + needed
                    + ", or rows that are inserted again after a failure would be stored twice: raise the table's"
                    + " non_replicated_deduplication_window (replicated_deduplication_window where it is replicated) to "
                    + needed + ", or lower the parallelism.");
        }
    }

    /** Needs one of Flink's retries ({@code sink.committer.retries}): it passes on the rest of a batch. */
    @Override
    public void commit(Collection<CommitRequest<ClickHouseBatch>> requests) throws InterruptedException {
        for (CommitRequest<ClickHouseBatch> request : requests) {
            if (request.getNumberOfRetries() == 0) {
                // Passes on the rest of the batch: the next attempt, which follows at once, has nothing more to do.
                request.updateAndRetryLater(insert(request.getCommittable()));
            }
        }
    }

    private ClickHouseBatch insert(ClickHouseBatch batch) throws InterruptedException {
        if (!batch.reasons().isEmpty()) {
            return batch;
        }
        Rows rows = inserter.rows(batch);
        long parts = Arrays.stream(inserter.partitions(rows.rows())).distinct().count();
        if (parts > MAX_PARTS) {
            return batch;
        }
        try {
            inserter.insert(batch.token(), rows.rows(), restored);
            return batch.inserted(rows.unfit(), rows.reasons());
        } catch (NotStoredException e) {
            LOG.info("{} rows are inserted in pieces: {}", rows.rows().size(), e.getMessage());
            return batch;
        }
    }

    @Override
    public void close() {
        inserter.close();
    }
}
