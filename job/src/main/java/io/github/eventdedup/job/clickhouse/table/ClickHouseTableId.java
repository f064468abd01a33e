package io.github.eventdedup.job.clickhouse.table;

import com.clickhouse.client.api.Client;
import com.clickhouse.client.api.query.GenericRecord;
import io.github.eventdedup.job.settings.ClickHouseLogin;
import java.util.List;
import java.util.Map;

/**
 * Distinguishes a ClickHouse table from another of the same name. The id stays when the table is renamed or altered,
 * and changes where the table is exchanged, or dropped and created again.
 */
public final class ClickHouseTableId {

    private static final String NONE = "00000000-0000-0000-0000-000000000000";

    private ClickHouseTableId() {}

    /**
     * Asks ClickHouse.
     *
     * @param name of the table, with or without its database
     * @return null where ClickHouse gives its tables none, or has no such table
     */
    public static String of(Client client, ClickHouseLogin login, String name) {
        Map<String, Object> names = ClickHouseSchema.names(login, name);
        List<GenericRecord> tables = client.queryAll(
                "SELECT engine, toString(uuid) AS id FROM system.tables"
                        + " WHERE database = {database:String} AND name = {table:String}",
                names);
        if (tables.isEmpty()) {
            return null;
        }
        if (tables.get(0).getString("engine").startsWith("Replicated")) {
            // The replicas of a table may have different ids, but share the remembered tokens.
            List<GenericRecord> replicas = client.queryAll(
                    "SELECT zookeeper_path AS id FROM system.replicas"
                            + " WHERE database = {database:String} AND table = {table:String}",
                    names);
            return replicas.isEmpty() ? null : replicas.get(0).getString("id");
        }
        String id = tables.get(0).getString("id");
        return id.equals(NONE) ? null : id;
    }
}
