package io.github.eventdedup.job.clickhouse.table;

import com.clickhouse.client.api.ClientMisconfigurationException;
import com.clickhouse.client.api.ConnectionInitiationException;
import com.clickhouse.client.api.ServerException;
import io.github.eventdedup.config.Environment;
import io.github.eventdedup.job.settings.ClickHouseLogin;
import java.io.IOException;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What a failed insert means for the rows it carried, by ClickHouse's error code ({@code system.errors} lists them). */
public enum ClickHouseErrors {

    /** A row is the cause, and nothing of the insert was stored. Smaller inserts find which one. */
    ROW,

    /**
     * Too many rows, bytes or partitions for one insert, which was refused before anything was stored. Fewer may pass.
     */
    TOO_MUCH,

    /** The server accepts no rows now, was not reached, or did not answer. Some rows may be stored. */
    OUTAGE,

    /** Something is set up wrongly, which no row is to blame for: a login, a grant, the table's columns. */
    CONFIGURATION,

    /** Anything else. If other rows are stored, the cause is the row, otherwise the table. */
    UNKNOWN;

    /**
     * A parse or conversion in an expression of the table failed, a value or string is out of bounds, a constraint is
     * violated, throwIf.
     */
    private static final Set<Integer> ROWS =
            Set.of(6, 25, 26, 27, 38, 41, 69, 70, 72, 131, 153, 321, 349, 395, 407, 441, 469, 691);

    /**
     * Timeouts, too many queries or parts, out of memory or disk, read-only, shutting down, its coordination unavailable,
     * I/O error.
     */
    private static final Set<Integer> OUTAGES = Set.of(
            159, 160, 201, 202, 203, 209, 210, 225, 236, 241, 242, 243, 244, 285, 289, 319, 364, 394, 425, 439, 473,
            499, 677, 745, 999);

    /**
     * No such table, database, column or user; wrong password, no grant, settings that may not be changed; a table whose
     * columns are no longer those of the job.
     */
    private static final Set<Integer> CONFIGURATIONS =
            Set.of(8, 10, 16, 33, 53, 60, 81, 115, 117, 164, 192, 193, 194, 452, 497, 516);

    /** A response that is not ClickHouse's, such as that of a proxy in front of it; and which of those to retry. */
    private static final int NOT_CLICKHOUSE = 0;

    private static final Set<Integer> PASSING_HTTP_ERRORS = Set.of(408, 425, 429);

    /** A proxy accepts no body of this length. */
    private static final int CONTENT_TOO_LARGE = 413;

    /** The client's message for an HTTP status that ClickHouse itself never returns. */
    private static final Pattern UNEXPECTED_STATUS = Pattern.compile("Unexpected result status (\\d{3})");

    /** What a materialized view rejects is in the table already: to insert it in pieces would store it twice. */
    private static final String IN_A_VIEW = "while pushing to view";

    /** Many parts are a state of the table; many partitions are one of the insert. They share their code. */
    private static final int TOO_MANY_PARTS = 252;

    /** What the server's messages end with, and what may follow on further lines. */
    private static final Pattern VERSION_AND_QUERY = Pattern.compile("(?s)(?: \\(version .*|\\R.*|(?<=^.{1000}).*)");

    /** What the error means. */
    public static ClickHouseErrors of(RuntimeException e) {
        ServerException error = serverError(e);
        if (error == null) {
            Matcher status = UNEXPECTED_STATUS.matcher(reason(e));
            if (status.matches()) {
                return ofHttp(Integer.parseInt(status.group(1)));
            }
            if (hasCause(e, ClientMisconfigurationException.class)) {
                return CONFIGURATION;
            }
            boolean network = hasCause(e, IOException.class) || hasCause(e, ConnectionInitiationException.class);
            return network ? OUTAGE : UNKNOWN;
        }
        if (error.getCode() == NOT_CLICKHOUSE) {
            return ofHttp(error.getTransportProtocolCode());
        }
        if (error.getMessage().contains(IN_A_VIEW)) {
            return OUTAGES.contains(error.getCode()) ? OUTAGE : CONFIGURATION;
        }
        if (error.getCode() == TOO_MANY_PARTS) {
            return error.getMessage().contains("Too many parts") ? OUTAGE : TOO_MUCH;
        }
        if (OUTAGES.contains(error.getCode())) {
            return OUTAGE;
        }
        if (CONFIGURATIONS.contains(error.getCode())) {
            return CONFIGURATION;
        }
        return ROWS.contains(error.getCode()) ? ROW : UNKNOWN;
    }

    private static ClickHouseErrors ofHttp(int status) {
        if (status == CONTENT_TOO_LARGE) {
            return TOO_MUCH;
        }
        return status >= 500 || PASSING_HTTP_ERRORS.contains(status) ? OUTAGE : CONFIGURATION;
    }

    /** Whether it is worth waiting and trying again: also where the server was not reached, or did not answer. */
    public static boolean isOutage(RuntimeException e) {
        return of(e) == OUTAGE;
    }

    /** Whether an error code is that of an outage. */
    static boolean isOutage(int code) {
        return OUTAGES.contains(code);
    }

    private static boolean hasCause(Throwable e, Class<? extends Throwable> type) {
        for (Throwable it = e; it != null; it = it.getCause()) {
            if (type.isInstance(it)) {
                return true;
            }
        }
        return false;
    }

    private static ServerException serverError(Throwable e) {
        for (Throwable it = e; it != null; it = it.getCause()) {
            if (it instanceof ServerException error) {
                return error;
            }
        }
        return null;
    }

    /** The message for a ClickHouse that could not be reached, or did not answer. */
    public static String cannotBeUsed(ClickHouseLogin login, Exception reason) {
        return "ClickHouse at " + login.url() + " cannot be used as user '" + login.user()
                + "': start it, or correct DEDUP_CLICKHOUSE_URL, DEDUP_CLICKHOUSE_DATABASE, DEDUP_CLICKHOUSE_USER or "
                + Environment.CLICKHOUSE_PASSWORD + " (" + reason(reason) + ")";
    }

    /** What went wrong, in the server's own words or in those of the network; without the trace that may follow them. */
    public static String reason(Throwable e) {
        Throwable said = serverError(e);
        if (said == null) {
            for (said = e; said.getCause() != null; ) {
                said = said.getCause();
            }
        }
        return said.getMessage() == null
                ? said.toString()
                : VERSION_AND_QUERY.matcher(said.getMessage()).replaceFirst("");
    }
}
