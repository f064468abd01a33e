package io.github.eventdedup.job.clickhouse.table;

import io.github.eventdedup.job.clickhouse.table.ClickHouseExternalRows.Answer;
import io.github.eventdedup.job.settings.ClickHouseLogin;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Whether rows are in the table already. ClickHouse checks a table's constraints, and a proxy the length of a body,
 * before the token is compared. So rows that are rejected, and may have been inserted before, have to be looked up.
 *
 * <p>Rows are compared by all columns that are filled, except those with a DEFAULT, which may differ from the event.
 * Not thread-safe.
 */
public final class ClickHouseStoredRows {

    private static final Logger LOG = LoggerFactory.getLogger(ClickHouseStoredRows.class);

    private final ClickHouseExternalRows external;
    private final String query;

    public ClickHouseStoredRows(ClickHouseLogin login, String table, ClickHouseRowFormat format) {
        external = new ClickHouseExternalRows(login, format);
        String columns = format.tableColumns().stream()
                .filter(it -> !it.hasDefault())
                .map(it -> '`' + it.column().name() + '`')
                .collect(Collectors.joining(", ", "(", ")"));
        // With the inner IN ClickHouse uses the table's primary key, and reads only similar rows.
        query = columns.equals("()")
                ? null
                : "SELECT countIf(" + columns + " NOT IN (SELECT " + columns + " FROM " + table + " WHERE " + columns
                        + " IN (SELECT " + columns + " FROM _rows))) FROM _rows"
                        + " SETTINGS transform_null_in = 1 FORMAT RowBinary";
    }

    /**
     * Whether the table has all of these rows. False where the user may not read the table, which is logged.
     *
     * @throws IOException where ClickHouse does not answer, or cannot now
     */
    public boolean hasAll(List<byte[]> rows) throws IOException, InterruptedException {
        if (query == null) {
            return false;
        }
        Answer answer = external.ask(query, rows);
        if (answer.isOk()) {
            return ByteBuffer.wrap(answer.body()).order(ByteOrder.LITTLE_ENDIAN).getLong() == 0;
        }
        if (answer.isTooLarge()) {
            int middle = rows.size() / 2;
            return middle > 0 && hasAll(rows.subList(0, middle)) && hasAll(rows.subList(middle, rows.size()));
        }
        if (answer.code() == 0 || ClickHouseErrors.isOutage(answer.code())) {
            throw new IOException(answer.message());
        }
        LOG.warn(
                "Cannot check whether {} rejected rows are in the table already, from before the last failure; those that"
                        + " are will be stored twice. Grant the user SELECT on the table. ({})",
                rows.size(),
                answer.message());
        return false;
    }
}
