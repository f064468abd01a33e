package io.github.eventdedup.proof.load;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.eventdedup.proof.system.CpuTimes;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import org.HdrHistogram.Histogram;
import org.junit.jupiter.api.Test;

final class LoadReportTest {

    /** What programs read by: a key may be added, none may change or go. */
    private static final List<String> KEYS = List.of(
            "seed",
            "events",
            "distinct",
            "acknowledged",
            "invalid",
            "unknown",
            "retried",
            "refused",
            "behind",
            "seconds",
            "eventsPerSecond",
            "ackMillis.p50",
            "ackMillis.p95",
            "ackMillis.p99",
            "ackMillis.max",
            "rowMillis.p50",
            "rowMillis.p99",
            "rowMillis.max",
            "rowsPerSecond",
            "cpuMicrosPerEvent.ingest",
            "cpuMicrosPerEvent.kafka",
            "cpuMicrosPerEvent.jobmanager",
            "cpuMicrosPerEvent.taskmanager",
            "cpuMicrosPerEvent.postgres",
            "cpuMicrosPerEvent.total",
            "generatorCpuMicrosPerEvent",
            "stateBytesPerEvent",
            "tableBytesPerEvent",
            "ledger");

    private static LoadReport report(OptionalDouble measured) {
        Histogram micros = new Histogram(3);
        measured.ifPresent(value -> micros.recordValue(2000));
        Map<String, OptionalDouble> cpu = new LinkedHashMap<>();
        CpuTimes.NAMES.forEach(name -> cpu.put(name, measured));
        return new LoadReport(
                42,
                Path.of("ledger.csv"),
                new LoadReport.Counts(100, 80, 90, 7, 3, 5, new LoadReport.Retries(11, 13)),
                new LoadReport.Times(2, micros, micros, measured),
                new LoadReport.Costs(cpu, 1.5, measured, measured));
    }

    private static List<String> keys(JsonNode json) {
        List<String> keys = new ArrayList<>();
        json.properties().forEach(field -> {
            if (field.getValue().isObject()) {
                keys(field.getValue()).forEach(key -> keys.add(field.getKey() + "." + key));
            } else {
                keys.add(field.getKey());
            }
        });
        return keys;
    }

    @Test
    void itsKeysInJsonAreThose() {
        assertThat(keys(report(OptionalDouble.of(3)).toJson())).containsExactlyElementsOf(KEYS);
        assertThat(keys(report(OptionalDouble.empty()).toJson())).containsExactlyElementsOf(KEYS);
    }

    @Test
    void everyNumberIsUnderItsKey() {
        JsonNode json = report(OptionalDouble.of(3)).toJson();

        assertThat(json.get("seed").asLong()).isEqualTo(42);
        assertThat(json.get("events").asLong()).isEqualTo(100);
        assertThat(json.get("distinct").asLong()).isEqualTo(80);
        assertThat(json.get("acknowledged").asLong()).isEqualTo(90);
        assertThat(json.get("invalid").asLong()).isEqualTo(7);
        assertThat(json.get("unknown").asLong()).isEqualTo(3);
        assertThat(json.get("behind").asLong()).isEqualTo(5);
        assertThat(json.get("retried").asLong()).isEqualTo(11);
        assertThat(json.get("refused").asLong()).isEqualTo(13);
        assertThat(json.get("eventsPerSecond").asDouble()).isEqualTo(45);
        assertThat(json.at("/ackMillis/p50").asDouble()).isEqualTo(2);
        assertThat(json.at("/cpuMicrosPerEvent/total").asDouble()).isEqualTo(3 * CpuTimes.NAMES.size());
        assertThat(json.get("generatorCpuMicrosPerEvent").asDouble()).isEqualTo(1.5);
    }

    @Test
    void whatIsNotMeasuredIsNull() {
        JsonNode json = report(OptionalDouble.empty()).toJson();

        assertThat(json.get("rowsPerSecond").isNull()).isTrue();
        assertThat(json.at("/rowMillis/max").isNull()).isTrue();
        assertThat(json.at("/cpuMicrosPerEvent/total").isNull()).isTrue();
        assertThat(report(OptionalDouble.empty()).toTable()).contains("n/a");
    }
}
