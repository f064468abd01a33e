package io.github.eventdedup.proof.load;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.eventdedup.proof.system.CpuTimes;
import io.github.eventdedup.proof.system.Endpoints;
import io.github.eventdedup.proof.system.Flink;
import java.io.IOException;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import org.HdrHistogram.Histogram;

/**
 * What a load has measured. Where something could not be measured it is not there: null in JSON, "n/a" in the table.
 *
 * @param ledger the file
 */
record LoadReport(long seed, Path ledger, Counts counts, Times times, Costs costs) {

    private static final Duration CHECKPOINT_PATIENCE = Duration.ofSeconds(15);
    private static final Duration TICK = Duration.ofMillis(200);

    /**
     * What was sent.
     *
     * @param copies that were sent, each with its fate: acknowledged + invalid + unknown
     * @param distinct events among them
     * @param behind events of the schedule that were left out
     * @param retries of requests
     */
    record Counts(
            long copies, long distinct, long acknowledged, long invalid, long unknown, long behind, Retries retries) {

        static Counts of(LoadCounters counters) {
            return new Counts(
                    counters.sent.sum(),
                    counters.distinct.sum(),
                    counters.acknowledged.sum(),
                    counters.invalid.sum(),
                    counters.unknown.sum(),
                    counters.behind.sum(),
                    new Retries(counters.retried.sum(), counters.refused.sum()));
        }
    }

    /**
     * What was sent more than once.
     *
     * @param copies that took more than one try
     * @param requests that failed
     */
    record Retries(long copies, long requests) {}

    /**
     * How long it took.
     *
     * @param seconds from the first copy to the last answer
     * @param ack µs from the time that a copy was due to its answer
     * @param row µs from the time that an event was due until its row was seen
     * @param rowsPerSecond from the first copy to the last row
     */
    record Times(double seconds, Histogram ack, Histogram row, OptionalDouble rowsPerSecond) {

        static Times of(LoadCounters counters, VisibilityTracker probes, LoadProgress progress) {
            Histogram row = probes.untilVisible();
            double secondsToRows = (probes.lastVisible() - counters.begin()) / 1e9;
            return new Times(
                    (counters.lastAnswer() - counters.begin()) / 1e9,
                    progress.ack(),
                    row,
                    row.getTotalCount() == 0
                            ? OptionalDouble.empty()
                            : OptionalDouble.of(progress.rows() / secondsToRows));
        }
    }

    /**
     * What it took of the machine.
     *
     * @param cpuMicros for each process, for each copy that was sent
     * @param generatorCpuMicros of the load itself, for each copy that was sent
     * @param stateBytes of all state for each key in it
     * @param tableBytes of the table with its indexes, for each row
     */
    record Costs(
            Map<String, OptionalDouble> cpuMicros,
            double generatorCpuMicros,
            OptionalDouble stateBytes,
            OptionalDouble tableBytes) {

        /** Asks Postgres and Flink for the sizes; says on standard error where they do not answer. */
        static Costs of(CpuTimes cpu, Duration ownCpu, long copies, Endpoints endpoints, String stream)
                throws InterruptedException {
            Map<String, OptionalDouble> cpuMicros = new LinkedHashMap<>();
            for (String name : CpuTimes.NAMES) {
                cpuMicros.put(
                        name,
                        cpu.used(name).stream()
                                .mapToDouble(used -> micros(used, copies))
                                .findFirst());
            }
            OptionalDouble tableBytes = OptionalDouble.empty();
            OptionalDouble stateBytes = OptionalDouble.empty();
            try (Connection connection = endpoints.postgres().connect();
                    Statement statement = connection.createStatement();
                    ResultSet table = statement.executeQuery(
                            "SELECT count(*), pg_total_relation_size('view_events') FROM view_events")) {
                table.next();
                long rows = table.getLong(1);
                if (rows > 0) {
                    tableBytes = OptionalDouble.of((double) table.getLong(2) / rows);
                    stateBytes = OptionalDouble.of((double) stateBytes(new Flink(endpoints.flink()), stream) / rows);
                }
            } catch (SQLException | IOException e) {
                System.err.println("not available: " + e.getMessage());
            }
            return new Costs(cpuMicros, micros(ownCpu, copies), stateBytes, tableBytes);
        }

        /** Of a checkpoint that was begun after the last row was seen, where one comes in time. */
        private static long stateBytes(Flink flink, String stream) throws IOException, InterruptedException {
            long now = System.currentTimeMillis();
            Flink.Checkpoint checkpoint = flink.latestCheckpoint(stream);
            while (checkpoint.triggered() < now && System.currentTimeMillis() < now + CHECKPOINT_PATIENCE.toMillis()) {
                Thread.sleep(TICK.toMillis());
                checkpoint = flink.latestCheckpoint(stream);
            }
            return checkpoint.bytes();
        }

        private static double micros(Duration used, long copies) {
            return copies == 0 ? 0 : used.toNanos() / 1e3 / copies;
        }

        /** Of all processes; empty where one is not known. */
        private OptionalDouble totalCpuMicros() {
            return cpuMicros.values().stream().allMatch(OptionalDouble::isPresent)
                    ? OptionalDouble.of(cpuMicros.values().stream()
                            .mapToDouble(OptionalDouble::getAsDouble)
                            .sum())
                    : OptionalDouble.empty();
        }
    }

    private static final ObjectMapper JSON = new ObjectMapper();

    double eventsPerSecond() {
        return times.seconds > 0 ? counts.acknowledged / times.seconds : 0;
    }

    ObjectNode toJson() {
        ObjectNode json = JSON.createObjectNode();
        json.put("seed", seed)
                .put("events", counts.copies)
                .put("distinct", counts.distinct)
                .put("acknowledged", counts.acknowledged)
                .put("invalid", counts.invalid)
                .put("unknown", counts.unknown)
                .put("retried", counts.retries.copies)
                .put("refused", counts.retries.requests)
                .put("behind", counts.behind)
                .put("seconds", rounded(times.seconds))
                .put("eventsPerSecond", rounded(eventsPerSecond()));
        ObjectNode ackMillis = json.putObject("ackMillis");
        put(ackMillis, "p50", millis(times.ack, 50));
        put(ackMillis, "p95", millis(times.ack, 95));
        put(ackMillis, "p99", millis(times.ack, 99));
        put(ackMillis, "max", millis(times.ack, 100));
        ObjectNode rowMillis = json.putObject("rowMillis");
        put(rowMillis, "p50", millis(times.row, 50));
        put(rowMillis, "p99", millis(times.row, 99));
        put(rowMillis, "max", millis(times.row, 100));
        put(json, "rowsPerSecond", times.rowsPerSecond);
        ObjectNode cpu = json.putObject("cpuMicrosPerEvent");
        costs.cpuMicros.forEach((name, micros) -> put(cpu, name, micros));
        put(cpu, "total", costs.totalCpuMicros());
        json.put("generatorCpuMicrosPerEvent", rounded(costs.generatorCpuMicros));
        put(json, "stateBytesPerEvent", costs.stateBytes);
        put(json, "tableBytesPerEvent", costs.tableBytes);
        return json.put("ledger", ledger.toAbsolutePath().toString());
    }

    private static void put(ObjectNode json, String name, OptionalDouble value) {
        if (value.isPresent()) {
            json.put(name, rounded(value.getAsDouble()));
        } else {
            json.putNull(name);
        }
    }

    private static double rounded(double value) {
        return Math.round(value * 100) / 100.0;
    }

    private static OptionalDouble millis(Histogram micros, double percentile) {
        return micros.getTotalCount() == 0
                ? OptionalDouble.empty()
                : OptionalDouble.of(micros.getValueAtPercentile(percentile) / 1000.0);
    }

    /** For people, aligned. */
    String toTable() {
        StringBuilder table = new StringBuilder();
        line(table, "sent", "%,d copies of %,d events, seed %d", counts.copies, counts.distinct, seed);
        line(
                table,
                "acknowledged",
                "%,d, invalid %,d, unknown %,d",
                counts.acknowledged,
                counts.invalid,
                counts.unknown);
        line(
                table,
                "sent again",
                "%,d copies, after %,d failed requests",
                counts.retries.copies,
                counts.retries.requests);
        if (counts.behind > 0) {
            line(table, "behind", "%,d events of the schedule were left out: too many were overdue", counts.behind);
        }
        line(table, "events/s", "%,.0f in %.1f s", eventsPerSecond(), times.seconds);
        line(
                table,
                "POST to answer, ms",
                "p50 %s   p95 %s   p99 %s   max %s",
                text(millis(times.ack, 50)),
                text(millis(times.ack, 95)),
                text(millis(times.ack, 99)),
                text(millis(times.ack, 100)));
        line(
                table,
                "POST to row, ms",
                "p50 %s   p99 %s   max %s   (%,d events looked for)",
                text(millis(times.row, 50)),
                text(millis(times.row, 99)),
                text(millis(times.row, 100)),
                times.row.getTotalCount());
        line(table, "rows/s", "%s", text(times.rowsPerSecond));
        StringBuilder cpu = new StringBuilder();
        costs.cpuMicros.forEach((name, micros) ->
                cpu.append(name).append(' ').append(text(micros)).append("   "));
        line(
                table,
                "CPU, µs a copy",
                "%stotal %s   (and the generator: %.1f)",
                cpu,
                text(costs.totalCpuMicros()),
                costs.generatorCpuMicros);
        line(
                table,
                "bytes of state",
                "%s a key: the last checkpoint's size, for all rows of the table",
                text(costs.stateBytes));
        line(table, "bytes of table", "%s a row, index included", text(costs.tableBytes));
        line(table, "ledger", "%s", ledger);
        return table.toString();
    }

    private static void line(StringBuilder table, String name, String format, Object... values) {
        table.append(String.format(Locale.ROOT, "%-20s", name))
                .append(String.format(Locale.ROOT, format, values))
                .append(System.lineSeparator());
    }

    private static String text(OptionalDouble value) {
        return value.isPresent() ? String.format(Locale.ROOT, "%,.1f", value.getAsDouble()) : "n/a";
    }
}
