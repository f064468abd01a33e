package io.github.eventdedup.job;

import com.clickhouse.client.api.Client;
import com.clickhouse.client.api.query.GenericRecord;
import io.github.eventdedup.event.ClickHouseTable;
import io.github.eventdedup.event.ClickHouseType;
import io.github.eventdedup.event.Column;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What ClickHouse says about a stream's table: how rows are written, and what stands in the way of storing them once.
 *
 * @param format the columns that are filled; not to be used where there are findings
 * @param findings what is to be mended first, a line each
 */
record ClickHouseSchema(RowBinary format, List<String> findings) {

    /**
     * The least number of parts that the table has to remember. The inserts of one checkpoint are repeated at most: a few for
     * each subtask, up to {@link ClickHouseCommitter#MAX_INSERTS} where rows are refused. Each makes a part for every
     * partition that its rows belong to.
     */
    private static final long WINDOW = 1_000;

    private static final long WINDOW_WITH_PARTITIONS = 10_000;

    /** Replicated tables forget by time too. A savepoint holds inserted batches, and a job may be stopped for days. */
    private static final long SECONDS = 7 * 24 * 3600;

    /**
     * Asks ClickHouse.
     *
     * @throws RuntimeException where it does not answer, or refuses the login ({@link ClickHouseErrors})
     */
    static ClickHouseSchema of(ClickHouseLogin login, ClickHouseTable table) {
        List<String> findings = new ArrayList<>();
        List<ClickHouseColumn> columns = new ArrayList<>();
        try (Client client = login.connect()) {
            Map<String, Object> names = names(login, table);
            List<GenericRecord> found = client.queryAll(
                    "SELECT engine, engine_full, partition_key FROM system.tables"
                            + " WHERE database = {database:String} AND name = {table:String}",
                    names);
            if (found.isEmpty()) {
                findings.add("ClickHouse has no table " + quoted(names) + " that user '" + login.user()
                        + "' may use: apply the files of sql/clickhouse, or grant it");
            } else {
                checkEngine(client, names, found.get(0), findings);
                columns.addAll(columns(client, names, table, findings));
                checkGrant(client, login, names, findings);
                checkProfile(client, login, findings);
            }
        }
        return new ClickHouseSchema(new RowBinary(List.copyOf(columns)), findings);
    }

    private static Map<String, Object> names(ClickHouseLogin login, ClickHouseTable table) {
        int dot = table.name().indexOf('.');
        Map<String, Object> names = new HashMap<>();
        names.put("database", dot < 0 ? login.database() : table.name().substring(0, dot));
        names.put("table", table.name().substring(dot + 1));
        return names;
    }

    private static String quoted(Map<String, Object> names) {
        return '`' + names.get("database").toString() + "`.`" + names.get("table") + '`';
    }

    private static void checkEngine(
            Client client, Map<String, Object> names, GenericRecord table, List<String> findings) {
        String engine = table.getString("engine");
        if (!engine.endsWith("MergeTree")) {
            findings.add("table " + quoted(names) + " has the engine " + engine
                    + ": only a MergeTree recognises what is sent again after a failure");
            return;
        }
        long window = table.getString("partition_key").isEmpty() ? WINDOW : WINDOW_WITH_PARTITIONS;
        if (engine.startsWith("Replicated") || engine.startsWith("Shared")) {
            requireSetting(client, names, table, "replicated_deduplication_window", window, findings);
            requireSetting(client, names, table, "replicated_deduplication_window_seconds", SECONDS, findings);
        } else {
            requireSetting(client, names, table, "non_replicated_deduplication_window", window, findings);
        }
    }

    private static void requireSetting(
            Client client,
            Map<String, Object> names,
            GenericRecord table,
            String setting,
            long atLeast,
            List<String> findings) {
        Matcher own = Pattern.compile("\\b" + setting + " = (\\d+)").matcher(table.getString("engine_full"));
        long value = own.find()
                ? Long.parseLong(own.group(1))
                : client
                        .queryAll("SELECT value FROM system.merge_tree_settings WHERE name = '" + setting + "'")
                        .stream()
                        .mapToLong(row -> Long.parseLong(row.getString("value")))
                        .sum();
        if (value < atLeast) {
            findings.add("table " + quoted(names) + " has " + setting + " = " + value
                    + ": rows that are sent again after a failure would be stored twice. ALTER TABLE " + quoted(names)
                    + " MODIFY SETTING " + setting + " = " + atLeast);
        }
    }

    private static List<ClickHouseColumn> columns(
            Client client, Map<String, Object> names, ClickHouseTable table, List<String> findings) {
        Map<String, GenericRecord> actual = new HashMap<>();
        client.queryAll(
                        "SELECT name, type, default_kind FROM system.columns"
                                + " WHERE database = {database:String} AND table = {table:String}",
                        names)
                .forEach(row -> actual.put(row.getString("name"), row));
        List<ClickHouseColumn> columns = new ArrayList<>();
        for (Column column : table.columns()) {
            String told = "column '" + column.name() + "' of table " + quoted(names);
            GenericRecord found = actual.get(column.name());
            if (found == null) {
                findings.add("table " + quoted(names) + " has no column '" + column.name()
                        + "': add it, or correct sink.clickhouse.columns");
                continue;
            }
            String kind = found.getString("default_kind");
            ClickHouseColumn writable = ClickHouseColumn.of(column, found.getString("type"));
            if (kind.equals("MATERIALIZED") || kind.equals("ALIAS")) {
                findings.add(told + " is " + kind + ": ClickHouse computes it, no field can fill it");
            } else if (writable == null) {
                findings.add(
                        told + " is " + found.getString("type") + ": a field can fill " + ClickHouseType.supported());
            } else {
                columns.add(writable);
            }
        }
        return columns;
    }

    private static void checkGrant(
            Client client, ClickHouseLogin login, Map<String, Object> names, List<String> findings) {
        boolean granted =
                client.queryAll("CHECK GRANT INSERT ON " + quoted(names)).get(0).getBoolean("result");
        if (!granted) {
            findings.add("user '" + login.user() + "' may not insert into table " + quoted(names) + ": grant it");
        }
    }

    /** Versions that have this setting look at it before the one that every insert brings along. */
    private static void checkProfile(Client client, ClickHouseLogin login, List<String> findings) {
        if (!client.queryAll(
                        "SELECT value FROM system.settings WHERE name = 'deduplicate_insert' AND value = 'disable'")
                .isEmpty()) {
            findings.add(
                    "user '" + login.user() + "' has deduplicate_insert = disable in its profile: rows that are sent"
                            + " again after a failure would be stored twice; remove it");
        }
    }
}
