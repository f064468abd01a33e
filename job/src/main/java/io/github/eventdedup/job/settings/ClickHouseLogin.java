package io.github.eventdedup.job.settings;

import com.clickhouse.client.api.Client;
import com.clickhouse.client.api.ClientFaultCause;
import io.github.eventdedup.config.ClickHouseUrl;
import io.github.eventdedup.config.Environment;
import io.github.eventdedup.config.Secret;
import java.io.Serializable;
import java.time.temporal.ChronoUnit;

/**
 * How to reach ClickHouse. It travels in the job graph, so it holds no password: each process reads that from its own
 * environment when it connects ({@link Secret}).
 *
 * @param url of the HTTP interface
 * @param database that tables are in where their name does not say
 * @param user the user to log in as
 */
public record ClickHouseLogin(String url, String database, String user) implements Serializable {

    private static final long serialVersionUID = 1L;

    private static final int CONNECT_TIMEOUT_SECONDS = 10;

    /** Longer than any insert takes, and less than Flink waits for a task that is cancelled meanwhile. */
    private static final int SOCKET_TIMEOUT_SECONDS = 60;

    /** Refuses a URL that cannot be used. */
    public ClickHouseLogin {
        ClickHouseUrl.check(url);
    }

    /** A client that tries everything once: whether to try again is decided where it is known what was tried. */
    public Client connect() {
        return new Client.Builder()
                .addEndpoint(url)
                .setUsername(user)
                .setPassword(Secret.ofThisProcess(Environment.CLICKHOUSE_PASSWORD))
                .setDefaultDatabase(database)
                .setClientName("event-deduplicator")
                .setConnectTimeout(CONNECT_TIMEOUT_SECONDS, ChronoUnit.SECONDS)
                .setSocketTimeout(SOCKET_TIMEOUT_SECONDS, ChronoUnit.SECONDS)
                .setMaxRetries(0)
                .retryOnFailures(ClientFaultCause.None)
                .build();
    }
}
