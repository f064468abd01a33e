package io.github.eventdedup.job.clickhouse;

import com.clickhouse.client.api.Client;
import com.clickhouse.client.api.insert.InsertResponse;
import com.clickhouse.client.api.insert.InsertSettings;
import com.clickhouse.data.ClickHouseFormat;
import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.InvalidEventException;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.clickhouse.table.ClickHouseErrors;
import io.github.eventdedup.job.clickhouse.table.ClickHousePartitions;
import io.github.eventdedup.job.clickhouse.table.ClickHouseRowFormat;
import io.github.eventdedup.job.clickhouse.table.ClickHouseSchema;
import io.github.eventdedup.job.clickhouse.table.ClickHouseStoredRows;
import io.github.eventdedup.job.clickhouse.table.ClickHouseTableId;
import io.github.eventdedup.job.model.IdentifiedEvent;
import io.github.eventdedup.job.settings.ClickHouseLogin;
import java.io.IOException;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import org.apache.flink.metrics.MetricGroup;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Inserts a batch under its token, so that the same batch may be inserted any number of times. Waits for as long as
 * ClickHouse is unavailable or misconfigured; meanwhile the job shows backpressure, and Kafka keeps new events. Used by
 * the task thread only.
 */
final class ClickHouseInserter implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(ClickHouseInserter.class);

    /** What the server or the user's profile may have otherwise. */
    private static final Map<String, String> SETTINGS = Map.ofEntries(
            Map.entry("insert_deduplicate", "1"),
            // A batch that the table recognises is kept from its views too, where their tables remember tokens.
            Map.entry("deduplicate_blocks_in_dependent_materialized_views", "1"),
            Map.entry("async_insert", "0"),
            // Answered once it is done, so that the status is that of the insert.
            Map.entry("wait_end_of_query", "1"),
            // One block, whose rows of one partition are stored together or not at all: more than any batch has.
            Map.entry("max_insert_block_size", "1048576"),
            Map.entry("min_insert_block_size_rows", "1048576"),
            Map.entry("min_insert_block_size_bytes", "268435456"),
            // How many partitions there may be is decided here.
            Map.entry("max_partitions_per_insert_block", "0"),
            // An altered table must reject the rows, not ignore unknown columns.
            Map.entry("input_format_skip_unknown_fields", "0"),
            Map.entry("input_format_with_names_use_header", "1"),
            Map.entry("input_format_with_types_use_header", "1"));

    private final ClickHouseLogin login;
    private final String table;
    private final ClickHouseRowFormat format;
    private final byte[] header;
    private final EventReader reader;
    private final ClickHousePartitions partitions;
    private final ClickHouseStoredRows storedRows;
    private final DatabaseWait wait;
    private final String tableId;
    private final long rememberedParts;
    private Client client;

    /**
     * An inserter into the stream's table.
     *
     * @param schema the table's current schema; batches from before an ALTER may have another
     * @param tableId of the table that the job's state belongs to ({@link ClickHouseTableId}); null where it is unknown
     */
    ClickHouseInserter(
            ClickHouseLogin login,
            StreamDefinition stream,
            ClickHouseSchema schema,
            String tableId,
            MetricGroup metrics) {
        this.tableId = tableId;
        rememberedParts = schema.rememberedParts();
        this.login = login;
        this.table = stream.table().name();
        this.format = schema.format();
        header = format.header();
        reader = new EventReader(stream, format.columns());
        partitions = new ClickHousePartitions(login, schema);
        storedRows = new ClickHouseStoredRows(login, table, format);
        wait = new DatabaseWait("ClickHouse", metrics.addGroup("stream", stream.stream()), LOG);
    }

    /**
     * The rows of a batch in the table's current format.
     *
     * @param events those that have a row
     * @param rows theirs, in the same order
     * @param unfit events from before the table was altered that no longer fit it
     * @param reasons why, one for each of those
     */
    record Rows(List<IdentifiedEvent> events, List<byte[]> rows, List<IdentifiedEvent> unfit, List<String> reasons) {}

    /** What a batch could not be stored for. Nothing of it is in the table. */
    static final class NotStoredException extends Exception {

        private static final long serialVersionUID = 1L;

        private final ClickHouseErrors kind;

        NotStoredException(ClickHouseErrors kind, String reason) {
            super(reason, null, false, false);
            this.kind = kind;
        }

        ClickHouseErrors kind() {
            return kind;
        }
    }

    /** The rows as they are in the batch, or encoded again where the table was altered since; the token stays. */
    Rows rows(ClickHouseBatch batch) {
        List<IdentifiedEvent> events = batch.read();
        if (Arrays.equals(batch.header(), header)) {
            return new Rows(
                    events, events.stream().map(IdentifiedEvent::columns).toList(), List.of(), List.of());
        }
        Rows rows = new Rows(new ArrayList<>(), new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
        for (IdentifiedEvent event : events) {
            try {
                rows.rows.add(format.encode(reader.read(event.source().value()).columns()));
                rows.events.add(event);
            } catch (InvalidEventException e) {
                rows.unfit.add(event);
                rows.reasons.add("the event " + e.getMessage());
            }
        }
        return rows;
    }

    /** The partition of the table that each row belongs to, as a number that is the same for rows of the same one. */
    long[] partitions(List<byte[]> rows) throws InterruptedException {
        while (true) {
            try {
                return partitions.of(rows);
            } catch (IOException e) {
                // Guessing would cut a batch in another way than before, under other tokens.
                wait.pause("cannot query the partitions of rows: " + e.getMessage());
            }
        }
    }

    /**
     * Inserts rows under a token.
     *
     * @param mayBeStored whether they may have been inserted before
     * @throws NotStoredException where ClickHouse rejects them as they are
     */
    void insert(String token, List<byte[]> rows, boolean mayBeStored) throws NotStoredException, InterruptedException {
        boolean triedBefore = mayBeStored;
        while (!rows.isEmpty()) {
            if (Thread.interrupted()) {
                // Inserts do not notice an interrupt: a cancelled job would continue with its remaining pieces.
                throw new InterruptedException("the task was cancelled");
            }
            try {
                Optional<String> obstacle = obstacle();
                if (obstacle.isPresent()) {
                    wait.pause("cannot insert rows, the table " + table + " " + obstacle.get());
                    continue;
                }
                tryInsert(token, rows);
                break;
            } catch (RuntimeException e) {
                ClickHouseErrors kind = ClickHouseErrors.of(e);
                switch (kind) {
                    case OUTAGE -> wait.pause("unavailable: " + ClickHouseErrors.reason(e));
                    case CONFIGURATION ->
                        wait.pause("cannot store any row, correct the table, its views or the user: "
                                + ClickHouseErrors.reason(e));
                    case ROW, TOO_MUCH, UNKNOWN -> {
                        if (triedBefore && areStored(rows)) {
                            LOG.info(
                                    "{} rows are in the table from before the last failure; now they would be rejected: {}",
                                    rows.size(),
                                    ClickHouseErrors.reason(e));
                            wait.over();
                            return;
                        }
                        throw new NotStoredException(kind, ClickHouseErrors.reason(e));
                    }
                }
                triedBefore = true;
            }
        }
        wait.over();
    }

    private boolean areStored(List<byte[]> rows) throws InterruptedException {
        while (true) {
            try {
                return storedRows.hasAll(rows);
            } catch (IOException e) {
                wait.pause("cannot query which rows are stored already: " + e.getMessage());
            }
        }
    }

    /** Waits a while because no row at all is stored. */
    void pause(String reason) throws InterruptedException {
        wait.pause(reason);
    }

    /**
     * Checked before each insert: a table that was exchanged or altered under a running job may not recognise earlier
     * inserts.
     */
    private Optional<String> obstacle() {
        if (client == null) {
            client = login.connect();
        }
        String live = tableId == null ? null : ClickHouseTableId.of(client, login, table);
        if (live != null && !live.equals(tableId)) {
            return Optional.of("was exchanged or created again: give the table with the id " + tableId
                    + " its name back (docs/operations.md, Replace a ClickHouse table)");
        }
        long remembered = ClickHouseSchema.rememberedParts(client, login, table);
        if (remembered >= 0 && remembered < rememberedParts) {
            return Optional.of("remembers " + remembered + " parts, and remembered " + rememberedParts
                    + " when the job was started: rows that are sent again after a failure could be stored twice. Set its"
                    + " deduplication window back to " + rememberedParts);
        }
        return Optional.empty();
    }

    private void tryInsert(String token, List<byte[]> rows) throws InterruptedException {
        if (client == null) {
            client = login.connect();
        }
        InsertSettings settings = new InsertSettings().setDeduplicationToken(token);
        SETTINGS.forEach(settings::serverSetting);
        try (InsertResponse response = client.insert(
                        format.target(table),
                        out -> write(rows, out),
                        ClickHouseFormat.RowBinaryWithNamesAndTypes,
                        settings)
                .get()) {
            LOG.debug("inserted {} rows as {}", rows.size(), response.getQueryId());
        } catch (ExecutionException e) {
            throw e.getCause() instanceof RuntimeException cause ? cause : new CompletionException(e.getCause());
        }
    }

    private void write(List<byte[]> rows, OutputStream out) throws IOException {
        try (out) {
            out.write(header);
            for (byte[] row : rows) {
                out.write(row);
            }
        }
    }

    @Override
    public void close() {
        if (client != null) {
            client.close();
        }
    }
}
