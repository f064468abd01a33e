package io.github.eventdedup.job;

import io.github.eventdedup.event.Column;
import io.github.eventdedup.event.PostgresTable;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/** What {@link Preflight} asks Postgres, where that is where a stream is stored. */
final class PostgresPreflight {

    private final PostgresTable table;
    private final PostgresLogin login;
    private final List<String> findings;

    /** @param findings are added to, a line each */
    PostgresPreflight(PostgresTable table, PostgresLogin login, List<String> findings) {
        this.table = table;
        this.login = login;
        this.findings = findings;
    }

    void check() {
        try (Connection connection = login.connect()) {
            checkDurability(connection);
            checkTable(connection);
        } catch (SQLException e) {
            findings.add(login.cannotBeUsed(e));
        } catch (RuntimeException e) {
            findings.add(e.getMessage());
        }
    }

    private void checkDurability(Connection connection) throws SQLException {
        for (String setting : List.of("fsync", "full_page_writes", "synchronous_commit")) {
            String value = single(connection, "SELECT current_setting(?)", setting);
            if (value.equals("off")) {
                findings.add("Postgres runs with " + setting
                        + "=off: turn it on, or a crash of its machine loses rows that were reported as stored");
            }
        }
    }

    private void checkTable(Connection connection) throws SQLException {
        String quoted = UpsertSql.quotedTable(table);
        if (single(connection, "SELECT to_regclass(?)::text", quoted) == null) {
            findings.add("Postgres has no table '" + table.name() + "': apply the files of sql/postgres");
            return;
        }
        Map<String, String> actual = columnTypes(connection, quoted);
        expectedTypes().forEach((column, types) -> {
            String type = actual.get(column);
            if (type == null) {
                findings.add("table '" + table.name() + "' has no column '" + column + "': add it, as " + types.get(0));
            } else if (!types.contains(type)) {
                findings.add("column '" + column + "' of table '" + table.name() + "' is " + type
                        + ": the stream definition needs " + String.join(" or ", types));
            }
        });
        checkUnfilled(connection, quoted);
        checkKey(connection, quoted);
        checkPrivileges(connection, quoted);
    }

    private Map<String, List<String>> expectedTypes() {
        Map<String, List<String>> types = new LinkedHashMap<>();
        types.put("fingerprint", List.of("bytea"));
        types.put("kafka_partition", List.of("integer"));
        types.put("kafka_offset", List.of("bigint"));
        types.put("received_at", List.of("timestamp with time zone"));
        types.put("escapes", List.of("integer"));
        for (Column column : table.columns()) {
            types.put(
                    column.name(),
                    switch (column.type()) {
                        case TEXT -> List.of("text", "character varying");
                        case BIGINT -> List.of("bigint");
                        case DOUBLE -> List.of("double precision");
                        case BOOLEAN -> List.of("boolean");
                        case TIMESTAMP -> List.of("timestamp with time zone");
                    });
        }
        PostgresTable.Document document = table.document();
        if (document != null) {
            types.put(document.column(), List.of(document.type().name().toLowerCase(Locale.ROOT)));
        }
        return types;
    }

    private static Map<String, String> columnTypes(Connection connection, String quoted) throws SQLException {
        // Without the length of a varchar: what is too long for it is refused row by row.
        String sql = "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute"
                + " WHERE attrelid = ?::regclass AND attnum > 0 AND NOT attisdropped";
        Map<String, String> types = new LinkedHashMap<>();
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.setString(1, quoted);
            try (ResultSet rows = statement.executeQuery()) {
                while (rows.next()) {
                    types.put(rows.getString(1), rows.getString(2));
                }
            }
        }
        return types;
    }

    /** A column that must not be null and that nobody fills would make every row a dead letter. */
    private void checkUnfilled(Connection connection, String quoted) throws SQLException {
        Set<String> filled = Set.copyOf(UpsertSql.columns(table));
        String sql = "SELECT attname FROM pg_attribute WHERE attrelid = ?::regclass AND attnum > 0 AND NOT attisdropped"
                + " AND attnotnull AND NOT atthasdef AND attidentity = '' ORDER BY attnum";
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.setString(1, quoted);
            try (ResultSet rows = statement.executeQuery()) {
                while (rows.next()) {
                    if (!filled.contains(rows.getString(1))) {
                        findings.add("column '" + rows.getString(1) + "' of table '"
                                + table.name()
                                + "' must not be null, and the stream does not fill it: map a field to it, or give it a"
                                + " default");
                    }
                }
            }
        }
    }

    private void checkKey(Connection connection, String quoted) throws SQLException {
        String columns = single(
                connection,
                "SELECT string_agg(attname, ', ') FROM pg_index JOIN pg_attribute ON attrelid = indrelid"
                        + " AND attnum = ANY (indkey) WHERE indrelid = ?::regclass AND indisprimary",
                quoted);
        if (!"fingerprint".equals(columns)) {
            findings.add("table '" + table.name() + "' has "
                    + (columns == null ? "no primary key" : "the primary key (" + columns + ")")
                    + ": it must be (fingerprint), the last guard against duplicates");
        }
    }

    private void checkPrivileges(Connection connection, String quoted) throws SQLException {
        for (String privilege : List.of("SELECT", "INSERT", "UPDATE")) {
            if (single(connection, "SELECT has_table_privilege(?, '" + privilege + "')::text", quoted)
                    .equals("false")) {
                findings.add("user '" + login.user() + "' may not " + privilege + " on table '" + table.name()
                        + "': grant it");
            }
        }
        if (single(connection, "SELECT has_database_privilege(current_database(), ?)::text", "TEMPORARY")
                .equals("false")) {
            findings.add(
                    "user '" + login.user() + "' may not create temporary tables: GRANT TEMPORARY ON DATABASE to it");
        }
    }

    private static String single(Connection connection, String sql, String parameter) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.setString(1, parameter);
            try (ResultSet rows = statement.executeQuery()) {
                rows.next();
                return rows.getString(1);
            }
        }
    }
}
