package io.github.eventdedup.job.benchmark;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.testing.Fixtures;
import io.github.eventdedup.job.testing.JobMetrics;
import io.github.eventdedup.job.testing.Servers;
import io.github.eventdedup.servers.KafkaServer;
import io.github.eventdedup.servers.PostgresServer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.common.JobID;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.runtime.minicluster.MiniCluster;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * What an event costs on its way from Kafka to Postgres: events of the sample, every one different, are in the topic
 * before the job starts, so that it runs as fast as it can. Not a test: run it with the command in docs/benchmarks.md.
 * Argument: how many events; the first third warms up and is not counted.
 */
public final class JobBenchmark {

    private JobBenchmark() {}

    public static void main(String[] arguments) throws Exception {
        int events = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 600_000;
        String interval = arguments.length > 1 ? arguments[1] : "2s";
        Path directory = Files.createTempDirectory("job-benchmark");
        try (Servers servers = Servers.start(directory)) {
            StreamDefinition stream = Fixtures.viewEvents();
            Fixtures.createTable(servers.login());
            Fixtures.createTopics(servers.endpoints(), stream);
            send(servers.kafka(), stream, events);
            try (MiniCluster flink = Fixtures.flink(directory.resolve("checkpoints"))) {
                flink.start();
                JobID job = Fixtures.submit(
                        flink,
                        stream,
                        servers.endpoints(),
                        Configuration.fromMap(Map.of("execution.checkpointing.interval", interval)));
                measure(new JobMetrics(flink, job, stream.stream()), events, servers.postgres());
                flink.cancelJob(job).get(1, TimeUnit.MINUTES);
            }
        } finally {
            Fixtures.delete(directory);
        }
    }

    private static void send(KafkaServer kafka, StreamDefinition stream, int events) throws Exception {
        EventReader reader = new EventReader(stream);
        List<String> samples = Fixtures.sampleLines();
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(
                Map.of("bootstrap.servers", kafka.bootstrapServers(), "compression.type", "lz4"),
                new ByteArraySerializer(),
                new ByteArraySerializer())) {
            for (int i = 0; i < events; i++) {
                byte[] value = samples.get(i % samples.size())
                        .replace("\"userId\":\"u", "\"userId\":\"u" + i + "-")
                        .getBytes(UTF_8);
                var unused = producer.send(new ProducerRecord<>(
                        stream.stream(), reader.read(value).fingerprint().bytes(), value));
            }
        }
    }

    private static void measure(JobMetrics metrics, int events, PostgresServer postgres) throws Exception {
        long first = awaitCount(metrics, events / 3);
        long start = System.nanoTime();
        Duration ownCpu = SinkBenchmark.cpu(ProcessHandle.current());
        Duration postgresCpu = SinkBenchmark.cpuOfChildren(postgres);
        long last = awaitCount(metrics, events);
        double seconds = (System.nanoTime() - start) / 1e9;
        long count = last - first;
        System.out.printf(
                "%d events: %.0f events/s, Flink %.1f µs CPU an event, Postgres %.1f µs%n",
                count,
                count / seconds,
                SinkBenchmark.micros(SinkBenchmark.cpu(ProcessHandle.current()).minus(ownCpu)) / count,
                SinkBenchmark.micros(SinkBenchmark.cpuOfChildren(postgres).minus(postgresCpu)) / count);
    }

    private static long awaitCount(JobMetrics metrics, long atLeast) throws InterruptedException {
        long count = metrics.count("unique");
        while (count < atLeast) {
            Thread.sleep(100);
            count = metrics.count("unique");
        }
        return count;
    }
}
