package io.github.eventdedup.ingest.lookup;

import com.fasterxml.jackson.core.io.JsonStringEncoder;
import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.Fingerprint;
import io.github.eventdedup.event.InvalidEventException;
import io.github.eventdedup.event.SideTopicHeaders;
import io.github.eventdedup.event.StreamDefinition;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InterruptException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The newest dead letters of each stream, by fingerprint, read from Kafka by a thread of its own. Asking never waits.
 * Thread-safe.
 */
public final class DeadLetters implements AutoCloseable {

    /** Of each stream; older ones are forgotten, and at the start no more are read of each partition. About 10 MB. */
    static final int MOST_LETTERS = 20_000;

    private static final Logger LOG = LoggerFactory.getLogger(DeadLetters.class);

    private static final String SUFFIX = ".dead-letters";
    private static final int MOST_REASON_CHARS = 300;
    private static final Duration TIMEOUT = Duration.ofSeconds(2);

    /** What is known is compared with the ends of the topics this often. */
    private static final Duration PERIOD = Duration.ofSeconds(1);

    /** Topics come and go less often. */
    private static final int ROUNDS_BETWEEN_ASSIGNMENTS = 5;

    /** What is known counts as out of date when it could not be compared for this long. */
    private static final Duration LATEST = Duration.ofSeconds(10);

    private final Map<String, Stream> streams = new HashMap<>();
    private final KafkaConsumer<byte[], byte[]> consumer;
    private final Thread thread;
    private volatile boolean closed;

    /** Where the event was, and why it was not stored. */
    record Letter(String topic, int partition, long offset, String reasonCode, String reason, Instant rejectedAt) {

        /**
         * For the client.
         *
         * @param rowsCanBeFound whether the table of the stream can be queried for rows; otherwise a replay that has
         *     stored the event since is not seen
         */
        String json(Fingerprint fingerprint, boolean rowsCanBeFound) {
            return "{\"status\":\"dead-letter\",\"fingerprint\":\"" + fingerprint + "\",\"reasonCode\":"
                    + text(reasonCode) + ",\"reason\":" + text(reason) + ",\"rejectedAt\":\"" + rejectedAt
                    + "\",\"topic\":" + text(topic) + ",\"partition\":" + partition + ",\"offset\":" + offset
                    + (rowsCanBeFound
                            ? ""
                            : ",\"note\":\"a replay since then is not seen here: rows of this stream cannot be looked up\"")
                    + "}";
        }

        private static String text(String text) {
            return '"' + new String(JsonStringEncoder.getInstance().quoteAsString(text)) + '"';
        }
    }

    /** The letters of a stream, newest last; guarded by itself. */
    private static final class Stream {

        private final String topic;
        private final EventReader reader;
        private final Map<Fingerprint, Letter> letters = new LinkedHashMap<>();
        private boolean known;
        private long upToDateAt;

        Stream(StreamDefinition definition) {
            topic = definition.stream();
            reader = new EventReader(definition);
        }

        synchronized void add(Fingerprint fingerprint, Letter letter) {
            letters.remove(fingerprint);
            letters.put(fingerprint, letter);
            if (letters.size() > MOST_LETTERS) {
                letters.remove(letters.keySet().iterator().next());
            }
        }

        synchronized void upToDate() {
            known = true;
            upToDateAt = System.nanoTime();
        }

        synchronized Letter find(Fingerprint fingerprint) {
            return letters.get(fingerprint);
        }

        synchronized boolean isUpToDate() {
            return known && System.nanoTime() - upToDateAt < LATEST.toNanos();
        }
    }

    private DeadLetters(Map<String, StreamDefinition> definitions, String brokers) {
        definitions.forEach((name, definition) -> streams.put(name, new Stream(definition)));
        consumer =
                new KafkaConsumer<>(configuration(brokers), new ByteArrayDeserializer(), new ByteArrayDeserializer());
        thread = new Thread(this::run, "dead-letters");
        thread.setDaemon(true);
    }

    /** Begins to read. Kafka need not be there yet. */
    public static DeadLetters read(Map<String, StreamDefinition> streams, String brokers) {
        DeadLetters letters = new DeadLetters(streams, brokers);
        letters.thread.start();
        return letters;
    }

    private static Map<String, Object> configuration(String brokers) {
        return Map.of(
                ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG,
                brokers,
                ConsumerConfig.CLIENT_ID_CONFIG,
                "http-ingest-dead-letters",
                ConsumerConfig.ISOLATION_LEVEL_CONFIG,
                "read_committed",
                ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG,
                false,
                ConsumerConfig.AUTO_OFFSET_RESET_CONFIG,
                "earliest",
                ConsumerConfig.ALLOW_AUTO_CREATE_TOPICS_CONFIG,
                false,
                ConsumerConfig.FETCH_MAX_BYTES_CONFIG,
                4 * 1024 * 1024,
                ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG,
                512 * 1024,
                ConsumerConfig.REQUEST_TIMEOUT_MS_CONFIG,
                (int) TIMEOUT.toMillis(),
                ConsumerConfig.DEFAULT_API_TIMEOUT_MS_CONFIG,
                (int) TIMEOUT.toMillis());
    }

    /** The newest dead letter of the event; null where there is none, or none is known. */
    Letter find(String stream, Fingerprint fingerprint) {
        return streams.get(stream).find(fingerprint);
    }

    /** Whether all letters of the stream are known that were there a few seconds ago. */
    boolean isUpToDate(String stream) {
        return streams.get(stream).isUpToDate();
    }

    private void run() {
        boolean failing = false;
        long next = System.nanoTime();
        int round = 0;
        while (!closed) {
            try {
                if (System.nanoTime() - next >= 0) {
                    next = System.nanoTime() + PERIOD.toNanos();
                    if (failing || round++ % ROUNDS_BETWEEN_ASSIGNMENTS == 0) {
                        assign();
                    }
                    compare();
                    if (failing) {
                        failing = false;
                        LOG.info("Dead letters can be looked up again");
                    }
                }
                if (consumer.assignment().isEmpty()) {
                    Thread.sleep(PERIOD.toMillis());
                } else {
                    consumer.poll(PERIOD).forEach(this::add);
                }
            } catch (WakeupException | InterruptException | InterruptedException e) {
                break; // closing
            } catch (TimeoutException e) {
                // KafkaReadiness reports that Kafka does not answer.
                LOG.debug("Cannot read the dead letters from Kafka", e);
            } catch (RuntimeException e) {
                if (!failing) {
                    failing = true;
                    LOG.warn("Dead letters cannot be looked up, Kafka unavailable, retrying: {}", e.toString());
                }
                try {
                    Thread.sleep(PERIOD.toMillis());
                } catch (InterruptedException interrupted) {
                    break;
                }
            }
        }
        // An interrupted thread could not close it in order.
        Thread.interrupted();
        consumer.close(CloseOptions.timeout(Duration.ZERO));
    }

    /** Takes topics and partitions that are new, and lets go of those that are gone. */
    private void assign() {
        Map<String, List<PartitionInfo>> topics = consumer.listTopics();
        Set<TopicPartition> there = new HashSet<>();
        for (Stream stream : streams.values()) {
            for (PartitionInfo partition : topics.getOrDefault(stream.topic + SUFFIX, List.of())) {
                there.add(new TopicPartition(partition.topic(), partition.partition()));
            }
        }
        Set<TopicPartition> before = Set.copyOf(consumer.assignment());
        if (there.equals(before)) {
            return;
        }
        consumer.assign(there);
        List<TopicPartition> fresh =
                there.stream().filter(partition -> !before.contains(partition)).toList();
        Map<TopicPartition, Long> starts = consumer.beginningOffsets(fresh);
        consumer.endOffsets(fresh)
                .forEach((partition, end) ->
                        consumer.seek(partition, Math.max(starts.get(partition), end - MOST_LETTERS)));
    }

    private void compare() {
        Map<TopicPartition, Long> ends = consumer.endOffsets(consumer.assignment());
        Set<String> behind = new HashSet<>();
        ends.forEach((partition, end) -> {
            if (consumer.position(partition) < end) {
                behind.add(partition.topic());
            }
        });
        for (Stream stream : streams.values()) {
            if (!behind.contains(stream.topic + SUFFIX)) {
                stream.upToDate();
            }
        }
    }

    private void add(ConsumerRecord<byte[], byte[]> record) {
        String topic = record.topic().substring(0, record.topic().length() - SUFFIX.length());
        Stream stream = streams.get(topic);
        try {
            Fingerprint fingerprint = fingerprint(stream, record);
            if (fingerprint != null) {
                stream.add(
                        fingerprint,
                        new Letter(
                                topic,
                                Integer.parseInt(header(record, SideTopicHeaders.PARTITION)),
                                Long.parseLong(header(record, SideTopicHeaders.OFFSET)),
                                header(record, SideTopicHeaders.REASON_CODE),
                                header(record, SideTopicHeaders.REASON),
                                Instant.ofEpochMilli(record.timestamp())));
            }
        } catch (RuntimeException e) {
            // Written by something other than the job. It must not keep the others from being read.
            LOG.debug("No dead letter at {}-{}@{}", record.topic(), record.partition(), record.offset(), e);
        }
    }

    /** What the job has noted, or what the ingest must have answered where the job could not read the event. */
    private static Fingerprint fingerprint(Stream stream, ConsumerRecord<byte[], byte[]> record) {
        String noted = header(record, SideTopicHeaders.FINGERPRINT);
        if (!noted.isEmpty()) {
            return Fingerprint.of(HexFormat.of().parseHex(noted));
        }
        try {
            return record.value() == null || record.value().length == 0
                    ? null
                    : stream.reader.read(record.value()).fingerprint();
        } catch (InvalidEventException e) {
            return null;
        }
    }

    private static String header(ConsumerRecord<byte[], byte[]> record, String name) {
        Header header = record.headers().lastHeader(name);
        if (header == null || header.value() == null) {
            return "";
        }
        String text = new String(header.value(), StandardCharsets.UTF_8);
        return text.length() <= MOST_REASON_CHARS ? text : text.substring(0, MOST_REASON_CHARS) + "…";
    }

    @Override
    public void close() {
        closed = true;
        consumer.wakeup();
        thread.interrupt();
        try {
            thread.join(TIMEOUT.toMillis());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
