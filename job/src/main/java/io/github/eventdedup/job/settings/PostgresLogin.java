package io.github.eventdedup.job.settings;

import io.github.eventdedup.config.Environment;
import io.github.eventdedup.config.PostgresUrl;
import io.github.eventdedup.config.Secret;
import java.io.Serializable;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.Properties;
import org.postgresql.Driver;

/**
 * How to reach the database. It travels in the job graph, so it holds no password: each process reads that from its own
 * environment when it connects ({@link Secret}).
 *
 * @param url the JDBC URL
 * @param user the role to log in as
 */
public record PostgresLogin(String url, String user) implements Serializable {

    private static final long serialVersionUID = 1L;

    /** Longer than any batch takes; a server from which no answer comes is given up after this. */
    private static final String SOCKET_TIMEOUT_SECONDS = "60";

    /** Refuses a URL that cannot be used. */
    public PostgresLogin {
        PostgresUrl.check(url);
    }

    public Connection connect() throws SQLException {
        Properties properties =
                PostgresUrl.properties(user, Secret.ofThisProcess(Environment.POSTGRES_PASSWORD), "event-deduplicator");
        properties.setProperty("socketTimeout", SOCKET_TIMEOUT_SECONDS);
        // Not through DriverManager: it knows the driver of the first job that a JobManager ran, not that of the class
        // loader of the next one.
        Connection connection = new Driver().connect(url, properties);
        if (connection == null) {
            throw new SQLException("not the URL of a Postgres database: " + shownUrl());
        }
        return connection;
    }

    /** The URL without what opens the key of a client certificate. */
    public String shownUrl() {
        return PostgresUrl.shown(url);
    }

    @Override
    public String toString() {
        return user + " at " + shownUrl();
    }

    /** What to say where {@link #connect} did not work. */
    public String cannotBeUsed(Exception reason) {
        return "Postgres at " + shownUrl() + " cannot be used as user '" + user
                + "': start it, or correct DEDUP_POSTGRES_URL, DEDUP_POSTGRES_USER or " + Environment.POSTGRES_PASSWORD
                + " ("
                + reason.getMessage() + ")";
    }

    /** Lets go of the driver, which registers itself with the JVM and would keep the job's class loader alive for ever. */
    public static void releaseDriver() {
        try {
            if (Driver.isRegistered()) {
                Driver.deregister();
            }
        } catch (SQLException e) {
            throw new IllegalStateException("a driver may always deregister itself", e);
        }
    }
}
