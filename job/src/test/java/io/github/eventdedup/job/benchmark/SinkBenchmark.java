package io.github.eventdedup.job.benchmark;

import io.github.eventdedup.event.Event;
import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.Fingerprint;
import io.github.eventdedup.event.PostgresTable;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.model.IdentifiedEvent;
import io.github.eventdedup.job.model.SourceRecord;
import io.github.eventdedup.job.postgres.CopyBuffer;
import io.github.eventdedup.job.postgres.PostgresBatchStore;
import io.github.eventdedup.job.settings.PostgresLogin;
import io.github.eventdedup.job.testing.Fixtures;
import io.github.eventdedup.servers.FreePort;
import io.github.eventdedup.servers.PostgresServer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/**
 * How fast the sink stores sample events over one connection, and what a row costs in CPU and on disk. Not a test: run it
 * with the command in docs/benchmarks.md. Arguments: rows, and how the document is stored ({@code json-in-row}, which is
 * what sql/postgres does, {@code json}, {@code jsonb} or {@code none}).
 */
public final class SinkBenchmark {

    private static final int BATCH = 1000;
    private static final int REPORT_EVERY = 100_000;

    private SinkBenchmark() {}

    public static void main(String[] arguments) throws Exception {
        int rows = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 1_000_000;
        String variant = arguments.length > 1 ? arguments[1] : "json-in-row";
        Path directory = Files.createTempDirectory("sink-benchmark");
        try (PostgresServer server = new PostgresServer(directory, FreePort.find())) {
            server.start();
            run(server, rows, variant);
        } finally {
            Fixtures.delete(directory);
        }
    }

    private static void run(PostgresServer server, int rows, String variant) throws Exception {
        PostgresLogin login = new PostgresLogin(server.jdbcUrl(), PostgresServer.USER);
        StreamDefinition stream = stream(variant);
        Fixtures.createTable(login);
        try (Connection connection = login.connect();
                Statement statement = connection.createStatement()) {
            switch (variant) {
                case "json" ->
                    statement.execute("ALTER TABLE view_events ALTER event SET STORAGE EXTENDED,"
                            + " RESET (toast_tuple_target)");
                case "jsonb" ->
                    statement.execute("ALTER TABLE view_events ALTER event TYPE jsonb USING event::jsonb,"
                            + " ALTER event SET STORAGE EXTENDED, RESET (toast_tuple_target)");
                case "none" -> statement.execute("ALTER TABLE view_events DROP COLUMN event");
                default -> {}
            }
        }
        System.out.printf("%s, %d rows, batches of %d%n", variant, rows, BATCH);
        System.out.println("      rows   rows/s   Postgres µs/row   own µs/row");
        List<SourceRecord> records = Fixtures.sampleRecords();
        List<byte[]> columns = columns(stream, records);
        SplittableRandom random = new SplittableRandom(1);
        try (PostgresBatchStore writer =
                new PostgresBatchStore(login, (PostgresTable) stream.table(), stream.window())) {
            for (int done = 0; done < rows; done += REPORT_EVERY) {
                int count = Math.min(REPORT_EVERY, rows - done);
                Duration postgresCpu = cpuOfChildren(server);
                Duration ownCpu = cpu(ProcessHandle.current());
                long start = System.nanoTime();
                for (int i = 0; i < count; i += BATCH) {
                    writer.store(batch(records, columns, random, done + i));
                }
                double seconds = (System.nanoTime() - start) / 1e9;
                System.out.printf(
                        "%10d   %6.0f   %15.1f   %10.1f%n",
                        done + count,
                        count / seconds,
                        micros(cpuOfChildren(server).minus(postgresCpu)) / count,
                        micros(cpu(ProcessHandle.current()).minus(ownCpu)) / count);
            }
        }
        try (Connection connection = login.connect();
                Statement statement = connection.createStatement();
                ResultSet size = statement.executeQuery("SELECT pg_total_relation_size('view_events') / count(*),"
                        + " pg_indexes_size('view_events') / count(*) FROM view_events")) {
            size.next();
            System.out.printf("bytes a row: %d, of these in the index %d%n", size.getLong(1), size.getLong(2));
        }
    }

    private static StreamDefinition stream(String variant) throws Exception {
        StreamDefinition stream = Fixtures.viewEvents();
        PostgresTable table = (PostgresTable) stream.table();
        PostgresTable.Document document = switch (variant) {
            case "none" -> null;
            case "jsonb" -> new PostgresTable.Document("event", PostgresTable.Document.Type.JSONB);
            default -> table.document();
        };
        return new StreamDefinition(
                stream.stream(),
                stream.fingerprint(),
                stream.window(),
                stream.ttlSlack(),
                null,
                new PostgresTable(table.name(), table.columns(), document));
    }

    private static List<byte[]> columns(StreamDefinition stream, List<SourceRecord> records) throws Exception {
        EventReader reader = new EventReader(stream);
        List<byte[]> columns = new ArrayList<>();
        for (SourceRecord record : records) {
            Event event = reader.read(record.value());
            columns.add(CopyBuffer.columns(event.columns()));
        }
        return columns;
    }

    private static List<IdentifiedEvent> batch(
            List<SourceRecord> records, List<byte[]> columns, SplittableRandom random, long firstOffset) {
        List<IdentifiedEvent> batch = new ArrayList<>(BATCH);
        for (int i = 0; i < BATCH; i++) {
            int sample = (int) ((firstOffset + i) % records.size());
            batch.add(new IdentifiedEvent(
                    new Fingerprint(random.nextLong(), random.nextLong(), random.nextLong(), random.nextLong()),
                    new SourceRecord(records.get(sample).value(), 0, firstOffset + i, 1_746_057_600_000L),
                    columns.get(sample)));
        }
        return batch;
    }

    /** The backend does the work, but the WAL writer, the checkpointer and the others count too. */
    static Duration cpuOfChildren(PostgresServer server) {
        return server.process()
                .descendants()
                .map(SinkBenchmark::cpu)
                .reduce(cpu(server.process().toHandle()), Duration::plus);
    }

    static Duration cpu(ProcessHandle process) {
        return process.info().totalCpuDuration().orElse(Duration.ZERO);
    }

    static double micros(Duration duration) {
        return duration.toNanos() / 1e3;
    }
}
