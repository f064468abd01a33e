package io.github.eventdedup.job;

import com.clickhouse.client.api.Client;
import com.clickhouse.client.api.insert.InsertResponse;
import com.clickhouse.client.api.insert.InsertSettings;
import com.clickhouse.data.ClickHouseFormat;
import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.InvalidEventException;
import io.github.eventdedup.event.StreamDefinition;
import java.io.IOException;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import org.apache.flink.api.connector.sink2.Committer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Inserts batches of completed checkpoints, each under its token. Three things can happen to one:
 *
 * <ul>
 *   <li>It is stored, or was stored before: a retry that ClickHouse recognises changes nothing.
 *   <li>ClickHouse refuses a row of it, and with it all of the batch. The batch is halved until the row stands alone; the
 *       rest is stored. The halves have their own tokens, so all of this may be repeated too.
 *   <li>ClickHouse is away. The committer waits and tries the same batch again, for as long as it takes; meanwhile the job
 *       shows backpressure, and Kafka keeps what arrives.
 * </ul>
 *
 * Anything else is a mistake in the configuration and fails the job. Used by the task thread only.
 */
final class ClickHouseCommitter implements Committer<ClickHouseBatch> {

    private static final Logger LOG = LoggerFactory.getLogger(ClickHouseCommitter.class);

    /** What the server or the user's profile may have otherwise. */
    private static final Map<String, String> SETTINGS = Map.of(
            "insert_deduplicate", "1",
            "async_insert", "0",
            // Answered once it is done, so that the status is that of the insert.
            "wait_end_of_query", "1",
            // One block, which is stored as a whole or not at all: more than any batch has.
            "max_insert_block_size", "1048576",
            "min_insert_block_size_rows", "1048576",
            "min_insert_block_size_bytes", "268435456",
            // A table that was altered is to refuse the rows, not to leave out what it does not know.
            "input_format_skip_unknown_fields", "0",
            "input_format_with_names_use_header", "1",
            "input_format_with_types_use_header", "1");

    private static final long MIN_BACKOFF_MILLIS = 100;
    private static final long MAX_BACKOFF_MILLIS = 5_000;

    /**
     * How many inserts one checkpoint may become where rows are refused: the table has to remember the tokens of all of them
     * ({@link ClickHouseSchema}), for a recovery repeats them.
     */
    static final int MAX_INSERTS = 100;

    private final ClickHouseLogin login;
    private final String table;
    private final RowBinary format;
    private final byte[] header;
    private final EventReader reader;
    private Client client;
    private int inserts;

    /** @param format that of the table as it is now; batches of before it was altered may have another */
    ClickHouseCommitter(ClickHouseLogin login, StreamDefinition stream, RowBinary format) {
        this.login = login;
        this.table = stream.table().name();
        this.format = format;
        header = format.header();
        reader = new EventReader(stream, format.columns());
    }

    /** Needs one of Flink's retries ({@code sink.committer.retries}): by it, what is left of a batch gets out of here. */
    @Override
    public void commit(Collection<CommitRequest<ClickHouseBatch>> requests) throws IOException, InterruptedException {
        inserts = 0;
        for (CommitRequest<ClickHouseBatch> request : requests) {
            ClickHouseBatch batch = request.getCommittable();
            if (request.getNumberOfRetries() == 0) {
                List<IdentifiedEvent> refused = new ArrayList<>();
                List<String> reasons = new ArrayList<>();
                insert(batch, refused, reasons);
                // Hands on what is left of it: the next attempt, which follows at once, has nothing more to do.
                request.updateAndRetryLater(batch.inserted(refused, reasons));
            }
        }
    }

    private void insert(ClickHouseBatch batch, List<IdentifiedEvent> refused, List<String> reasons)
            throws IOException, InterruptedException {
        List<IdentifiedEvent> events = batch.read();
        List<byte[]> rows = rows(batch, events, refused, reasons);
        if (client == null) {
            client = login.connect();
        }
        long backoff = MIN_BACKOFF_MILLIS;
        while (!rows.isEmpty()) {
            try {
                insert(batch.token(), rows);
                inserts++;
                return;
            } catch (RuntimeException e) {
                if (ClickHouseErrors.isRefusal(e)) {
                    insertAllButRefused(batch, events, refused, reasons, e);
                    return;
                }
                if (!ClickHouseErrors.isOutage(e)) {
                    throw new IOException("ClickHouse cannot store events: " + ClickHouseErrors.reason(e), e);
                }
                LOG.warn("ClickHouse is away, trying again in {} ms: {}", backoff, ClickHouseErrors.reason(e));
                Thread.sleep(backoff);
                backoff = Math.min(2 * backoff, MAX_BACKOFF_MILLIS);
            }
        }
    }

    private void insertAllButRefused(
            ClickHouseBatch batch,
            List<IdentifiedEvent> events,
            List<IdentifiedEvent> refused,
            List<String> reasons,
            RuntimeException refusal)
            throws IOException, InterruptedException {
        if (inserts >= MAX_INSERTS) {
            throw new IOException(
                    "ClickHouse refuses more rows than can be told from the others without storing some twice: change what"
                            + " refuses them (" + ClickHouseErrors.reason(refusal) + ")",
                    refusal);
        }
        if (events.size() == 1) {
            refused.add(events.get(0));
            reasons.add(ClickHouseErrors.reason(refusal));
        } else {
            int half = events.size() / 2;
            insert(ClickHouseBatch.of(batch.header(), events.subList(0, half)), refused, reasons);
            insert(ClickHouseBatch.of(batch.header(), events.subList(half, events.size())), refused, reasons);
        }
    }

    /**
     * The rows as they stand in the batch, or written anew where the table was altered since; the token stays. Events that no
     * longer fit are refused, and leave the list.
     */
    private List<byte[]> rows(
            ClickHouseBatch batch, List<IdentifiedEvent> events, List<IdentifiedEvent> refused, List<String> reasons) {
        if (Arrays.equals(batch.header(), header)) {
            return events.stream().map(IdentifiedEvent::columns).toList();
        }
        List<byte[]> rows = new ArrayList<>(events.size());
        for (Iterator<IdentifiedEvent> rest = events.iterator(); rest.hasNext(); ) {
            IdentifiedEvent event = rest.next();
            try {
                rows.add(format.encode(reader.read(event.source().value()).columns()));
            } catch (InvalidEventException e) {
                rest.remove();
                refused.add(event);
                reasons.add("the event " + e.getMessage());
            }
        }
        return rows;
    }

    private void insert(String token, List<byte[]> rows) throws InterruptedException {
        InsertSettings settings = new InsertSettings().setDeduplicationToken(token);
        SETTINGS.forEach(settings::serverSetting);
        try (InsertResponse response = client.insert(
                        table, out -> write(rows, out), ClickHouseFormat.RowBinaryWithNamesAndTypes, settings)
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
