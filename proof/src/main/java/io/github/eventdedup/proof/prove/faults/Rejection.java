package io.github.eventdedup.proof.prove.faults;

import io.github.eventdedup.config.Identifiers;
import io.github.eventdedup.event.ClickHouseTable;
import io.github.eventdedup.event.Column;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.proof.system.Databases;
import java.io.IOException;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.stream.Collectors;

/** A constraint on a stream's table that rejects one row in 50. Those that are there stay. Not thread-safe. */
final class Rejection {

    private static final String NAME = "rejected_by_prove";

    private final Databases databases;
    private final StreamDefinition stream;

    Rejection(Databases databases, StreamDefinition stream) {
        this.databases = databases;
        this.stream = stream;
    }

    void begin() throws IOException, InterruptedException {
        execute(
                isClickHouse()
                        ? alter() + "ADD CONSTRAINT IF NOT EXISTS " + NAME + " CHECK cityHash64(toString(tuple("
                                + stream.table().columns().stream()
                                        .map(Column::name)
                                        .map(Identifiers::clickHouse)
                                        .collect(Collectors.joining(", "))
                                + "))) % 50 != 7"
                        : alter() + "ADD CONSTRAINT " + NAME + " CHECK (kafka_offset % 50 <> 7) NOT VALID");
    }

    void end() throws IOException, InterruptedException {
        execute(howToEnd());
    }

    /** The statement that takes the constraint away, where it is there. */
    String howToEnd() {
        return alter() + "DROP CONSTRAINT IF EXISTS " + NAME;
    }

    private boolean isClickHouse() {
        return stream.table() instanceof ClickHouseTable;
    }

    private String alter() {
        String table = stream.table().name();
        return "ALTER TABLE " + (isClickHouse() ? Identifiers.clickHouseTable(table) : Identifiers.postgresTable(table))
                + " ";
    }

    private void execute(String sql) throws IOException, InterruptedException {
        if (isClickHouse()) {
            String unused = databases.clickHouse(sql, Duration.ofSeconds(30));
            return;
        }
        try (Connection connection = databases.postgres();
                Statement statement = connection.createStatement()) {
            statement.execute(sql);
        } catch (SQLException e) {
            throw new IOException(e.getMessage(), e);
        }
    }
}
