package io.github.eventdedup.relay.outbox;

import io.github.eventdedup.config.PostgresUrl;
import io.github.eventdedup.relay.settings.RelaySettings;
import io.github.eventdedup.relay.settings.UnavailableException;
import java.io.IOException;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Properties;
import org.postgresql.Driver;

/** Opens connections to the database of the outbox. */
public final class OutboxConnection {

    /** Longer than any statement takes; a server that does not answer is given up after this. */
    private static final String SOCKET_TIMEOUT_SECONDS = "60";

    private static final int STATEMENT_TIMEOUT_SECONDS = 45;

    private OutboxConnection() {}

    /**
     * Logs in.
     *
     * @throws UnavailableException where the server is not reached within some seconds, or rejects the login
     */
    public static Connection open(RelaySettings settings) throws UnavailableException {
        try {
            Properties properties = PostgresUrl.properties(
                    settings.postgresUser(), settings.postgresPassword().read(), "outbox-relay");
            properties.setProperty("socketTimeout", SOCKET_TIMEOUT_SECONDS);
            Connection connection = new Driver().connect(settings.postgresUrl(), properties);
            if (connection == null) {
                throw new UnavailableException("not the URL of a Postgres database: " + settings.postgresAddress());
            }
            try (Statement statement = connection.createStatement()) {
                // The text of a timestamp must not depend on where the relay runs. Postgres frees the locks of a relay
                // whose machine has vanished; longer than Kafka may take for a batch. The role's own statement timeout
                // does not apply: a statement that is too slow is cancelled, and repeated with fewer rows.
                statement.execute("SET TimeZone = 'UTC'; SET idle_in_transaction_session_timeout = '90s';"
                        + " SET statement_timeout = '" + STATEMENT_TIMEOUT_SECONDS + "s'");
            }
            return connection;
        } catch (SQLException e) {
            throw new UnavailableException(
                    "Postgres at " + settings.postgresAddress() + " cannot be used as user '" + settings.postgresUser()
                            + "': start it, or correct DEDUP_POSTGRES_URL, DEDUP_POSTGRES_USER or"
                            + " DEDUP_POSTGRES_PASSWORD (" + e.getMessage() + ")");
        } catch (IOException e) {
            throw new UnavailableException("cannot read the password, DEDUP_POSTGRES_PASSWORD_FILE: " + e);
        }
    }
}
