package io.github.eventdedup.job.postgres;

import io.github.eventdedup.config.Identifiers;
import io.github.eventdedup.event.Column;
import io.github.eventdedup.event.PostgresTable;
import io.github.eventdedup.job.settings.Endpoints;
import io.github.eventdedup.job.settings.PostgresLogin;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The checks of {@code Preflight} for streams that are stored in Postgres. */
public final class PostgresPreflight {

    private static final Logger LOG = LoggerFactory.getLogger(PostgresPreflight.class);

    private static final String ORDINARY_TABLE = "r";
    private static final String PARTITIONED_TABLE = "p";
    private static final Map<String, String> OTHER_RELATIONS =
            Map.of("v", "a view", "m", "a materialized view", "f", "a foreign table", "S", "a sequence", "c", "a type");

    private static final String PERMISSION_DENIED = "42501";

    private final PostgresTable table;
    private final PostgresLogin login;
    private final List<String> findings;

    /** @param findings are added to, a line each */
    public PostgresPreflight(PostgresTable table, PostgresLogin login, List<String> findings) {
        this.table = table;
        this.login = login;
        this.findings = findings;
    }

    /**
     * Checks the server and the table.
     *
     * @param allowsNonDurable whether a server that may lose rows when it crashes is only warned of
     */
    public void check(boolean allowsNonDurable) {
        try (Connection connection = login.connect()) {
            checkDurability(connection, allowsNonDurable);
            checkWritable(connection);
            checkTable(connection);
        } catch (SQLException e) {
            findings.add(
                    PERMISSION_DENIED.equals(e.getSQLState())
                            ? "user '" + login.user() + "' may not use table '" + table.name() + "': grant it ("
                                    + SqlErrors.reason(e) + ")"
                            : login.cannotBeUsed(e));
        } catch (RuntimeException e) {
            findings.add(e.getMessage());
        }
    }

    private void checkDurability(Connection connection, boolean allowsNonDurable) throws SQLException {
        for (String setting : List.of("fsync", "full_page_writes", "synchronous_commit")) {
            if (!single(connection, "SELECT current_setting(?)", setting).equals("off")) {
                continue;
            }
            String finding = "Postgres runs with " + setting + "=off: turn it on, or a crash of its machine loses rows"
                    + " that were reported as stored";
            if (allowsNonDurable) {
                LOG.warn("{}; {} is set", finding, Endpoints.ALLOW_NONDURABLE_POSTGRES);
            } else {
                findings.add(finding + ". If its storage keeps them nevertheless, as some managed servers do, set "
                        + Endpoints.ALLOW_NONDURABLE_POSTGRES + "=true");
            }
        }
    }

    private void checkWritable(Connection connection) throws SQLException {
        if (single(connection, "SELECT current_setting(?)", "transaction_read_only")
                .equals("on")) {
            findings.add("Postgres at " + login.shownUrl()
                    + " accepts no writes (transaction_read_only=on): name the primary,"
                    + " not a standby, in DEDUP_POSTGRES_URL, or allow user '" + login.user() + "' to write");
        }
    }

    /** Adds what would make the table reject each row, or lose it. */
    void checkTable(Connection connection) throws SQLException {
        String quoted = Identifiers.postgresTable(table.name());
        if (single(connection, "SELECT to_regclass(?)::text", quoted) == null) {
            findings.add("Postgres has no table '" + table.name() + "': apply the files of sql/postgres");
            return;
        }
        String kind = single(connection, "SELECT relkind::text FROM pg_class WHERE oid = ?::regclass", quoted);
        if (!kind.equals(ORDINARY_TABLE) && !kind.equals(PARTITIONED_TABLE)) {
            findings.add("'" + table.name() + "' is " + OTHER_RELATIONS.getOrDefault(kind, "no table")
                    + ": name the table itself in the stream definition");
            return;
        }
        checkColumns(connection, quoted);
        checkUnfilled(connection, quoted);
        checkKey(connection, quoted);
        checkPersistence(connection, quoted);
        checkRules(connection, quoted);
        checkRowSecurity(connection, quoted);
        checkPrivileges(connection, quoted);
        checkSequences(connection, quoted);
    }

    /** The digits after the second that a timestamp without a precision keeps. */
    private static final int MICROSECONDS = 6;

    private void checkColumns(Connection connection, String quoted) throws SQLException {
        // Without the length of a varchar: values that are too long are rejected row by row. A domain is written as its
        // base type.
        String sql =
                "WITH RECURSIVE base AS (SELECT oid AS type, oid AS base, -1 AS modifier FROM pg_type WHERE typtype <> 'd'"
                        + " UNION ALL SELECT domain.oid, base.base, greatest(base.modifier, domain.typtypmod) FROM pg_type domain"
                        + " JOIN base ON domain.typbasetype = base.type WHERE domain.typtype = 'd')"
                        + " SELECT attname, format_type(base.base, NULL), attgenerated::text, attidentity::text,"
                        + " attnotnull OR atthasdef, greatest(base.modifier, atttypmod) FROM pg_attribute JOIN base ON base.type = atttypid"
                        + " WHERE attrelid = ?::regclass AND attnum > 0 AND NOT attisdropped";
        Map<String, List<String>> missing = expectedTypes();
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.setString(1, quoted);
            try (ResultSet rows = statement.executeQuery()) {
                while (rows.next()) {
                    String column = rows.getString(1);
                    List<String> types = missing.remove(column);
                    if (types == null) {
                        continue;
                    }
                    String name = "column '" + column + "' of table '" + table.name() + "' ";
                    if (!types.contains(rows.getString(2))) {
                        findings.add(name + "is " + rows.getString(2) + ": the stream definition needs "
                                + String.join(" or ", types));
                    }
                    int digits = rows.getInt(6);
                    if (rows.getString(2).startsWith("timestamp") && digits >= 0 && digits < MICROSECONDS) {
                        findings.add(name + "keeps " + digits
                                + " digits of a second, and would round the others: make it " + rows.getString(2));
                    }
                    if (!rows.getString(3).isEmpty()) {
                        findings.add(name + "is generated, so the job cannot write it: take it out of the stream"
                                + " definition, or drop its expression");
                    }
                    if (rows.getString(4).equals("a")) {
                        findings.add(
                                name + "is GENERATED ALWAYS AS IDENTITY, so the job cannot write it: take it out of"
                                        + " the stream definition, or make it GENERATED BY DEFAULT");
                    }
                    if (column.equals("escapes") && !rows.getBoolean(5)) {
                        findings.add(name + "has no default: give it the default 0");
                    }
                }
            }
        }
        missing.forEach((column, types) -> findings.add(
                "table '" + table.name() + "' has no column '" + column + "': add it, as " + types.get(0)));
    }

    /** An unlogged table is emptied when Postgres crashes, and so is each unlogged partition. */
    private void checkPersistence(Connection connection, String quoted) throws SQLException {
        String unlogged = single(
                connection,
                "SELECT string_agg(part.relid::text, ', ') FROM (SELECT relid FROM pg_partition_tree(?::regclass)"
                        + " UNION SELECT ?::regclass) part JOIN pg_class ON oid = relid AND relpersistence <> 'p'",
                quoted,
                quoted);
        if (unlogged != null) {
            findings.add("table '" + table.name() + "' is UNLOGGED (" + unlogged
                    + "), so a crash of Postgres empties it:" + " ALTER TABLE … SET LOGGED");
        }
    }

    /** COPY ignores rules, and an upsert is refused where there are any. */
    private void checkRules(Connection connection, String quoted) throws SQLException {
        String rules = single(
                connection,
                "SELECT string_agg(quote_ident(rulename), ', ') FROM pg_rewrite WHERE ev_class = ?::regclass"
                        + " AND ev_type IN ('2', '3')",
                quoted);
        if (rules != null) {
            findings.add("table '" + table.name() + "' has rules ON INSERT or ON UPDATE (" + rules + "), with which an"
                    + " upsert is not possible: drop them, or write a trigger instead");
        }
    }

    private void checkRowSecurity(Connection connection, String quoted) throws SQLException {
        if (single(connection, "SELECT row_security_active(?)::text", quoted).equals("true")) {
            findings.add(
                    "table '" + table.name() + "' has row-level security, with which COPY is not possible for user '"
                            + login.user() + "': ALTER ROLE … BYPASSRLS, or disable it for this table");
        }
    }

    /** The default of a serial column needs a privilege of its own. */
    private void checkSequences(Connection connection, String quoted) throws SQLException {
        String sequences = single(
                connection,
                "SELECT string_agg(DISTINCT sequence.oid::regclass::text, ', ') FROM pg_attrdef"
                        + " JOIN pg_depend ON classid = 'pg_attrdef'::regclass AND objid = pg_attrdef.oid"
                        + " AND refclassid = 'pg_class'::regclass"
                        + " JOIN pg_class sequence ON sequence.oid = refobjid"
                        // Conditions are evaluated in any order, and the function fails for a table.
                        + " WHERE adrelid = ?::regclass AND CASE sequence.relkind WHEN 'S'"
                        + " THEN NOT has_sequence_privilege(sequence.oid, 'USAGE') ELSE false END",
                quoted);
        if (sequences != null) {
            findings.add("user '" + login.user() + "' may not use the sequence " + sequences
                    + ", which fills a column: GRANT USAGE ON SEQUENCE to it");
        }
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

    /** A column that must not be null and is never filled would make every row a dead letter. */
    private void checkUnfilled(Connection connection, String quoted) throws SQLException {
        Set<String> filled = Set.copyOf(UpsertSql.columns(table));
        String sql = "SELECT attname FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid"
                + " WHERE attrelid = ?::regclass AND attnum > 0 AND NOT attisdropped"
                + " AND (attnotnull OR typnotnull) AND NOT atthasdef AND attidentity = '' AND typdefault IS NULL"
                + " ORDER BY attnum";
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
        // Columns that the index only INCLUDEs are not part of the key.
        String columns = single(
                connection,
                "SELECT string_agg(attname, ', ') FROM pg_index JOIN pg_attribute ON attrelid = indrelid"
                        + " AND attnum = ANY ((indkey::int2[])[0:indnkeyatts - 1])"
                        + " WHERE indrelid = ?::regclass AND indisprimary",
                quoted);
        if (!"fingerprint".equals(columns)) {
            findings.add("table '" + table.name() + "' has "
                    + (columns == null ? "no primary key" : "the primary key (" + columns + ")")
                    + ": it must be (fingerprint), the last guard against duplicates");
        }
        String deferrable = single(
                connection,
                "SELECT string_agg(conname, ', ') FROM pg_constraint WHERE conrelid = ?::regclass AND condeferrable"
                        + " AND contype IN ('p', 'u') AND conkey = ARRAY[(SELECT attnum FROM pg_attribute"
                        + " WHERE attrelid = conrelid AND attname = 'fingerprint')]",
                quoted);
        if (deferrable != null) {
            findings.add("the key " + deferrable + " of table '" + table.name()
                    + "' is DEFERRABLE, with which an upsert is not possible: make it NOT DEFERRABLE");
        }
    }

    /** A privilege on the table serves as well as those on each of the columns that it is needed for. */
    private void checkPrivileges(Connection connection, String quoted) throws SQLException {
        List<String> written = UpsertSql.columns(table);
        List<String> read = new ArrayList<>(written);
        read.add("escapes");
        Map<String, List<String>> needed = new LinkedHashMap<>();
        needed.put("SELECT", read);
        needed.put("INSERT", written);
        needed.put("UPDATE", List.of("escapes"));
        for (Map.Entry<String, List<String>> privilege : needed.entrySet()) {
            if (single(connection, "SELECT has_table_privilege(?, ?)::text", quoted, privilege.getKey())
                    .equals("true")) {
                continue;
            }
            String lacking = single(
                    connection,
                    "SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = ?::regclass"
                            + " AND attnum > 0 AND NOT attisdropped AND attname = ANY (string_to_array(?, ','))"
                            + " AND NOT has_column_privilege(attrelid, attnum, ?)",
                    quoted,
                    String.join(",", privilege.getValue()),
                    privilege.getKey());
            if (lacking != null) {
                findings.add("user '" + login.user() + "' may not " + privilege.getKey() + " on table '" + table.name()
                        + (lacking.split(", ").length == privilege.getValue().size() ? "'" : "', columns " + lacking)
                        + ": grant it");
            }
        }
        if (single(connection, "SELECT has_database_privilege(current_database(), ?)::text", "TEMPORARY")
                .equals("false")) {
            findings.add(
                    "user '" + login.user() + "' may not create temporary tables: GRANT TEMPORARY ON DATABASE to it");
        }
    }

    private static String single(Connection connection, String sql, String... parameters) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            for (int i = 0; i < parameters.length; i++) {
                statement.setString(i + 1, parameters[i]);
            }
            try (ResultSet rows = statement.executeQuery()) {
                rows.next();
                return rows.getString(1);
            }
        }
    }
}
