package io.github.eventdedup.job;

import io.github.eventdedup.event.Column;
import io.github.eventdedup.event.PostgresTable;
import io.github.eventdedup.event.StreamDefinition;
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
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.config.TopicConfig;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** Looks, before the job is submitted, for what would only fail once it runs. Each finding is a line that says what to do. */
final class Preflight {

    /** What headers and framing add to a record that becomes a dead letter. */
    private static final int DEAD_LETTER_OVERHEAD_BYTES = 64 * 1024;

    private final StreamDefinition stream;
    private final Neighbours neighbours;
    private final List<String> findings = new ArrayList<>();

    private Preflight(StreamDefinition stream, Neighbours neighbours) {
        this.stream = stream;
        this.neighbours = neighbours;
    }

    /**
     * Checks Kafka and Postgres.
     *
     * @throws InvalidSettingsException with everything that was found
     */
    static void check(StreamDefinition stream, Neighbours neighbours) throws InvalidSettingsException {
        Preflight preflight = new Preflight(stream, neighbours);
        preflight.checkKafka();
        preflight.checkPostgres();
        if (!preflight.findings.isEmpty()) {
            throw new InvalidSettingsException(preflight.findings);
        }
    }

    private void checkKafka() {
        try (Admin admin = neighbours.kafka()) {
            Map<String, Config> topics = new LinkedHashMap<>();
            for (String topic : List.of(stream.stream(), stream.duplicatesTopic(), stream.deadLettersTopic())) {
                Config config = config(admin, topic);
                if (config == null) {
                    findings.add("Kafka has no topic '" + topic + "': create it");
                } else {
                    topics.put(topic, config);
                }
            }
            if (topics.size() == 3) {
                checkTopics(topics);
            }
        } catch (ExecutionException e) {
            findings.add(neighbours.kafkaDoesNotAnswer(e));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            findings.add("interrupted while asking Kafka");
        } catch (KafkaException e) {
            findings.add(neighbours.kafkaDoesNotAnswer(e));
        }
    }

    private static Config config(Admin admin, String topic) throws ExecutionException, InterruptedException {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        try {
            return admin.describeConfigs(Set.of(resource))
                    .values()
                    .get(resource)
                    .get();
        } catch (ExecutionException e) {
            if (e.getCause() instanceof UnknownTopicOrPartitionException) {
                return null;
            }
            throw e;
        }
    }

    private void checkTopics(Map<String, Config> topics) {
        String type = value(topics.get(stream.stream()), TopicConfig.MESSAGE_TIMESTAMP_TYPE_CONFIG);
        if (!type.equals("LogAppendTime")) {
            findings.add("topic '" + stream.stream() + "' has message.timestamp.type=" + type
                    + ": set it to LogAppendTime, or the window would run on the clocks of clients");
        }
        long largest = maxBytes(topics, stream.stream());
        for (String topic : List.of(stream.duplicatesTopic(), stream.deadLettersTopic())) {
            if (maxBytes(topics, topic) < largest + DEAD_LETTER_OVERHEAD_BYTES) {
                findings.add("topic '" + topic + "' takes records of " + maxBytes(topics, topic) + " bytes: set its"
                        + " max.message.bytes to " + (largest + DEAD_LETTER_OVERHEAD_BYTES) + " or more, since '"
                        + stream.stream() + "' takes " + largest);
            }
        }
    }

    private static long maxBytes(Map<String, Config> topics, String topic) {
        return Long.parseLong(value(topics.get(topic), TopicConfig.MAX_MESSAGE_BYTES_CONFIG));
    }

    private static String value(Config config, String name) {
        return config.get(name).value();
    }

    private void checkPostgres() {
        try (Connection connection = neighbours.postgres().connect()) {
            checkDurability(connection);
            checkTable(connection);
        } catch (SQLException e) {
            findings.add(neighbours.postgres().cannotBeUsed(e));
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
        String quoted = UpsertSql.quotedTable(stream.table());
        if (single(connection, "SELECT to_regclass(?)::text", quoted) == null) {
            findings.add("Postgres has no table '" + stream.table().name() + "': apply the files of sql/postgres");
            return;
        }
        Map<String, String> actual = columnTypes(connection, quoted);
        expectedTypes().forEach((column, types) -> {
            String type = actual.get(column);
            if (type == null) {
                findings.add("table '" + stream.table().name() + "' has no column '" + column + "': add it, as "
                        + types.get(0));
            } else if (!types.contains(type)) {
                findings.add(
                        "column '" + column + "' of table '" + stream.table().name() + "' is " + type
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
        for (Column column : stream.table().columns()) {
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
        PostgresTable.Document document = stream.table().document();
        if (document != null) {
            types.put(document.column(), List.of(document.type().name().toLowerCase(Locale.ROOT)));
        }
        return types;
    }

    private static Map<String, String> columnTypes(Connection connection, String table) throws SQLException {
        // Without the length of a varchar: what is too long for it is refused row by row.
        String sql = "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute"
                + " WHERE attrelid = ?::regclass AND attnum > 0 AND NOT attisdropped";
        Map<String, String> types = new LinkedHashMap<>();
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

    /** A column that must not be null and that nobody fills would make every row a dead letter. */
    private void checkUnfilled(Connection connection, String table) throws SQLException {
        Set<String> filled = Set.copyOf(UpsertSql.columns(stream.table()));
        String sql = "SELECT attname FROM pg_attribute WHERE attrelid = ?::regclass AND attnum > 0 AND NOT attisdropped"
                + " AND attnotnull AND NOT atthasdef AND attidentity = '' ORDER BY attnum";
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.setString(1, table);
            try (ResultSet rows = statement.executeQuery()) {
                while (rows.next()) {
                    if (!filled.contains(rows.getString(1))) {
                        findings.add("column '" + rows.getString(1) + "' of table '"
                                + stream.table().name()
                                + "' must not be null, and the stream does not fill it: map a field to it, or give it a"
                                + " default");
                    }
                }
            }
        }
    }

    private void checkKey(Connection connection, String table) throws SQLException {
        String columns = single(
                connection,
                "SELECT string_agg(attname, ', ') FROM pg_index JOIN pg_attribute ON attrelid = indrelid"
                        + " AND attnum = ANY (indkey) WHERE indrelid = ?::regclass AND indisprimary",
                table);
        if (!"fingerprint".equals(columns)) {
            findings.add("table '" + stream.table().name() + "' has "
                    + (columns == null ? "no primary key" : "the primary key (" + columns + ")")
                    + ": it must be (fingerprint), the last guard against duplicates");
        }
    }

    private void checkPrivileges(Connection connection, String table) throws SQLException {
        for (String privilege : List.of("SELECT", "INSERT", "UPDATE")) {
            if (single(connection, "SELECT has_table_privilege(?, '" + privilege + "')::text", table)
                    .equals("false")) {
                findings.add("user '" + neighbours.postgres().user() + "' may not " + privilege + " on table '"
                        + stream.table().name() + "': grant it");
            }
        }
        if (single(connection, "SELECT has_database_privilege(current_database(), ?)::text", "TEMPORARY")
                .equals("false")) {
            findings.add("user '" + neighbours.postgres().user()
                    + "' may not create temporary tables: GRANT TEMPORARY ON DATABASE to it");
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
