package io.github.eventdedup.job;

import com.clickhouse.client.api.ConnectionInitiationException;
import com.clickhouse.client.api.ServerException;
import java.io.IOException;
import java.util.Set;
import java.util.regex.Pattern;

/** What a failed insert means for the rows it carried, by ClickHouse's error code ({@code system.errors} lists them). */
final class ClickHouseErrors {

    /**
     * A row itself is at fault: a parse or conversion in an expression of the table failed, a value or string is out of
     * bounds, a constraint is violated, throwIf; or the rows are of more partitions than one insert may have (252), which
     * fewer rows are not.
     */
    private static final Set<Integer> REFUSALS =
            Set.of(6, 25, 26, 27, 38, 41, 69, 70, 72, 131, 153, 252, 321, 349, 395, 407, 441, 469, 691);

    /**
     * The server cannot take it now: timeouts, too many queries or parts, out of memory or disk, read-only, shutting down,
     * its coordination away, I/O error.
     */
    private static final Set<Integer> OUTAGES = Set.of(
            159, 160, 201, 202, 203, 209, 210, 225, 236, 241, 242, 243, 244, 285, 289, 319, 364, 394, 425, 439, 473,
            499, 677, 745, 999);

    /** An answer that is not ClickHouse's, but that of a proxy in front of it, say; and which of those are worth a retry. */
    private static final int NOT_CLICKHOUSE = 0;

    private static final Set<Integer> PASSING_HTTP_ERRORS = Set.of(408, 425, 429);

    /** What a materialized view refuses is in the table already: to insert it in halves would store it twice. */
    private static final String IN_A_VIEW = "while pushing to view";

    /** Many parts are a state of the table; many partitions are one of the insert. They share their code. */
    private static final int TOO_MANY_PARTS = 252;

    /** What the server's messages end with, and what may follow on further lines. */
    private static final Pattern VERSION_AND_QUERY = Pattern.compile("(?s)(?: \\(version .*|\\R.*|(?<=^.{1000}).*)");

    private ClickHouseErrors() {}

    /** Whether the same rows would be refused again, however often they are sent. */
    static boolean isRefusal(RuntimeException e) {
        ServerException error = serverError(e);
        return error != null
                && REFUSALS.contains(error.getCode())
                && !error.getMessage().contains(IN_A_VIEW)
                && !(error.getCode() == TOO_MANY_PARTS && error.getMessage().contains("Too many parts"));
    }

    /** Whether it is worth waiting and trying again: also where the server was not reached, or did not answer. */
    static boolean isOutage(RuntimeException e) {
        ServerException error = serverError(e);
        if (error == null) {
            return hasCause(e, IOException.class) || hasCause(e, ConnectionInitiationException.class);
        }
        if (error.getCode() == NOT_CLICKHOUSE) {
            int status = error.getTransportProtocolCode();
            return status >= 500 || PASSING_HTTP_ERRORS.contains(status);
        }
        return OUTAGES.contains(error.getCode()) || error.getCode() == TOO_MANY_PARTS;
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

    /** What went wrong, in the server's own words or in those of the network; without the trace that may follow them. */
    static String reason(Throwable e) {
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
