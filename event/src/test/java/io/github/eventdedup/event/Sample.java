package io.github.eventdedup.event;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

/** What the tests read: the repository's stream, its 200 sample events, and a small stream with every column type. */
final class Sample {

    /** Property tests are the same in every build; another seed is tried with {@code -Devent.seed=…}. */
    static final long SEED = Long.getLong("event.seed", 1);

    static final StreamDefinition TYPED = stream(
            "typed",
            List.of("id"),
            List.of(
                    new Column("text", "text", ColumnType.TEXT),
                    new Column("bigint", "bigint", ColumnType.BIGINT),
                    new Column("double", "double", ColumnType.DOUBLE),
                    new Column("boolean", "boolean", ColumnType.BOOLEAN),
                    new Column("timestamp", "timestamp", ColumnType.TIMESTAMP)),
            null);

    private Sample() {}

    static StreamDefinition viewEvents() throws IOException, InvalidStreamDefinitionException {
        return StreamDefinition.read(Path.of("../streams/view-events.yaml"));
    }

    static List<byte[]> lines() throws IOException {
        return Files.readAllLines(Path.of("src/test/resources/view-events.jsonl")).stream()
                .map(line -> line.getBytes(StandardCharsets.UTF_8))
                .toList();
    }

    static StreamDefinition stream(
            String name, List<String> fingerprint, List<Column> columns, PostgresTable.Document document) {
        return new StreamDefinition(
                name,
                fingerprint,
                Duration.ofDays(7),
                Duration.ofDays(1),
                null,
                new PostgresTable("t", columns, document));
    }
}
