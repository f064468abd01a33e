package io.github.eventdedup.proof.load;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import org.HdrHistogram.Histogram;

/**
 * What a load has measured. Where something could not be measured it is not there: null in JSON, "n/a" in the table.
 *
 * @param copies that were sent, each with its fate: acknowledged + invalid + unknown
 * @param distinct events among them
 * @param seconds from the first copy to the last answer
 * @param ack µs from the time that a copy was due to its answer
 * @param row µs from the time that an event was due until its row was seen
 * @param rowsPerSecond from the first copy to the last row
 * @param cpuMicros for each process, for each copy that was sent
 * @param stateBytes of all state for each key in it
 * @param tableBytes of the table with its indexes, for each row
 */
record LoadReport(
        long seed,
        long copies,
        long distinct,
        long acknowledged,
        long invalid,
        long unknown,
        long retried,
        long refused,
        long behind,
        double seconds,
        Histogram ack,
        Histogram row,
        OptionalDouble rowsPerSecond,
        Map<String, OptionalDouble> cpuMicros,
        double generatorCpuMicros,
        OptionalDouble stateBytes,
        OptionalDouble tableBytes,
        Path ledger) {

    private static final ObjectMapper JSON = new ObjectMapper();

    double eventsPerSecond() {
        return seconds > 0 ? acknowledged / seconds : 0;
    }

    /** Of all processes; empty where one is not known. */
    private OptionalDouble totalCpuMicros() {
        return cpuMicros.values().stream().allMatch(OptionalDouble::isPresent)
                ? OptionalDouble.of(cpuMicros.values().stream()
                        .mapToDouble(OptionalDouble::getAsDouble)
                        .sum())
                : OptionalDouble.empty();
    }

    ObjectNode toJson() {
        ObjectNode json = JSON.createObjectNode();
        json.put("seed", seed)
                .put("events", copies)
                .put("distinct", distinct)
                .put("acknowledged", acknowledged)
                .put("invalid", invalid)
                .put("unknown", unknown)
                .put("retried", retried)
                .put("refused", refused)
                .put("behind", behind)
                .put("seconds", rounded(seconds))
                .put("eventsPerSecond", rounded(eventsPerSecond()));
        ObjectNode ackMillis = json.putObject("ackMillis");
        put(ackMillis, "p50", millis(ack, 50));
        put(ackMillis, "p95", millis(ack, 95));
        put(ackMillis, "p99", millis(ack, 99));
        put(ackMillis, "max", millis(ack, 100));
        ObjectNode rowMillis = json.putObject("rowMillis");
        put(rowMillis, "p50", millis(row, 50));
        put(rowMillis, "p99", millis(row, 99));
        put(rowMillis, "max", millis(row, 100));
        put(json, "rowsPerSecond", rowsPerSecond);
        ObjectNode cpu = json.putObject("cpuMicrosPerEvent");
        cpuMicros.forEach((name, micros) -> put(cpu, name, micros));
        put(cpu, "total", totalCpuMicros());
        json.put("generatorCpuMicrosPerEvent", rounded(generatorCpuMicros));
        put(json, "stateBytesPerEvent", stateBytes);
        put(json, "tableBytesPerEvent", tableBytes);
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
        line(table, "sent", "%,d copies of %,d events, seed %d", copies, distinct, seed);
        line(table, "acknowledged", "%,d, invalid %,d, unknown %,d", acknowledged, invalid, unknown);
        line(table, "sent again", "%,d copies, after %,d failed requests", retried, refused);
        if (behind > 0) {
            line(table, "behind", "%,d events of the schedule were left out: too many were overdue", behind);
        }
        line(table, "events/s", "%,.0f in %.1f s", eventsPerSecond(), seconds);
        line(
                table,
                "POST to answer, ms",
                "p50 %s   p95 %s   p99 %s   max %s",
                text(millis(ack, 50)),
                text(millis(ack, 95)),
                text(millis(ack, 99)),
                text(millis(ack, 100)));
        line(
                table,
                "POST to row, ms",
                "p50 %s   p99 %s   max %s   (%,d events looked for)",
                text(millis(row, 50)),
                text(millis(row, 99)),
                text(millis(row, 100)),
                row.getTotalCount());
        line(table, "rows/s", "%s", text(rowsPerSecond));
        StringBuilder cpu = new StringBuilder();
        cpuMicros.forEach((name, micros) ->
                cpu.append(name).append(' ').append(text(micros)).append("   "));
        line(
                table,
                "CPU, µs a copy",
                "%stotal %s   (and the generator: %.1f)",
                cpu,
                text(totalCpuMicros()),
                generatorCpuMicros);
        line(
                table,
                "bytes of state",
                "%s a key: the last checkpoint's size, for all rows of the table",
                text(stateBytes));
        line(table, "bytes of table", "%s a row, index included", text(tableBytes));
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
