package io.github.eventdedup.proof.system;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.function.Consumer;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.config.TopicConfig;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Kafka, as the audit reads it: as a client of its own that belongs to no consumer group and commits nothing. */
public final class TopicReader implements AutoCloseable {

    private static final Duration NO_PROGRESS = Duration.ofSeconds(60);
    private static final Duration LOOK_AGAIN = Duration.ofMillis(500);

    private final String bootstrapServers;
    private final Progress progress;
    private final Admin admin;

    public TopicReader(String bootstrapServers, Progress progress) {
        this.bootstrapServers = bootstrapServers;
        this.progress = progress;
        try {
            admin = Admin.create(Map.of(
                    "bootstrap.servers",
                    bootstrapServers,
                    "request.timeout.ms",
                    10_000,
                    "default.api.timeout.ms",
                    15_000));
        } catch (KafkaException e) {
            throw doesNotAnswer(e.getCause() == null ? e : e.getCause());
        }
    }

    static ProofException doesNotAnswer(Throwable cause) {
        return new ProofException(
                "Kafka does not answer (" + cause.getMessage()
                        + "): start it, or correct DEDUP_KAFKA_BOOTSTRAP_SERVERS; see ./dedup status",
                cause);
    }

    public static ProofException interrupted(InterruptedException e) {
        Thread.currentThread().interrupt();
        return new ProofException("interrupted", e);
    }

    public TopicRange range(String topic) {
        return TopicRange.of(admin, topic);
    }

    /** Records were deleted while they were read: what is read so far is of no use. */
    public static final class RemovedWhileReadException extends ProofException {

        private static final long serialVersionUID = 1L;

        private RemovedWhileReadException(String topic, Throwable cause) {
            super(
                    "records were removed from the topic '" + topic
                            + "' again and again while it was read: audit while retention deletes less",
                    cause);
        }
    }

    /**
     * Everything that the topic holds now. Behind a transaction that is open no reader of committed records sees anything,
     * and the job is one: waits until those that are open now have ended.
     *
     * @throws ProofException where they have not by the deadline, with their places
     */
    public TopicRange committedRange(String topic, Instant deadline) {
        TopicRange all = TopicRange.uncommitted(admin, topic);
        while (true) {
            TopicRange readable = TopicRange.of(admin, topic);
            List<String> open = new ArrayList<>();
            for (int i = 0; i < all.partitions(); i++) {
                if (readable.end()[i] < all.end()[i]) {
                    open.add("partition " + i + " from offset " + readable.end()[i] + " on");
                }
            }
            if (open.isEmpty()) {
                return all;
            }
            if (Instant.now().isAfter(deadline)) {
                throw new ProofException(
                        "a transaction is open in the topic '" + topic + "': " + String.join(", ", open)
                                + ". Neither the job nor the audit can read what is behind it: wait until it times out, end it"
                                + " with kafka-transactions.sh, or give it more time by --wait");
            }
            progress.say(() -> topic + ": waiting for the end of a transaction, " + String.join(", ", open));
            pause(LOOK_AGAIN);
        }
    }

    public boolean exists(String topic) {
        return Boolean.TRUE.equals(ask(() -> admin.listTopics().names().get().contains(topic)));
    }

    /** Whether Kafka deletes records of a topic because there are later ones with their key. */
    public boolean isCompacted(String topic) {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        return ask(() -> admin.describeConfigs(List.of(resource)).all().get())
                .get(resource)
                .get(TopicConfig.CLEANUP_POLICY_CONFIG)
                .value()
                .contains(TopicConfig.CLEANUP_POLICY_COMPACT);
    }

    /** The offset that a group has committed for each partition; 0 where it has committed none. */
    public long[] committed(String group, TopicRange range) {
        Map<TopicPartition, OffsetAndMetadata> committed = ask(() -> admin.listConsumerGroupOffsets(group)
                .partitionsToOffsetAndMetadata()
                .get());
        long[] offsets = new long[range.partitions()];
        for (int i = 0; i < offsets.length; i++) {
            OffsetAndMetadata at = committed.get(new TopicPartition(range.topic(), i));
            offsets[i] = at == null ? 0 : at.offset();
        }
        return offsets;
    }

    private interface Question<T> {
        T answer() throws ExecutionException, InterruptedException;
    }

    private static <T> T ask(Question<T> question) {
        try {
            return question.answer();
        } catch (ExecutionException e) {
            throw doesNotAnswer(e.getCause());
        } catch (InterruptedException e) {
            throw interrupted(e);
        }
    }

    /**
     * Waits until a group has committed every record of the range. The job commits when a checkpoint is complete: what lies
     * before was decided, and is flushed to Postgres and to the side topics.
     *
     * @param ends of each partition the offset after its last record, or its beginning where it has none. Offsets of
     *     transaction markers may follow, which the job commits only with the next record
     * @throws ProofException where that is not so by the deadline, with how far each partition is behind
     */
    public void awaitCommitted(String group, TopicRange range, long[] ends, Instant deadline) {
        while (true) {
            List<String> lags = lags(group, range, ends);
            if (lags.isEmpty()) {
                return;
            }
            if (Instant.now().isAfter(deadline)) {
                throw new ProofException("the job has not caught up with the topic '" + range.topic() + "': "
                        + String.join(", ", lags)
                        + ". Does it run, and is its database there? ./dedup status; give it more time by --wait");
            }
            progress.say(() -> range.topic() + ": waiting for the job, " + String.join(", ", lags));
            pause(LOOK_AGAIN);
        }
    }

    private List<String> lags(String group, TopicRange range, long[] ends) {
        long[] committed = committed(group, range);
        List<String> lags = new ArrayList<>();
        for (int i = 0; i < range.partitions(); i++) {
            long done = Math.max(committed[i], range.begin()[i]);
            if (done < ends[i]) {
                lags.add("partition " + i + " lags by " + (ends[i] - done));
            }
        }
        return lags;
    }

    public static void pause(Duration duration) {
        try {
            Thread.sleep(duration.toMillis());
        } catch (InterruptedException e) {
            throw interrupted(e);
        }
    }

    /**
     * Reads a range, each partition in its order. Offsets without a record are passed over.
     *
     * @throws RemovedWhileReadException where records are deleted that were not read yet
     */
    public void read(TopicRange range, Consumer<ConsumerRecord<byte[], byte[]>> records) {
        Map<String, Object> settings = Map.of(
                "bootstrap.servers",
                bootstrapServers,
                "isolation.level",
                "read_committed",
                "auto.offset.reset",
                "none",
                "enable.auto.commit",
                false,
                "max.poll.records",
                5000,
                "fetch.max.bytes",
                16 << 20,
                "max.partition.fetch.bytes",
                4 << 20,
                "receive.buffer.bytes",
                1 << 20,
                // Nothing more comes at the end of a range: a broker need not wait for it.
                "fetch.max.wait.ms",
                20);
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> rest = new ArrayList<>();
            for (int i = 0; i < range.partitions(); i++) {
                if (range.begin()[i] < range.end()[i]) {
                    rest.add(new TopicPartition(range.topic(), i));
                }
            }
            consumer.assign(rest);
            rest.forEach(partition -> consumer.seek(partition, range.begin()[partition.partition()]));
            long read = 0;
            Instant lastProgress = Instant.now();
            while (!rest.isEmpty()) {
                var polled = consumer.poll(Duration.ofSeconds(1));
                for (ConsumerRecord<byte[], byte[]> record : polled) {
                    if (record.offset() < range.end()[record.partition()]) {
                        records.accept(record);
                        read++;
                    }
                }
                int before = rest.size();
                rest.removeIf(partition -> consumer.position(partition) >= range.end()[partition.partition()]);
                if (rest.size() < before) {
                    // What came after the end is of no use.
                    consumer.assign(rest);
                }
                if (!polled.isEmpty() || rest.size() < before) {
                    lastProgress = Instant.now();
                } else if (lastProgress.plus(NO_PROGRESS).isBefore(Instant.now())) {
                    throw doesNotAnswer(new KafkaException("no record for " + NO_PROGRESS.toSeconds() + " s"));
                }
                progress.report("reading the topic " + range.topic(), read, range.size());
            }
        } catch (OffsetOutOfRangeException e) {
            throw new RemovedWhileReadException(range.topic(), e);
        } catch (KafkaException e) {
            throw doesNotAnswer(e);
        }
    }

    @Override
    public void close() {
        admin.close(Duration.ofSeconds(2));
    }
}
