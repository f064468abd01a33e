package io.github.eventdedup.event;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.eventdedup.config.Durations;
import io.github.eventdedup.config.StrictYaml;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Reads one stream definition and gathers every error on the way. It walks the YAML tree instead of binding it to
 * classes because binding stops at the first error. Not thread-safe, for one use.
 */
final class StreamDefinitionParser {

    private static final Duration DEFAULT_TTL_SLACK = Duration.ofDays(1);

    /** Room is left for the suffixes of the other topics: Kafka allows 249 characters. */
    private static final Pattern STREAM = Pattern.compile("[a-z0-9][a-z0-9._-]{0,199}");

    /** Unquoted Postgres identifiers of at most 63 bytes, so that the name in the file is the name in psql. */
    private static final Pattern IDENTIFIER = Pattern.compile("[a-z_][a-z0-9_]{0,62}");

    private static final Pattern TABLE = Pattern.compile("(?:[a-z_][a-z0-9_]{0,62}\\.)?[a-z_][a-z0-9_]{0,62}");

    /** ClickHouse tells upper case from lower case, and needs no quotes around these. */
    private static final Pattern CLICKHOUSE_IDENTIFIER = Pattern.compile("[a-zA-Z_][a-zA-Z0-9_]{0,62}");

    private static final Pattern CLICKHOUSE_TABLE =
            Pattern.compile("(?:[a-zA-Z_][a-zA-Z0-9_]{0,62}\\.)?[a-zA-Z_][a-zA-Z0-9_]{0,62}");

    private static final String LOWER_CASE = "lower-case letters, digits and '_'";

    private final Path file;
    private final List<String> errors = new ArrayList<>();

    StreamDefinitionParser(Path file) {
        this.file = file;
    }

    StreamDefinition parse(String text) throws InvalidStreamDefinitionException {
        StreamDefinition definition = StrictYaml.read(text, errors, this::stream);
        if (!errors.isEmpty()) {
            throw new InvalidStreamDefinitionException(file, errors);
        }
        return definition;
    }

    private StreamDefinition stream(JsonNode root) {
        if (!isMapping(
                "",
                root,
                Set.of("stream", "fingerprint", "window", "ttl-slack", "allow-short-retention", "outbox", "sink"))) {
            return null;
        }
        String stream = name("stream", root.get("stream"), STREAM, "lower-case letters, digits, '.', '_' and '-'");
        List<String> fingerprint = fingerprint(root.get("fingerprint"));
        Duration window = duration("window", root.get("window"));
        Duration ttlSlack = root.has("ttl-slack") ? duration("ttl-slack", root.get("ttl-slack")) : DEFAULT_TTL_SLACK;
        Outbox outbox = root.has("outbox") ? outbox(root.get("outbox"), fingerprint) : null;
        Table table = sink(root.get("sink"));
        boolean allowsShortRetention = flag("allow-short-retention", root.get("allow-short-retention"));
        return errors.isEmpty()
                ? new StreamDefinition(stream, fingerprint, window, ttlSlack, outbox, table, allowsShortRetention)
                : null;
    }

    private List<String> fingerprint(JsonNode node) {
        List<String> fields = new ArrayList<>();
        if (node == null) {
            errors.add("fingerprint: missing; list the fields that make two events the same");
        } else if (!node.isArray() || node.isEmpty()) {
            errors.add("fingerprint: must be a list of at least one field");
        } else {
            for (JsonNode element : node) {
                String field = field("fingerprint", element);
                if (field != null && fields.contains(field)) {
                    errors.add("fingerprint: '" + field + "' is listed twice");
                }
                fields.add(field);
            }
        }
        return fields;
    }

    private Outbox outbox(JsonNode node, List<String> fingerprint) {
        if (!isMapping("outbox", node, Set.of("table", "id", "sent", "partition-by", "restarted-ids", "fields"))) {
            return null;
        }
        String table = name("outbox.table", node.get("table"), TABLE, LOWER_CASE);
        String id = name("outbox.id", node.get("id"), IDENTIFIER, LOWER_CASE);
        String sent = name("outbox.sent", node.get("sent"), IDENTIFIER, LOWER_CASE);
        String partitionBy = node.has("partition-by")
                ? name("outbox.partition-by", node.get("partition-by"), IDENTIFIER, LOWER_CASE)
                : null;
        String restartedIds = node.path("restarted-ids").asText("refuse");
        if (!restartedIds.equals("refuse") && !restartedIds.equals("send")) {
            errors.add("outbox.restarted-ids: '" + restartedIds + "' is not one of refuse, send");
        }
        List<Outbox.Field> fields = new ArrayList<>();
        JsonNode mapping = node.get("fields");
        if (mapping == null || !mapping.isObject()) {
            errors.add("outbox.fields: must map fields to columns, as in 'user: username'");
        } else {
            mapping.properties()
                    .forEach(entry -> fields.add(new Outbox.Field(
                            entry.getKey(),
                            name("outbox.fields." + entry.getKey(), entry.getValue(), IDENTIFIER, LOWER_CASE))));
            for (String field : fingerprint) {
                if (field != null && !mapping.has(field)) {
                    errors.add("outbox.fields: lacks the field '" + field + "', which is part of the fingerprint");
                }
            }
        }
        return errors.isEmpty() ? new Outbox(table, id, sent, partitionBy, restartedIds.equals("send"), fields) : null;
    }

    private Table sink(JsonNode node) {
        if (!isMapping("sink", node, Set.of("postgres", "clickhouse"))) {
            return null;
        }
        if (node.has("clickhouse") == node.has("postgres")) {
            errors.add("sink: must have one of the keys clickhouse, postgres");
            return null;
        }
        return node.has("clickhouse") ? clickHouseTable(node.get("clickhouse")) : postgresTable(node.get("postgres"));
    }

    private PostgresTable postgresTable(JsonNode postgres) {
        if (!isMapping("sink.postgres", postgres, Set.of("table", "columns", "document"))) {
            return null;
        }
        String table = name("sink.postgres.table", postgres.get("table"), TABLE, LOWER_CASE);
        Set<String> names = new HashSet<>();
        List<Column> columns = columns(postgres.get("columns"), names);
        PostgresTable.Document document = postgres.has("document") ? document(postgres.get("document"), names) : null;
        return errors.isEmpty() ? new PostgresTable(table, columns, document) : null;
    }

    private ClickHouseTable clickHouseTable(JsonNode clickHouse) {
        if (!isMapping("sink.clickhouse", clickHouse, Set.of("table", "columns"))) {
            return null;
        }
        String table =
                name("sink.clickhouse.table", clickHouse.get("table"), CLICKHOUSE_TABLE, "letters, digits and '_'");
        List<Column> columns = new ArrayList<>();
        JsonNode mapping = clickHouse.get("columns");
        if (mapping == null || !mapping.isObject() || mapping.isEmpty()) {
            errors.add("sink.clickhouse.columns: must map columns to fields, as in 'username: user'");
        } else {
            mapping.properties().forEach(entry -> {
                String key = "sink.clickhouse.columns." + entry.getKey();
                if (!CLICKHOUSE_IDENTIFIER.matcher(entry.getKey()).matches()) {
                    errors.add(key + ": '" + entry.getKey() + "' is not a column name of letters, digits and '_'");
                }
                if (entry.getValue().isObject()) {
                    errors.add(key + ": must be the name of a field; the column's type is that of the table");
                } else {
                    columns.add(new Column(entry.getKey(), field(key, entry.getValue()), ColumnType.TEXT));
                }
            });
        }
        return errors.isEmpty() ? new ClickHouseTable(table, columns) : null;
    }

    private List<Column> columns(JsonNode node, Set<String> names) {
        List<Column> columns = new ArrayList<>();
        if (node == null || !node.isObject()) {
            errors.add("sink.postgres.columns: must map columns to fields, as in 'user_id: userId'");
            return columns;
        }
        node.properties().forEach(entry -> {
            String key = "sink.postgres.columns." + entry.getKey();
            columnName(key, entry.getKey(), names);
            JsonNode value = entry.getValue();
            if (value.isObject()) {
                if (isMapping(key, value, Set.of("field", "type"))) {
                    columns.add(
                            new Column(entry.getKey(), field(key + ".field", value.get("field")), type(key, value)));
                }
            } else {
                columns.add(new Column(entry.getKey(), field(key, value), ColumnType.TEXT));
            }
        });
        return columns;
    }

    private ColumnType type(String key, JsonNode column) {
        if (!column.has("type")) {
            return ColumnType.TEXT;
        }
        String name = column.get("type").asText();
        for (ColumnType type : ColumnType.values()) {
            if (type.yamlName().equals(name)) {
                return type;
            }
        }
        errors.add(key + ".type: '" + name + "' is not one of "
                + Arrays.stream(ColumnType.values()).map(ColumnType::yamlName).collect(Collectors.joining(", ")));
        return ColumnType.TEXT;
    }

    private PostgresTable.Document document(JsonNode node, Set<String> names) {
        String key = "sink.postgres.document";
        if (node.isTextual()) {
            columnName(key, node.asText(), names);
            return new PostgresTable.Document(node.asText(), PostgresTable.Document.Type.JSON);
        }
        if (!node.isObject()) {
            errors.add(key + ": must be the name of a column, or a mapping with the keys column, type");
            return null;
        }
        isMapping(key, node, Set.of("column", "type"));
        String column = node.path("column").isTextual() ? node.get("column").asText() : "";
        columnName(key + ".column", column, names);
        String type = node.has("type") ? node.get("type").asText() : "json";
        if (!type.equals("json") && !type.equals("jsonb")) {
            errors.add(key + ".type: '" + type + "' is not one of json, jsonb");
            return null;
        }
        return new PostgresTable.Document(column, PostgresTable.Document.Type.valueOf(type.toUpperCase(Locale.ROOT)));
    }

    private void columnName(String key, String name, Set<String> names) {
        if (!IDENTIFIER.matcher(name).matches()) {
            errors.add(key + ": '" + name + "' is not a column name of lower-case letters, digits and '_'");
        } else if (PostgresTable.OWN_COLUMNS.contains(name)) {
            errors.add(key + ": the column '" + name + "' is filled by the job itself; choose another name");
        } else if (!names.add(name)) {
            errors.add(key + ": the column '" + name + "' is filled twice");
        }
    }

    private String field(String key, JsonNode node) {
        if (node == null || !node.isTextual() || node.asText().isEmpty()) {
            errors.add(key + ": must be the name of a field, a string");
            return null;
        }
        return node.asText();
    }

    private String name(String key, JsonNode node, Pattern pattern, String allowed) {
        if (node == null) {
            errors.add(key + ": missing");
            return null;
        }
        if (!node.isTextual() || !pattern.matcher(node.asText()).matches()) {
            errors.add(key + ": '" + node.asText() + "' is not a name of " + allowed);
            return null;
        }
        return node.asText();
    }

    private boolean flag(String key, JsonNode node) {
        if (node != null && !node.asText().equals("true") && !node.asText().equals("false")) {
            errors.add(key + ": '" + node.asText() + "' is not one of true, false");
        }
        return node != null && node.asText().equals("true");
    }

    private Duration duration(String key, JsonNode node) {
        if (node == null) {
            errors.add(key + ": missing; write a duration such as 7d, 36h, 90m or 30s");
            return null;
        }
        Duration duration = Durations.parse(node.asText()).orElse(Duration.ZERO);
        // The databases count windows in seconds.
        if (duration.isZero() || duration.toMillisPart() != 0) {
            errors.add(key + ": '" + node.asText() + "' is not a duration; write 7d, 36h, 90m or 30s");
            return null;
        }
        return duration;
    }

    private boolean isMapping(String key, JsonNode node, Set<String> known) {
        return StrictYaml.isMapping(
                key.isEmpty() ? "the file" : key, key.isEmpty() ? "" : key + ".", node, known, errors);
    }
}
