package io.github.eventdedup.servers;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class KafkaServerIT {

    @TempDir
    private Path directory;

    @Test
    void keepsAcknowledgedRecordsOverKillAndStop() throws Exception {
        ProcessHandle last;
        try (KafkaServer kafka = new KafkaServer(directory, freePort())) {
            kafka.start();
            kafka.createTopics(new NewTopic("t", 1, (short) 1));
            send(kafka, "before kill");

            kafka.kill();
            assertThat(kafka.answers()).isFalse();
            kafka.start();
            send(kafka, "before stop");

            kafka.stop();
            kafka.start();
            assertThat(read(kafka)).containsExactly("before kill", "before stop");
            last = kafka.process().toHandle();
        }
        assertThat(last.isAlive()).isFalse();
    }

    private static void send(KafkaServer kafka, String value) throws Exception {
        try (var producer = new KafkaProducer<>(
                Map.of("bootstrap.servers", kafka.bootstrapServers(), "acks", "all"),
                new StringSerializer(),
                new StringSerializer())) {
            producer.send(new ProducerRecord<>("t", value)).get();
        }
    }

    private static List<String> read(KafkaServer kafka) {
        try (var consumer = new KafkaConsumer<>(
                Map.of("bootstrap.servers", kafka.bootstrapServers(), "auto.offset.reset", "earliest"),
                new StringDeserializer(),
                new StringDeserializer())) {
            TopicPartition partition = new TopicPartition("t", 0);
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            ConsumerRecords<String, String> records = consumer.poll(Duration.ofSeconds(10));
            return Stream.of(records.records(partition))
                    .flatMap(List::stream)
                    .map(record -> record.value())
                    .toList();
        }
    }

    static int freePort() throws Exception {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        }
    }
}
