package io.github.eventdedup.job.clickhouse.table;

import com.clickhouse.client.api.Client;
import com.clickhouse.client.api.query.GenericRecord;
import io.github.eventdedup.config.Identifiers;
import io.github.eventdedup.event.ClickHouseTable;
import io.github.eventdedup.event.ClickHouseType;
import io.github.eventdedup.event.Column;
import io.github.eventdedup.job.settings.ClickHouseLogin;
import java.io.IOException;
import java.io.Serializable;
import java.io.UncheckedIOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A stream's table in ClickHouse: how rows are written, and what prevents storing them exactly once.
 *
 * @param format the columns that are filled; not to be used where there are findings
 * @param partitionKey how the partition of a row is known
 * @param rememberedParts how many of its newest parts the table recognises when they are inserted again
 * @param findings what has to be fixed first, one per line
 */
public record ClickHouseSchema(
        ClickHouseRowFormat format, ClickHousePartitions.Key partitionKey, long rememberedParts, List<String> findings)
        implements Serializable {

    private static final long serialVersionUID = 1L;

    /**
     * The least number of parts that the table has to remember. A recovery repeats the inserts of one checkpoint at most, and
     * {@code ClickHouseCommitter.requireRoom} bounds the parts that these make.
     */
    private static final long WINDOW = 1_000;

    private static final long WINDOW_WITH_PARTITIONS = 10_000;

    /** A database's name and a table's, each in backticks where it has to be. */
    private static final Pattern TABLE_NAME = Pattern.compile("(`[^`]+`|[^`.]+)\\.(`[^`]+`|[^`.]+)");

    /** Replicated tables forget by time too. A savepoint holds inserted batches, and a job may be stopped for days. */
    private static final long SECONDS = 7 * 24 * 3600;

    /**
     * Asks ClickHouse.
     *
     * @throws RuntimeException where it does not answer, or refuses the login ({@link ClickHouseErrors})
     */
    public static ClickHouseSchema of(ClickHouseLogin login, ClickHouseTable table) {
        List<String> findings = new ArrayList<>();
        List<ClickHouseColumnWriter> columns = new ArrayList<>();
        String partitionKey = "";
        boolean defaultInKey = false;
        long remembered = 0;
        try (Client client = login.connect()) {
            Map<String, Object> names = names(login, table.name());
            List<GenericRecord> found = client.queryAll(
                    "SELECT engine, engine_full, partition_key FROM system.tables"
                            + " WHERE database = {database:String} AND name = {table:String}",
                    names);
            if (found.isEmpty()) {
                findings.add("ClickHouse has no table " + quoted(names) + " that user '" + login.user()
                        + "' may use: apply the files of sql/clickhouse, or grant it");
            } else {
                partitionKey = found.get(0).getString("partition_key");
                remembered = checkEngine(client, names, found.get(0), findings);
                checkViews(client, names, findings);
                columns.addAll(columns(client, names, table, findings));
                defaultInKey = hasDefaultInPartitionKey(client, names, columns);
                checkGrant(client, login, names, findings);
                checkProfile(client, login, findings);
            }
        }
        ClickHouseRowFormat format = new ClickHouseRowFormat(List.copyOf(columns));
        // Only ClickHouse knows the partition of a row with NULL there, and only once the row is stored.
        ClickHousePartitions.Key key = defaultInKey || !findings.isEmpty()
                ? new ClickHousePartitions.Key(partitionKey, false)
                : partitionKey(login, partitionKey, format);
        return new ClickHouseSchema(format, key, remembered, findings);
    }

    private static boolean hasDefaultInPartitionKey(
            Client client, Map<String, Object> names, List<ClickHouseColumnWriter> columns) {
        Set<String> keyColumns = new HashSet<>();
        client.queryAll(
                        "SELECT name FROM system.columns WHERE database = {database:String} AND table = {table:String}"
                                + " AND is_in_partition_key",
                        names)
                .forEach(row -> keyColumns.add(row.getString("name")));
        return columns.stream()
                .anyMatch(
                        it -> it.hasDefault() && keyColumns.contains(it.column().name()));
    }

    private static ClickHousePartitions.Key partitionKey(
            ClickHouseLogin login, String expression, ClickHouseRowFormat format) {
        try {
            return ClickHousePartitions.keyOf(login, expression, format);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while querying ClickHouse", e);
        }
    }

    /** Parameters of a query for the table, whose name may have its database before it. */
    static Map<String, Object> names(ClickHouseLogin login, String table) {
        int dot = table.indexOf('.');
        Map<String, Object> names = new HashMap<>();
        names.put("database", dot < 0 ? login.database() : table.substring(0, dot));
        names.put("table", table.substring(dot + 1));
        return names;
    }

    private static String quoted(Map<String, Object> names) {
        return Identifiers.clickHouse(names.get("database").toString()) + "."
                + Identifiers.clickHouse(names.get("table").toString());
    }

    /** @return how many parts the table remembers */
    private static long checkEngine(
            Client client, Map<String, Object> names, GenericRecord table, List<String> findings) {
        String engine = table.getString("engine");
        if (!engine.endsWith("MergeTree")) {
            findings.add("table " + quoted(names) + " has the engine " + engine
                    + ": only a MergeTree recognises what is sent again after a failure");
            return 0;
        }
        long window = table.getString("partition_key").isEmpty() ? WINDOW : WINDOW_WITH_PARTITIONS;
        if (isReplicated(engine)) {
            requireSetting(client, names, table, "replicated_deduplication_window_seconds", SECONDS, findings);
            return requireSetting(client, names, table, "replicated_deduplication_window", window, findings);
        }
        return requireSetting(client, names, table, "non_replicated_deduplication_window", window, findings);
    }

    /** How many of its newest parts a table recognises, as it is now; -1 where there is no such table. */
    public static long rememberedParts(Client client, ClickHouseLogin login, String table) {
        List<GenericRecord> found = client.queryAll(
                "SELECT engine, engine_full FROM system.tables WHERE database = {database:String} AND name = {table:String}",
                names(login, table));
        return found.isEmpty()
                ? -1
                : value(
                        client,
                        found.get(0),
                        isReplicated(found.get(0).getString("engine"))
                                ? "replicated_deduplication_window"
                                : "non_replicated_deduplication_window");
    }

    private static boolean isReplicated(String engine) {
        return engine.startsWith("Replicated") || engine.startsWith("Shared");
    }

    /**
     * What ClickHouse hands on to materialized views it hands on again when a batch comes again, unless the tables that
     * they fill remember tokens too. Views may fill tables that have views.
     */
    private static void checkViews(Client client, Map<String, Object> names, List<String> findings) {
        Deque<Map<String, Object>> tables = new ArrayDeque<>(List.of(names));
        Set<String> seen = new HashSet<>();
        while (!tables.isEmpty()) {
            Map<String, Object> table = tables.pop();
            List<GenericRecord> views = client.queryAll(
                    "SELECT v.database AS database, v.name AS name, toString(v.uuid) AS id,"
                            + " extract(v.create_table_query, ' TO ((?:`(?:[^`])+`|[^ `(.]+)\\\\.(?:`(?:[^`])+`|[^ `(.]+))')"
                            + " AS target FROM system.tables AS v WHERE v.engine = 'MaterializedView' AND has("
                            + "(SELECT groupArrayArray(arrayZip(dependencies_database, dependencies_table)) FROM"
                            + " system.tables WHERE database = {database:String} AND name = {table:String}),"
                            + " (v.database, v.name))",
                    table);
            for (GenericRecord view : views) {
                Map<String, Object> target = target(view);
                if (seen.add(quoted(target))) {
                    checkTarget(client, view, target, findings);
                    tables.push(target);
                }
            }
        }
    }

    private static Map<String, Object> target(GenericRecord view) {
        Matcher to = TABLE_NAME.matcher(view.getString("target"));
        if (to.matches()) {
            return Map.of("database", unquoted(to.group(1)), "table", unquoted(to.group(2)));
        }
        String id = view.getString("id");
        boolean hasId = !id.matches("[0-]*");
        return Map.of(
                "database",
                view.getString("database"),
                "table",
                hasId ? ".inner_id." + id : ".inner." + view.getString("name"));
    }

    private static String unquoted(String name) {
        return name.startsWith("`") ? name.substring(1, name.length() - 1) : name;
    }

    private static void checkTarget(
            Client client, GenericRecord view, Map<String, Object> target, List<String> findings) {
        String told = "the materialized view `" + view.getString("database") + "`.`" + view.getString("name")
                + "` fills table " + quoted(target);
        List<GenericRecord> found = client.queryAll(
                "SELECT engine, engine_full, partition_key FROM system.tables"
                        + " WHERE database = {database:String} AND name = {table:String}",
                target);
        if (found.isEmpty()) {
            return;
        }
        GenericRecord table = found.get(0);
        String engine = table.getString("engine");
        // A Null table keeps nothing; its own views are checked in turn. What is replicated remembers unless told
        // otherwise.
        if (engine.equals("Null") || isReplicated(engine)) {
            return;
        }
        if (!engine.endsWith("MergeTree")) {
            findings.add(told + " of engine " + engine + ", which stores rows twice that are sent again after a"
                    + " failure: use a MergeTree for it");
            return;
        }
        String setting = "non_replicated_deduplication_window";
        long window = table.getString("partition_key").isEmpty() ? WINDOW : WINDOW_WITH_PARTITIONS;
        if (value(client, table, setting) < window) {
            findings.add(told + ", which would get rows twice that are sent again after a failure. ALTER TABLE "
                    + quoted(target) + " MODIFY SETTING " + setting + " = " + window);
        }
    }

    private static long requireSetting(
            Client client,
            Map<String, Object> names,
            GenericRecord table,
            String setting,
            long atLeast,
            List<String> findings) {
        long value = value(client, table, setting);
        if (value < atLeast) {
            findings.add("table " + quoted(names) + " has " + setting + " = " + value
                    + ": rows that are sent again after a failure would be stored twice. ALTER TABLE " + quoted(names)
                    + " MODIFY SETTING " + setting + " = " + atLeast);
        }
        return value;
    }

    private static long value(Client client, GenericRecord table, String setting) {
        Matcher own = Pattern.compile("\\b" + setting + " = (\\d+)").matcher(table.getString("engine_full"));
        return own.find()
                ? Long.parseLong(own.group(1))
                : client
                        .queryAll("SELECT value FROM system.merge_tree_settings WHERE name = '" + setting + "'")
                        .stream()
                        .mapToLong(row -> Long.parseLong(row.getString("value")))
                        .sum();
    }

    private static List<ClickHouseColumnWriter> columns(
            Client client, Map<String, Object> names, ClickHouseTable table, List<String> findings) {
        Map<String, GenericRecord> actual = new HashMap<>();
        client.queryAll(
                        "SELECT name, type, default_kind FROM system.columns"
                                + " WHERE database = {database:String} AND table = {table:String}",
                        names)
                .forEach(row -> actual.put(row.getString("name"), row));
        List<ClickHouseColumnWriter> columns = new ArrayList<>();
        for (Column column : table.columns()) {
            String told = "column '" + column.name() + "' of table " + quoted(names);
            GenericRecord found = actual.get(column.name());
            if (found == null) {
                findings.add("table " + quoted(names) + " has no column '" + column.name()
                        + "': add it, or correct sink.clickhouse.columns");
                continue;
            }
            String kind = found.getString("default_kind");
            ClickHouseColumnWriter writable =
                    ClickHouseColumnWriter.of(column, found.getString("type"), kind.equals("DEFAULT"));
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

    /** Versions with this setting apply it before the one that every insert sends. */
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
