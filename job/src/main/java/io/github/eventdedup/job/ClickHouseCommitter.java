package io.github.eventdedup.job;

import com.clickhouse.client.api.Client;
import com.clickhouse.client.api.insert.InsertResponse;
import com.clickhouse.client.api.insert.InsertSettings;
import com.clickhouse.data.ClickHouseFormat;
import java.io.IOException;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
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

    private static final long MIN_BACKOFF_MILLIS = 100;
    private static final long MAX_BACKOFF_MILLIS = 5_000;

    private final ClickHouseLogin login;
    private final String table;
    private Client client;

    ClickHouseCommitter(ClickHouseLogin login, String table) {
        this.login = login;
        this.table = table;
    }

    @Override
    public void commit(Collection<CommitRequest<ClickHouseBatch>> requests) throws IOException, InterruptedException {
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
        long backoff = MIN_BACKOFF_MILLIS;
        while (true) {
            try {
                insert(batch, events);
                return;
            } catch (RuntimeException e) {
                if (ClickHouseErrors.isRefusal(e)) {
                    if (events.size() == 1) {
                        refused.add(events.get(0));
                        reasons.add(ClickHouseErrors.reason(e));
                    } else {
                        int half = events.size() / 2;
                        insert(ClickHouseBatch.of(batch.header(), events.subList(0, half)), refused, reasons);
                        insert(
                                ClickHouseBatch.of(batch.header(), events.subList(half, events.size())),
                                refused,
                                reasons);
                    }
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

    private void insert(ClickHouseBatch batch, List<IdentifiedEvent> events) throws InterruptedException {
        if (client == null) {
            client = login.connect();
        }
        InsertSettings settings = new InsertSettings()
                .setDeduplicationToken(batch.token())
                // What the user's profile or the server may have otherwise.
                .serverSetting("insert_deduplicate", "1")
                .serverSetting("async_insert", "0")
                // Answered once it is done, so that the status is that of the insert.
                .serverSetting("wait_end_of_query", "1");
        try (InsertResponse response = client.insert(
                        table, out -> write(batch, events, out), ClickHouseFormat.RowBinaryWithNamesAndTypes, settings)
                .get()) {
            LOG.debug("inserted {} rows as {}", events.size(), response.getQueryId());
        } catch (ExecutionException e) {
            throw e.getCause() instanceof RuntimeException cause ? cause : new CompletionException(e.getCause());
        }
    }

    private static void write(ClickHouseBatch batch, List<IdentifiedEvent> events, OutputStream out)
            throws IOException {
        try (out) {
            out.write(batch.header());
            for (IdentifiedEvent event : events) {
                out.write(event.columns());
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
