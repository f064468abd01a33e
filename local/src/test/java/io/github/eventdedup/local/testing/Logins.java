package io.github.eventdedup.local.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.github.eventdedup.local.system.Status;
import io.github.eventdedup.servers.ClickHouseServer;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

/** The application whose table user_logins is the outbox, and what ClickHouse holds of it. */
public final class Logins {

    private static final String STREAM = "user-logins";

    private final RunningSystem system;
    private final AtomicInteger inserted = new AtomicInteger();
    private final HttpClient http = HttpClient.newHttpClient();

    public Logins(RunningSystem system) {
        this.system = system;
    }

    /** Also while Postgres is away; what was inserted is what its table holds in the end. */
    public void insertAndSendSomeAgain() throws InterruptedException {
        try {
            insert(3);
            if (inserted.get() % 10 == 0) {
                system.execute("UPDATE user_logins SET sent_to_kafka = NULL WHERE id % 7 = 0 AND id > "
                        + (inserted.get() - 100));
            }
            Thread.sleep(100);
        } catch (SQLException e) {
            Thread.sleep(200);
        }
    }

    public void insert(int rows) throws SQLException {
        try (Connection connection = system.connect();
                PreparedStatement insert = connection.prepareStatement(
                        "INSERT INTO user_logins (username, event_type,"
                                + " event_time) VALUES (?, 'login', timestamp '2025-11-12 13:53:51' + ? * interval '1 second')")) {
            for (int i = 0; i < rows; i++) {
                int number = inserted.incrementAndGet();
                insert.setString(1, "user '" + number % 50 + "' \n \uD83D\uDC69");
                insert.setInt(2, number);
                insert.addBatch();
            }
            var unused = insert.executeBatch();
        }
    }

    /** Waits until every row is sent and in ClickHouse, once, with nothing else, and all counts agree. */
    public void awaitStored() {
        await().atMost(RunningSystem.RECOVERED_WITHIN).ignoreExceptions().untilAsserted(() -> {
            assertThat(system.query("SELECT count(*) FROM user_logins WHERE sent_to_kafka IS NOT TRUE"))
                    .containsExactly("0");
            List<String> rows = system.query("SELECT concat_ws(' ', id, encode(convert_to(username, 'UTF8'), 'hex'),"
                    + " event_type, extract(epoch from event_time)::bigint) FROM user_logins ORDER BY id");
            assertThat(clickHouse("SELECT concatWithSeparator(' ', toString(id), lower(hex(username)), event_type,"
                            + " toString(toUnixTimestamp(event_time))) FROM user_logins ORDER BY id"))
                    .isEqualTo(rows);
            Status.JobStatus job = system.jobStatus(STREAM);
            assertThat(job.unique()).as(job.toString()).isEqualTo(rows.size());
            assertThat(job.deadLettered()).as(job.toString()).isZero();
            assertThat(job.received()).as(job.toString()).isEqualTo(system.positions(STREAM));
            assertThat(job.duplicate()).as(job.toString()).isEqualTo(job.received() - rows.size());
        });
    }

    /** A statement of the table's owner. */
    public void alter(String sql) throws IOException, InterruptedException {
        HttpRequest request = HttpRequest.newBuilder(
                        URI.create(system.dedup.layout().clickHouseUrl() + "/?database=" + ClickHouseServer.DATABASE))
                .header("X-ClickHouse-User", ClickHouseServer.USER)
                .header("X-ClickHouse-Key", ClickHouseServer.PASSWORD)
                .POST(HttpRequest.BodyPublishers.ofString(sql))
                .build();
        HttpResponse<String> response = http.send(request, HttpResponse.BodyHandlers.ofString());
        assertThat(response.statusCode()).as(response.body()).isEqualTo(200);
    }

    /** A query as anybody on this machine may send it, without a name; the lines of the answer. */
    public List<String> clickHouse(String sql) throws IOException, InterruptedException {
        HttpRequest request = HttpRequest.newBuilder(
                        URI.create(system.dedup.layout().clickHouseUrl() + "/?database=dedup"))
                .POST(HttpRequest.BodyPublishers.ofString(sql))
                .build();
        HttpResponse<String> response = http.send(request, HttpResponse.BodyHandlers.ofString());
        assertThat(response.statusCode()).as(response.body()).isEqualTo(200);
        return response.body().lines().toList();
    }
}
