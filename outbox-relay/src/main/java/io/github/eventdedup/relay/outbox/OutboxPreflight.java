package io.github.eventdedup.relay.outbox;

import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.config.Identifiers;
import io.github.eventdedup.event.Column;
import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.Outbox;
import io.github.eventdedup.event.StreamDefinition;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Checks in Postgres whether the outbox can be relayed, and how its columns are encoded. */
public final class OutboxPreflight {

    /** The first in which seconds since 1970 are exact numbers. */
    private static final int OLDEST_POSTGRES = 14;

    private static final Set<String> INTEGERS = Set.of("smallint", "integer", "bigint");

    private final Connection connection;
    private final StreamDefinition stream;
    private final Outbox outbox;
    private final String user;
    private final Destination destination;
    private final List<String> findings = new ArrayList<>();

    private OutboxPreflight(Connection connection, StreamDefinition stream, String user, Destination destination) {
        this.connection = connection;
        this.stream = stream;
        this.user = user;
        this.destination = destination;
        outbox = stream.outbox();
    }

    /**
     * The columns of the outbox.
     *
     * @throws ConfigurationException with everything that keeps it from being relayed
     */
    public static OutboxColumns check(
            Connection connection, StreamDefinition stream, String user, Destination destination)
            throws SQLException, ConfigurationException {
        OutboxPreflight preflight = new OutboxPreflight(connection, stream, user, destination);
        Map<String, String> types = preflight.check();
        if (!preflight.findings.isEmpty()) {
            throw new ConfigurationException(
                    "the outbox '" + preflight.outbox.table() + "' cannot be relayed", preflight.findings);
        }
        return new OutboxColumns(preflight.outbox, types);
    }

    private Map<String, String> check() throws SQLException {
        int version = connection.getMetaData().getDatabaseMajorVersion();
        if (version < OLDEST_POSTGRES) {
            findings.add("Postgres is version " + version + ": " + OLDEST_POSTGRES + " or newer is needed");
        }
        if (isTrue("SELECT pg_is_in_recovery()")) {
            findings.add("Postgres is a standby, which cannot be written to: name the primary in DEDUP_POSTGRES_URL");
        }
        if (isTrue("SELECT current_setting('transaction_read_only')::boolean")) {
            findings.add(
                    "sessions of user '" + user + "' are read-only: ALTER ROLE … SET default_transaction_read_only ="
                            + " off, or name another server in DEDUP_POSTGRES_URL");
        }
        String table = Identifiers.postgresTable(outbox.table());
        Map<String, String> types = new HashMap<>();
        if (isTrue("SELECT to_regclass(?) IS NULL", table)) {
            findings.add("Postgres has no table '" + outbox.table() + "': create it, or correct outbox.table");
        } else {
            types = types(table);
            checkColumns(types);
            if (isPlain(table)) {
                checkId(table, types);
                checkFlag(table, types);
                checkPolicies(table, outbox.table(), "UPDATE");
            }
            checkPrivileges(table, types);
        }
        checkSetAside();
        return types;
    }

    private Map<String, String> types(String table) throws SQLException {
        // Without lengths and precisions; of a domain that which it is made of; of an enum the text that it is read as.
        String sql = "SELECT attname, format_type(CASE typtype WHEN 'd' THEN typbasetype WHEN 'e' THEN 'text'::regtype"
                + " ELSE atttypid END, NULL)"
                + " FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid"
                + " WHERE attrelid = ?::regclass AND attnum > 0 AND NOT attisdropped";
        Map<String, String> types = new HashMap<>();
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.setString(1, table);
            try (ResultSet rows = statement.executeQuery()) {
                while (rows.next()) {
                    types.put(rows.getString(1), rows.getString(2));
                }
            }
        }
        return types;
    }

    private Set<String> needed() {
        Set<String> needed = new LinkedHashSet<>(List.of(outbox.id(), outbox.sent()));
        outbox.fields().forEach(field -> needed.add(field.column()));
        if (outbox.partitionBy() != null) {
            needed.add(outbox.partitionBy());
        }
        return needed;
    }

    private void checkColumns(Map<String, String> types) {
        for (String column : needed()) {
            if (!types.containsKey(column)) {
                findings.add("table '" + outbox.table() + "' has no column '" + column + "'");
            }
        }
        expect(types, outbox.id(), INTEGERS, "the id of an outbox must be a smallint, integer or bigint");
        expect(types, outbox.sent(), Set.of("boolean"), "the flag of an outbox must be a boolean");
        for (Outbox.Field field : outbox.fields()) {
            String type = types.get(field.column());
            if (type == null) {
                continue;
            }
            Encoding encoding = Encoding.of(type);
            if (encoding == null) {
                findings.add(described(field.column(), type) + ", which cannot be sent; these can: "
                        + Encoding.supportedTypes());
            } else if (stream.fingerprint().contains(field.name()) && encoding.inFingerprint() == null) {
                findings.add(
                        described(field.column(), type)
                                + ", which cannot be part of a fingerprint: that accepts strings, integers, booleans, dates and timestamps");
            } else {
                checkDestination(field, type, encoding);
            }
        }
    }

    /** Every value of a column that fits no better would be a dead letter, or parked. */
    private void checkDestination(Outbox.Field field, String type, Encoding encoding) {
        for (Column column : destination.columns()) {
            if (column.field().equals(field.name())
                    && encoding.samples().stream().noneMatch(value -> EventReader.accepts(column.type(), value))) {
                findings.add(
                        described(field.column(), type) + ", which does not fit column '" + column.name() + "' of the"
                                + " destination '" + stream.table().name() + "'"
                                + (destination.unknown() == null
                                        ? ", " + destination.types().get(column.name())
                                        : "") + ": it accepts "
                                + column.type().accepts() + "; change one of the columns");
            }
        }
    }

    private void expect(Map<String, String> types, String column, Set<String> expected, String rule) {
        String type = types.get(column);
        if (type != null && !expected.contains(type)) {
            findings.add(described(column, type) + ": " + rule);
        }
    }

    private String described(String column, String type) {
        return "column '" + column + "' of table '" + outbox.table() + "' is " + type;
    }

    /** Rows are flagged by their ids: of two with the same, one would be flagged without having been sent. */
    private void checkId(String table, Map<String, String> types) throws SQLException {
        if (types.containsKey(outbox.id())
                && isTrue(
                        "SELECT NOT EXISTS (SELECT FROM pg_index JOIN pg_attribute ON attrelid = indrelid"
                                + " AND attnum = indkey[0] WHERE indrelid = ?::regclass AND attname = ? AND attnotnull"
                                + " AND indisunique AND indisvalid AND indnkeyatts = 1 AND indpred IS NULL)",
                        table,
                        outbox.id())) {
            findings.add("column '" + outbox.id() + "' of table '" + outbox.table()
                    + "' does not identify its rows: make it the primary key, or unique and not null");
        }
    }

    /** Whether rows can be locked and flagged, and an index over the ids holds for all of them. */
    private boolean isPlain(String table) throws SQLException {
        if (isTrue("SELECT relkind NOT IN ('r', 'p') FROM pg_class WHERE oid = ?::regclass", table)) {
            findings.add(
                    "'" + outbox.table() + "' is a view or a foreign table: name the table itself in outbox.table");
            return false;
        }
        if (isTrue(
                "SELECT relkind = 'r' AND EXISTS (SELECT FROM pg_inherits WHERE inhparent = pg_class.oid) FROM pg_class"
                        + " WHERE oid = ?::regclass",
                table)) {
            findings.add(
                    "table '" + outbox.table() + "' has tables that inherit from it, whose ids may be the same: make"
                            + " them partitions, or a stream each");
        }
        return true;
    }

    /** Causes that keep the relay from flagging any row; those of single rows show when they are flagged. */
    private void checkFlag(String table, Map<String, String> types) throws SQLException {
        if (!types.containsKey(outbox.sent())) {
            return;
        }
        if (isTrue(
                "SELECT attgenerated <> '' FROM pg_attribute WHERE attrelid = ?::regclass AND attname = ?",
                table,
                outbox.sent())) {
            findings.add("column '" + outbox.sent() + "' of table '" + outbox.table()
                    + "' is generated: the flag of an outbox must be a column that the relay can set");
        }
        if (isTrue(
                "SELECT EXISTS (SELECT FROM pg_rewrite WHERE ev_class = ?::regclass AND ev_type = '2' AND is_instead"
                        + " AND ev_enabled <> 'D')",
                table)) {
            findings.add("table '" + outbox.table()
                    + "' has a rule ON UPDATE DO INSTEAD: the relay could not set the flag;" + " drop the rule");
        }
    }

    /** Row-level security hides rows without an error, unless a policy gives the relay all of them. */
    private void checkPolicies(String table, String name, String command) throws SQLException {
        String policies =
                " FROM pg_policy WHERE polrelid = ?::regclass AND EXISTS (SELECT FROM unnest(polroles) AS role"
                        + " WHERE role = 0 OR pg_has_role(role, 'USAGE'))";
        String everyRow = policies + " AND polpermissive AND coalesce(pg_get_expr(polqual, polrelid), 'true') = 'true'"
                + " AND coalesce(pg_get_expr(polwithcheck, polrelid), 'true') = 'true' AND polcmd IN ('*', ?)";
        if (isTrue("SELECT row_security_active(?)", table)
                && (isTrue("SELECT EXISTS (SELECT" + policies + " AND NOT polpermissive)", table)
                        || isTrue("SELECT NOT EXISTS (SELECT" + everyRow + ")", table, "r")
                        || isTrue(
                                "SELECT NOT EXISTS (SELECT" + everyRow + ")",
                                table,
                                command.equals("UPDATE") ? "w" : "a"))) {
            findings.add("table '" + name + "' has row-level security, which hides rows from user '" + user
                    + "': ALTER ROLE … BYPASSRLS, or CREATE POLICY relay ON " + name + " TO " + user
                    + " USING (true)");
        }
    }

    private void checkPrivileges(String table, Map<String, String> types) throws SQLException {
        for (String column : needed()) {
            if (types.containsKey(column)
                    && isTrue("SELECT NOT has_column_privilege(?::regclass, ?, 'SELECT')", table, column)) {
                findings.add("user '" + user + "' may not SELECT column '" + column + "' of table '" + outbox.table()
                        + "': grant it");
            }
        }
        if (types.containsKey(outbox.sent())
                && isTrue("SELECT NOT has_column_privilege(?::regclass, ?, 'UPDATE')", table, outbox.sent())) {
            findings.add("user '" + user + "' may not UPDATE column '" + outbox.sent() + "' of table '" + outbox.table()
                    + "': grant it");
        }
    }

    private void checkSetAside() throws SQLException {
        if (isTrue("SELECT to_regclass('outbox_set_aside') IS NULL")) {
            findings.add("Postgres has no table 'outbox_set_aside': apply the files of sql/postgres");
            return;
        }
        for (String privilege : List.of("SELECT", "INSERT")) {
            if (isTrue("SELECT NOT has_table_privilege('outbox_set_aside', ?)", privilege)) {
                findings.add("user '" + user + "' may not " + privilege + " on table 'outbox_set_aside': grant it");
            }
        }
        checkPolicies("outbox_set_aside", "outbox_set_aside", "INSERT");
    }

    private boolean isTrue(String sql, String... parameters) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            for (int i = 0; i < parameters.length; i++) {
                statement.setString(i + 1, parameters[i]);
            }
            try (ResultSet rows = statement.executeQuery()) {
                rows.next();
                return rows.getBoolean(1);
            }
        }
    }
}
