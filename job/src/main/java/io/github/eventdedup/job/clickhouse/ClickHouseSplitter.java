package io.github.eventdedup.job.clickhouse;

import io.github.eventdedup.event.ReasonCode;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.clickhouse.ClickHouseInserter.NotStoredException;
import io.github.eventdedup.job.clickhouse.ClickHouseInserter.Rows;
import io.github.eventdedup.job.clickhouse.table.ClickHouseErrors;
import io.github.eventdedup.job.clickhouse.table.ClickHouseSchema;
import io.github.eventdedup.job.model.DeadLetter;
import io.github.eventdedup.job.model.IdentifiedEvent;
import io.github.eventdedup.job.pipeline.CheckpointedCounter;
import io.github.eventdedup.job.settings.ClickHouseLogin;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Iterator;
import java.util.List;
import java.util.stream.IntStream;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.runtime.state.StateInitializationContext;
import org.apache.flink.runtime.state.StateSnapshotContext;
import org.apache.flink.streaming.api.connector.sink2.CommittableMessage;
import org.apache.flink.streaming.api.connector.sink2.CommittableWithLineage;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/**
 * Stores the rows of batches that could not be inserted as a whole: in ever smaller pieces, until a row that ClickHouse
 * rejects is alone and becomes a dead letter (docs/adr/0019-clickhouse-pieces.md).
 *
 * <p>Every action here is recorded in a completed checkpoint first. A piece, with its rows and so its token, is part of
 * one before it is first inserted; a row is marked as rejected in one before its dead letter leaves. So a recovery at
 * any time, whatever was fixed meanwhile, finds pieces that it may insert again and rejections that are final.
 *
 * <p>Between two checkpoints it makes no more parts than a share of those that the table remembers.
 */
public final class ClickHouseSplitter extends AbstractStreamOperator<DeadLetter>
        implements OneInputStreamOperator<CommittableMessage<ClickHouseBatch>, DeadLetter> {

    private static final long serialVersionUID = 1L;

    /** Into how many pieces rows are cut where one of them is rejected. */
    private static final int PIECES = 16;

    /**
     * How often a single row may fail with an error of unknown meaning, while others are stored, before it is rejected.
     */
    private static final int ATTEMPTS = 3;

    /** From here on an error of unknown meaning that hits every row is waited for. */
    private static final long MAX_HELD_BYTES = 64 << 20;

    private static final long NOT_YET = Long.MAX_VALUE;

    private final StreamDefinition stream;
    private final ClickHouseLogin login;
    private final ClickHouseSchema schema;
    private final String tableId;

    private transient ClickHouseInserter inserter;
    private transient ListState<byte[]> state;
    private transient List<Piece> pieces;
    private transient CheckpointedCounter refused;
    private transient long stored;
    private transient long maxParts;

    ClickHouseSplitter(StreamDefinition stream, ClickHouseLogin login, ClickHouseSchema schema, String tableId) {
        this.stream = stream;
        this.login = login;
        this.schema = schema;
        this.tableId = tableId;
    }

    /** Rows to be inserted under one token; or, where the batch has reasons, rows that were rejected. */
    private static final class Piece {
        private final ClickHouseBatch batch;
        /** Whether it comes from a checkpoint, and may be in the table. */
        private final boolean restored;
        /** The first checkpoint that holds it. */
        private long heldSince = NOT_YET;

        private int attempts;
        private long storedBefore;

        Piece(ClickHouseBatch batch) {
            this(batch, false);
        }

        Piece(ClickHouseBatch batch, boolean restored) {
            this.batch = batch;
            this.restored = restored;
        }
    }

    @Override
    public void initializeState(StateInitializationContext context) throws Exception {
        super.initializeState(context);
        inserter = new ClickHouseInserter(login, stream, schema, tableId, getMetricGroup());
        refused = new CheckpointedCounter(
                "refused", getMetricGroup().addGroup("stream", stream.stream()), context.getOperatorStateStore());
        state = context.getOperatorStateStore()
                .getListState(
                        new ListStateDescriptor<>("pieces", PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO));
        pieces = new ArrayList<>();
        ClickHouseBatch.Serializer serializer = new ClickHouseBatch.Serializer();
        for (byte[] bytes : state.get()) {
            pieces.add(new Piece(serializer.deserialize(serializer.getVersion(), bytes), true));
        }
        int parallelism = getRuntimeContext().getTaskInfo().getNumberOfParallelSubtasks();
        maxParts = Math.max(1, schema.rememberedParts() / (4L * parallelism));
    }

    @Override
    public void processElement(StreamRecord<CommittableMessage<ClickHouseBatch>> record) throws Exception {
        if (record.getValue() instanceof CommittableWithLineage<ClickHouseBatch> left) {
            ClickHouseBatch batch = left.getCommittable();
            if (!batch.reasons().isEmpty()) {
                pieces.add(new Piece(batch));
            } else if (batch.events().length == 0) {
                stored++;
            } else {
                cut(batch, inserter.rows(batch));
            }
        }
    }

    @Override
    public void snapshotState(StateSnapshotContext context) throws Exception {
        super.snapshotState(context);
        ClickHouseBatch.Serializer serializer = new ClickHouseBatch.Serializer();
        List<byte[]> written = new ArrayList<>();
        for (Piece piece : pieces) {
            piece.heldSince = Math.min(piece.heldSince, context.getCheckpointId());
            written.add(serializer.serialize(piece.batch));
        }
        state.update(written);
        refused.snapshot();
    }

    @Override
    public void notifyCheckpointComplete(long checkpoint) throws Exception {
        super.notifyCheckpointComplete(checkpoint);
        long room = maxParts;
        List<Piece> held = new ArrayList<>(pieces);
        held.removeIf(piece -> piece.heldSince > checkpoint);
        for (Piece piece : held) {
            if (!piece.batch.reasons().isEmpty()) {
                emit(piece.batch);
                pieces.remove(piece);
                continue;
            }
            Rows rows = inserter.rows(piece.batch);
            long parts = parts(inserter.partitions(rows.rows()));
            if (parts > room) {
                if (parts > maxParts) {
                    // The parallelism was raised, or the table remembers less than before.
                    pieces.remove(piece);
                    cut(piece.batch, rows);
                }
                continue;
            }
            room -= parts;
            insert(piece, rows, parts);
        }
    }

    private void insert(Piece piece, Rows rows, long parts) throws InterruptedException {
        while (true) {
            try {
                inserter.insert(piece.batch.token(), rows.rows(), piece.restored || piece.attempts > 0);
                stored++;
                pieces.remove(piece);
                reject(piece.batch, rows.unfit(), rows.reasons());
                return;
            } catch (NotStoredException e) {
                boolean unknown = e.kind() == ClickHouseErrors.UNKNOWN;
                boolean single = rows.rows().size() == 1;
                if (unknown && (single || parts > 1)) {
                    // Of several partitions some may have been stored: the same again is right, another cut is not.
                    if (piece.attempts++ == 0) {
                        piece.storedBefore = stored;
                    }
                    boolean othersAreStored = stored > piece.storedBefore;
                    if (piece.attempts < ATTEMPTS || !othersAreStored) {
                        if (othersAreStored || heldBytes() < MAX_HELD_BYTES) {
                            return;
                        }
                        inserter.pause("no rows are stored, correct the table: " + e.getMessage());
                        continue;
                    }
                }
                pieces.remove(piece);
                if (single) {
                    reject(piece.batch, rows.unfit(), rows.reasons());
                    reject(piece.batch, rows.events(), List.of(e.getMessage()));
                } else {
                    cut(piece.batch, rows);
                }
                return;
            }
        }
    }

    private long heldBytes() {
        return pieces.stream().mapToLong(piece -> piece.batch.events().length).sum();
    }

    private void reject(ClickHouseBatch batch, List<IdentifiedEvent> events, List<String> reasons) {
        if (!events.isEmpty()) {
            pieces.add(new Piece(batch.inserted(events, reasons)));
        }
    }

    /** Cuts rows into pieces: rows of one partition together, and in each no more partitions than may be inserted at once. */
    private void cut(ClickHouseBatch batch, Rows rows) throws InterruptedException {
        reject(batch, rows.unfit(), rows.reasons());
        int size = rows.rows().size();
        int most = (size + PIECES - 1) / PIECES;
        long[] partitions = inserter.partitions(rows.rows());
        List<IdentifiedEvent> piece = new ArrayList<>();
        long partition = 0;
        int parts = 0;
        for (int index : IntStream.range(0, size)
                .boxed()
                .sorted(Comparator.comparingLong(i -> partitions[i]))
                .mapToInt(Integer::intValue)
                .toArray()) {
            boolean another = piece.isEmpty() || partitions[index] != partition;
            if (piece.size() == most || (another && parts == Math.min(maxParts, ClickHouseCommitter.MAX_PARTS))) {
                pieces.add(new Piece(ClickHouseBatch.of(batch.header(), piece)));
                piece = new ArrayList<>();
                parts = 0;
                another = true;
            }
            parts += another ? 1 : 0;
            partition = partitions[index];
            piece.add(rows.events().get(index));
        }
        if (!piece.isEmpty()) {
            pieces.add(new Piece(ClickHouseBatch.of(batch.header(), piece)));
        }
    }

    private static long parts(long[] partitions) {
        return Arrays.stream(partitions).distinct().count();
    }

    private void emit(ClickHouseBatch rejected) {
        Iterator<String> reasons = rejected.reasons().iterator();
        for (IdentifiedEvent event : rejected.read()) {
            refused.increment();
            output.collect(new StreamRecord<>(DeadLetter.rejected(
                    event,
                    ReasonCode.REJECTED_BY_CLICKHOUSE,
                    ReasonCode.REJECTED_BY_CLICKHOUSE.rejection() + ": " + reasons.next())));
        }
    }

    @Override
    public void close() throws Exception {
        if (inserter != null) {
            inserter.close();
        }
        super.close();
    }
}
