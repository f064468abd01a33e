package io.github.eventdedup.job.launch;

import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.event.ClickHouseTable;
import io.github.eventdedup.event.PostgresTable;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.clickhouse.ClickHouseSink;
import io.github.eventdedup.job.clickhouse.table.ClickHouseErrors;
import io.github.eventdedup.job.clickhouse.table.ClickHouseSchema;
import io.github.eventdedup.job.model.DeadLetter;
import io.github.eventdedup.job.model.IdentifiedEvent;
import io.github.eventdedup.job.model.RowFormat;
import io.github.eventdedup.job.pipeline.StateIdentity;
import io.github.eventdedup.job.postgres.PostgresRowFormat;
import io.github.eventdedup.job.postgres.PostgresSink;
import io.github.eventdedup.job.settings.ClickHouseLogin;
import io.github.eventdedup.job.settings.Endpoints;
import org.apache.flink.api.connector.sink2.Sink;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Where unique events are stored.
 *
 * @param format in which rows are handed over
 * @param sink takes events whose columns are encoded in that format
 */
public record StreamSink(RowFormat format, Sink<IdentifiedEvent> sink) {

    private static final Logger LOG = LoggerFactory.getLogger(StreamSink.class);

    private static final long BACKOFF_MILLIS = 5_000;

    /**
     * The store that the stream's definition names.
     *
     * @param identity of the job's state
     * @param deadLetters takes what the database refuses
     * @throws InterruptedException while waiting for ClickHouse, which is asked for the types of its columns
     */
    public static StreamSink of(
            StreamDefinition stream, StateIdentity identity, Endpoints endpoints, Sink<DeadLetter> deadLetters)
            throws ConfigurationException, InterruptedException {
        if (stream.table() instanceof ClickHouseTable table) {
            ClickHouseSchema schema = schema(endpoints.clickHouse(), table);
            if (!schema.findings().isEmpty()) {
                throw new ConfigurationException(schema.findings());
            }
            return new StreamSink(
                    schema.format(),
                    new ClickHouseSink(stream, endpoints.clickHouse(), schema, identity.tableId(), deadLetters));
        }
        PostgresTable table = (PostgresTable) stream.table();
        return new StreamSink(
                new PostgresRowFormat(table.columns()), new PostgresSink(stream, endpoints.postgres(), deadLetters));
    }

    /** Waits while ClickHouse is unavailable, as it may be when a job is recovered. */
    private static ClickHouseSchema schema(ClickHouseLogin login, ClickHouseTable table) throws InterruptedException {
        while (true) {
            try {
                return ClickHouseSchema.of(login, table);
            } catch (RuntimeException e) {
                if (!ClickHouseErrors.isOutage(e)) {
                    throw e;
                }
                LOG.warn("ClickHouse unavailable, retrying: {}", ClickHouseErrors.reason(e));
                Thread.sleep(BACKOFF_MILLIS);
            }
        }
    }
}
