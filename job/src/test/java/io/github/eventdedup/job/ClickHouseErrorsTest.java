package io.github.eventdedup.job;

import static org.assertj.core.api.Assertions.assertThat;

import com.clickhouse.client.api.ClientException;
import com.clickhouse.client.api.ClientMisconfigurationException;
import com.clickhouse.client.api.ConnectionInitiationException;
import com.clickhouse.client.api.ServerException;
import java.net.SocketTimeoutException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ClickHouseErrorsTest {

    @ParameterizedTest
    @CsvSource({
        "469, 500, Constraint `c` is violated, true, false",
        "6, 400, Cannot parse string, true, false",
        "6, 400, Cannot parse string: while pushing to view db.v, false, false",
        "252, 500, Too many partitions for single INSERT block, true, true",
        "252, 500, Too many parts (300), false, true",
        "241, 500, Memory limit exceeded, false, true",
        "159, 500, Timeout exceeded, false, true",
        "60, 404, Table does not exist, false, false",
        "117, 400, Type of `id` must be UInt64, false, false",
        "516, 403, Authentication failed, false, false",
        "0, 502, Bad Gateway, false, true",
        "0, 429, Too Many Requests, false, true",
        "0, 413, Request Entity Too Large, false, false"
    })
    void tellsRefusalsFromOutages(int code, int status, String message, boolean refusal, boolean outage) {
        RuntimeException error = new ClientException("failed", new ServerException(code, message, status, "query"));

        assertThat(ClickHouseErrors.isRefusal(error)).isEqualTo(refusal);
        assertThat(ClickHouseErrors.isOutage(error)).isEqualTo(outage);
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
