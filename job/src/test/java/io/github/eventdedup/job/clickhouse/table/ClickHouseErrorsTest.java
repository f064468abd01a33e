package io.github.eventdedup.job.clickhouse.table;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import com.clickhouse.client.api.Client;
import com.clickhouse.client.api.ClientException;
import com.clickhouse.client.api.ClientFaultCause;
import com.clickhouse.client.api.ClientMisconfigurationException;
import com.clickhouse.client.api.ConnectionInitiationException;
import com.clickhouse.client.api.ServerException;
import com.clickhouse.data.ClickHouseFormat;
import com.sun.net.httpserver.HttpServer;
import java.io.ByteArrayInputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketTimeoutException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ClickHouseErrorsTest {

    @ParameterizedTest
    @CsvSource({
        "469, 500, Constraint `c` is violated, ROW",
        "6, 400, Cannot parse string, ROW",
        "6, 400, Cannot parse string: while pushing to view db.v, CONFIGURATION",
        "241, 500, Memory limit exceeded: while pushing to view db.v, OUTAGE",
        "252, 500, Too many partitions for single INSERT block, TOO_MUCH",
        "252, 500, Too many parts (300), OUTAGE",
        "241, 500, Memory limit exceeded, OUTAGE",
        "159, 500, Timeout exceeded, OUTAGE",
        "60, 404, Table does not exist, CONFIGURATION",
        "117, 400, Type of `id` must be UInt64, CONFIGURATION",
        "516, 403, Authentication failed, CONFIGURATION",
        "497, 403, Not enough privileges, CONFIGURATION",
        "49, 500, Logical error, UNKNOWN",
        "0, 502, Bad Gateway, OUTAGE",
        "0, 429, Too Many Requests, OUTAGE",
        "0, 413, Request Entity Too Large, TOO_MUCH",
        "0, 404, Not Found, CONFIGURATION"
    })
    void tellsWhatAnErrorMeansForTheRows(int code, int status, String message, ClickHouseErrors expected) {
        RuntimeException error = new ClientException("failed", new ServerException(code, message, status, "query"));

        assertThat(ClickHouseErrors.of(error)).isEqualTo(expected);
    }

    /** What the client makes of an answer that is not ClickHouse's. */
    @ParameterizedTest
    @CsvSource({
        "302, CONFIGURATION",
        "400, CONFIGURATION",
        "403, CONFIGURATION",
        "404, CONFIGURATION",
        "407, CONFIGURATION",
        "408, OUTAGE",
        "411, CONFIGURATION",
        "413, TOO_MUCH",
        "425, OUTAGE",
        "429, OUTAGE",
        "500, OUTAGE",
        "502, OUTAGE",
        "503, OUTAGE",
        "504, OUTAGE",
        "520, OUTAGE"
    })
    void tellsWhatAProxysAnswerMeans(int status, ClickHouseErrors expected) throws Exception {
        HttpServer proxy = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        proxy.createContext("/", exchange -> {
            byte[] page = "<html><body>no</body></html>".getBytes(UTF_8);
            exchange.getRequestBody().readAllBytes();
            exchange.sendResponseHeaders(status, page.length);
            exchange.getResponseBody().write(page);
            exchange.close();
        });
        proxy.start();
        try (Client client = new Client.Builder()
                .addEndpoint("http://127.0.0.1:" + proxy.getAddress().getPort())
                .setUsername("user")
                .setPassword("password")
                .setMaxRetries(0)
                .retryOnFailures(ClientFaultCause.None)
                .build()) {
            Throwable failure = catchThrowable(
                    () -> client.insert("t", new ByteArrayInputStream(new byte[9]), ClickHouseFormat.RowBinary)
                            .get());
            assertThat(ClickHouseErrors.of(new ClientException("failed", failure)))
                    .as(failure.toString())
                    .isEqualTo(expected);
        } finally {
            proxy.stop(0);
        }
    }

    @Test
    void onlyTheNetworkIsAnOutageWhereTheServerSaidNothing() {
        assertThat(ClickHouseErrors.isOutage(new ClientException("failed", new SocketTimeoutException("read"))))
                .isTrue();
        assertThat(ClickHouseErrors.isOutage(new ConnectionInitiationException("no connection")))
                .isTrue();
        assertThat(ClickHouseErrors.isOutage(new ClientMisconfigurationException("no endpoint")))
                .isFalse();
        assertThat(ClickHouseErrors.isOutage(new IllegalStateException("set DEDUP_CLICKHOUSE_PASSWORD")))
                .isFalse();
    }

    @Test
    void aReasonIsWhatTheServerSaidWithoutWhatChangesEachTime() {
        ServerException error = new ServerException(
                469, "Code: 469. DB::Exception: Constraint is violated (version 26.7 (queryId= 1)", 500, "1");
        assertThat(ClickHouseErrors.reason(new ClientException("failed", error)))
                .isEqualTo("Code: 469. DB::Exception: Constraint is violated");
        assertThat(ClickHouseErrors.reason(new IllegalStateException("one\ntwo")))
                .isEqualTo("one");
        assertThat(ClickHouseErrors.reason(new IllegalStateException("x".repeat(5000))))
                .hasSize(1000);
        assertThat(ClickHouseErrors.reason(new IllegalStateException((String) null)))
                .isEqualTo("java.lang.IllegalStateException");
    }
}
