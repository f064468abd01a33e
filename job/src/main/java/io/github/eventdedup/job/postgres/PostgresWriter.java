package io.github.eventdedup.job.postgres;

import io.github.eventdedup.event.Fingerprint;
import io.github.eventdedup.event.PostgresTable;
import io.github.eventdedup.event.ReasonCode;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.model.DeadLetter;
import io.github.eventdedup.job.model.IdentifiedEvent;
import io.github.eventdedup.job.settings.PostgresLogin;
import java.io.IOException;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ScheduledFuture;
import org.apache.flink.api.common.operators.ProcessingTimeService;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.StatefulSinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.SimpleCounter;

/**
 * Gathers events into batches and stores them ({@link PostgresStore}). Events that Postgres rejects become dead
 * letters. While Postgres accepts no rows, the writer waits: the job shows backpressure, and Kafka keeps new events.
 * Used by the task thread only.
 */
final class PostgresWriter implements StatefulSinkWriter<IdentifiedEvent, PostgresSink.Counts> {

    /** Larger batches no longer lower the cost of a row. */
    private static final int MAX_BATCH_EVENTS = 1000;

    private static final int MAX_BATCH_BYTES = 4 << 20;

    /** How long an event waits for others. It adds to the time from POST to row, and to nothing under load. */
    private static final long LINGER_MILLIS = 50;

    private final PostgresStore postgres;
    private final SinkWriter<DeadLetter> deadLetters;
    private final ProcessingTimeService clock;
    private final Counter refused = new SimpleCounter();
    private final Counter escapes = new SimpleCounter();

    private final List<IdentifiedEvent> batch = new ArrayList<>(MAX_BATCH_EVENTS);
    private final Set<Fingerprint> fingerprints = new HashSet<>(2 * MAX_BATCH_EVENTS);
    private long batchBytes;
    private ScheduledFuture<?> timer;

    PostgresWriter(
            StreamDefinition stream,
            PostgresLogin login,
            SinkWriter<DeadLetter> deadLetters,
            WriterInitContext context,
            PostgresSink.Counts counts) {
        postgres = new PostgresStore(
                stream.stream(),
                new PostgresBatchStore(login, (PostgresTable) stream.table(), stream.window()),
                this::reject,
                MAX_BATCH_EVENTS,
                PostgresStore.Patience.DEFAULT);
        this.deadLetters = deadLetters;
        clock = context.getProcessingTimeService();
        refused.inc(counts.refused());
        escapes.inc(counts.escapes());
        MetricGroup metrics = context.metricGroup().addGroup("stream", stream.stream());
        metrics.counter("refused", refused);
        metrics.counter("escapes", escapes);
        metrics.gauge("waiting", () -> postgres.isWaiting() ? 1 : 0);
    }

    @Override
    public void write(IdentifiedEvent event, Context context) throws IOException, InterruptedException {
        if (!fingerprints.add(event.fingerprint())) {
            // Two equal events, a window apart, close together because the job is catching up: an upsert cannot meet
            // the same row twice in one statement.
            storeBatch();
            fingerprints.add(event.fingerprint());
        }
        batch.add(event);
        batchBytes += event.source().value().length;
        if (batch.size() >= MAX_BATCH_EVENTS || batchBytes >= MAX_BATCH_BYTES) {
            storeBatch();
        } else if (timer == null) {
            timer = clock.registerTimer(clock.getCurrentProcessingTime() + LINGER_MILLIS, this::onTimer);
        }
    }

    private void onTimer(long time) throws IOException, InterruptedException {
        timer = null;
        storeBatch();
    }

    /** Called before every checkpoint: every event up to the checkpoint is in the database, or a dead letter. */
    @Override
    public void flush(boolean endOfInput) throws IOException, InterruptedException {
        storeBatch();
        deadLetters.flush(endOfInput);
    }

    @Override
    public List<PostgresSink.Counts> snapshotState(long checkpointId) {
        return List.of(new PostgresSink.Counts(refused.getCount(), escapes.getCount()));
    }

    private void storeBatch() throws IOException, InterruptedException {
        if (!batch.isEmpty()) {
            escapes.inc(postgres.store(batch));
            batch.clear();
            fingerprints.clear();
            batchBytes = 0;
        }
    }

    private void reject(IdentifiedEvent event, SQLException reason) throws IOException, InterruptedException {
        refused.inc();
        deadLetters.write(
                DeadLetter.rejected(
                        event,
                        ReasonCode.REJECTED_BY_POSTGRES,
                        ReasonCode.REJECTED_BY_POSTGRES.rejection() + ": " + SqlErrors.reason(reason)),
                new RecordTime(event.source().timestamp(), Long.MIN_VALUE));
    }

    /** The context of an element, for a dead letter that is written without one. */
    private record RecordTime(Long timestamp, long currentWatermark) implements SinkWriter.Context {}

    @Override
    public void close() throws Exception {
        try (deadLetters) {
            postgres.close();
        }
    }
}
