package io.github.eventdedup.relay;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.eventdedup.relay.TestOutbox.RelayProcess;
import io.github.eventdedup.servers.ClickHouseServer;
import io.github.eventdedup.servers.FreePort;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** Columns that do not fit those of a real ClickHouse are found before any row is sent. */
@Timeout(180)
@ExtendWith(TestServers.class)
class DestinationIT {

    @TempDir
    private Path directory;

    private TestOutbox outbox;
    private ClickHouseServer clickHouse;
    private String url;

    @BeforeEach
    void create() throws Exception {
        outbox = new TestOutbox();
        outbox.execute("ALTER TABLE " + outbox.table + " ADD payload jsonb, ADD vip boolean, ADD amount numeric");
        Files.writeString(
                outbox.streamFile(),
                Files.readString(outbox.streamFile())
                        .replace(
                                "timestamp: event_time }",
                                "timestamp: event_time, payload: payload, vip: vip, amount: amount }")
                        .replace(
                                "event_time: timestamp }",
                                "event_time: timestamp, p: payload, vip: vip, amount: amount }"));
        int port = FreePort.find();
        url = "http://127.0.0.1:" + port;
        clickHouse = new ClickHouseServer(directory, TestServers.file("servers/target/clickhouse"), port);
        clickHouse.start();
    }

    @AfterEach
    void close() throws Exception {
        clickHouse.close();
        outbox.close();
    }

    private void clickHouse(String sql) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(url + "/?database=" + ClickHouseServer.DATABASE))
                .header("X-ClickHouse-User", ClickHouseServer.USER)
                .header("X-ClickHouse-Key", ClickHouseServer.PASSWORD)
                .POST(HttpRequest.BodyPublishers.ofString(sql))
                .build();
        HttpResponse<String> answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    }

    private RelayProcess once() throws Exception {
        return outbox.relay(
                Map.of("DEDUP_CLICKHOUSE_URL", url, "DEDUP_CLICKHOUSE_PASSWORD", ClickHouseServer.PASSWORD), "--once");
    }

    @Test
    void columnsThatDoNotFitClickHouse() throws Exception {
        outbox.execute("INSERT INTO " + outbox.table
                + " (username, payload, vip, amount) VALUES ('alice', '{}', true, 1)," + " ('bob', '{}', true, 1.5)");
        clickHouse("CREATE TABLE user_logins (id UInt32, username UInt32, event_type String, event_time DateTime,"
                + " p DateTime, vip Nullable(DateTime64(3)), amount LowCardinality(Nullable(String)))"
                + " ENGINE = MergeTree ORDER BY id SETTINGS allow_suspicious_low_cardinality_types = 1");
        RelayProcess refused = once();
        assertThat(refused.endsWith(1)).isEmpty();
        assertThat(refused.errors().lines()).hasSize(4);
        assertThat(refused.errors())
                .contains(
                        "column 'username' of table '" + outbox.table
                                + "' is text, which does not fit column 'username' of"
                                + " the destination 'user_logins', UInt32: it accepts an integer",
                        "column 'payload' of table '" + outbox.table
                                + "' is jsonb, which does not fit column 'p' of the"
                                + " destination 'user_logins', DateTime: it accepts",
                        "column 'vip' of table '" + outbox.table
                                + "' is boolean, which does not fit column 'vip' of the"
                                + " destination 'user_logins', Nullable(DateTime64(3)): it accepts");
        assertThat(outbox.topicSize()).isZero();
        assertThat(outbox.unsent()).isEqualTo(2);

        // A value that does not fit although its column may is parked.
        clickHouse("DROP TABLE user_logins SYNC");
        clickHouse("CREATE TABLE user_logins (id UInt32, username String, event_type String, event_time DateTime,"
                + " amount Int64) ENGINE = MergeTree ORDER BY id");
        RelayProcess sent = once();
        assertThat(sent.endsWith(0)).singleElement().asString().contains("alice");
        assertThat(sent.errors()).contains("Parked: row 2 of " + outbox.table).contains("'amount'");

        // ClickHouse is not waited for. That no column takes an object is known without it.
        clickHouse.stop();
        assertThat(once().endsWith(1)).isEmpty();
        Files.writeString(
                outbox.streamFile(), Files.readString(outbox.streamFile()).replace(" p: payload,", ""));
        outbox.insert("carol");
        RelayProcess unknown = once();
        assertThat(unknown.endsWith(0)).singleElement().asString().contains("carol");
        assertThat(unknown.errors().lines())
                .singleElement()
                .asString()
                .contains("WARN", "are not compared with those of ClickHouse's user_logins for now", url);
    }
}
