package io.github.eventdedup.job.deadletters;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.kafka.SideTopics;
import io.github.eventdedup.job.settings.Endpoints;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.function.Predicate;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.errors.InterruptException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * The topics of a stream as the command {@code dead-letters} uses them: it reads the dead letters, sends some of them to the
 * raw topic again, and notes in a topic of its own what was done with each.
 */
public final class LetterTopics implements AutoCloseable {

    private static final Duration POLL = Duration.ofMillis(500);
    private static final Duration NO_PROGRESS = Duration.ofSeconds(30);

    private final StreamDefinition stream;
    private final Endpoints endpoints;
    private Producer<byte[], byte[]> producer;

    public LetterTopics(StreamDefinition stream, Endpoints endpoints) {
        this.stream = stream;
        this.endpoints = endpoints;
    }

    public String deadLettersTopic() {
        return stream.deadLettersTopic();
    }

    /** Compacted: key of the letter, and what was done with it. */
    String handledTopic() {
        return stream.handledLettersTopic();
    }

    /** What was done with letters, by {@link KeptLetter#key}. */
    public Map<String, String> handled() {
        Map<String, String> handled = new HashMap<>();
        if (exist(Set.of(handledTopic()))) {
            read(handledTopic(), record -> {
                if (record.key() != null && record.value() != null) {
                    handled.put(new String(record.key(), UTF_8), new String(record.value(), UTF_8));
                }
                return true;
            });
        }
        return handled;
    }

    /**
     * Shows every record of the dead-letters topic, up to where it ends now.
     *
     * @param more returns false where no more is wanted
     */
    public void letters(Predicate<ConsumerRecord<byte[], byte[]>> more) {
        require(Set.of(stream.deadLettersTopic(), stream.stream()));
        read(stream.deadLettersTopic(), more);
    }

    private void require(Set<String> topics) {
        Set<String> missing = new HashSet<>(topics);
        missing.removeIf(topic -> exist(Set.of(topic)));
        if (!missing.isEmpty()) {
            throw new LettersException("stream '" + stream.stream() + "' has no topic " + String.join(", ", missing)
                    + " in Kafka at " + endpoints.kafkaBootstrapServers()
                    + ": connect to the right Kafka, or create it as ./dedup up or Setup does");
        }
    }

    private boolean exist(Set<String> topics) {
        try (Admin admin = endpoints.kafka()) {
            return admin.listTopics().names().get().containsAll(topics);
        } catch (ExecutionException e) {
            throw failed(e);
        } catch (KafkaException e) {
            throw failed(e);
        } catch (InterruptedException e) {
            throw interrupted();
        }
    }

    private void read(String topic, Predicate<ConsumerRecord<byte[], byte[]>> more) {
        try (Consumer<byte[], byte[]> consumer = endpoints.kafkaConsumer()) {
            List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
                    .map(partition -> new TopicPartition(topic, partition.partition()))
                    .toList();
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            long progress = System.nanoTime();
            while (ends.entrySet().stream().anyMatch(end -> consumer.position(end.getKey()) < end.getValue())) {
                ConsumerRecords<byte[], byte[]> records = consumer.poll(POLL);
                for (ConsumerRecord<byte[], byte[]> record : records) {
                    long end = ends.get(new TopicPartition(topic, record.partition()));
                    if (record.offset() < end && !more.test(record)) {
                        return;
                    }
                }
                if (!records.isEmpty()) {
                    progress = System.nanoTime();
                } else if (System.nanoTime() - progress > NO_PROGRESS.toNanos()) {
                    throw new TimeoutException("no record of '" + topic + "' for " + NO_PROGRESS.toSeconds() + " s");
                }
            }
        } catch (KafkaException e) {
            throw failed(e);
        }
    }

    /** The original of a letter in the raw topic; empty where it is not there any more. */
    Optional<ConsumerRecord<byte[], byte[]>> original(KeptLetter letter) {
        TopicPartition partition = new TopicPartition(stream.stream(), letter.partition());
        try (Consumer<byte[], byte[]> consumer = endpoints.kafkaConsumer()) {
            Set<TopicPartition> one = Set.of(partition);
            boolean isThere = consumer.partitionsFor(stream.stream()).size() > letter.partition()
                    && consumer.beginningOffsets(one).get(partition) <= letter.offset()
                    && consumer.endOffsets(one).get(partition) > letter.offset();
            if (!isThere) {
                return Optional.empty();
            }
            consumer.assign(one);
            consumer.seek(partition, letter.offset());
            long start = System.nanoTime();
            while (System.nanoTime() - start < NO_PROGRESS.toNanos()) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) {
                    // Another topic of the same name has other times.
                    boolean same = record.offset() == letter.offset() && record.timestamp() == letter.timestamp();
                    return same ? Optional.of(record) : Optional.empty();
                }
            }
            throw new TimeoutException("no record of '" + stream.stream() + "' for " + NO_PROGRESS.toSeconds() + " s");
        } catch (KafkaException e) {
            throw failed(e);
        }
    }

    /** Sends records, and returns where they are once every one of them is acknowledged. */
    List<RecordMetadata> send(Collection<ProducerRecord<byte[], byte[]>> records) {
        try {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (ProducerRecord<byte[], byte[]> record : records) {
                sent.add(producer().send(record));
            }
            List<RecordMetadata> places = new ArrayList<>();
            for (Future<RecordMetadata> record : sent) {
                places.add(record.get());
            }
            return places;
        } catch (ExecutionException e) {
            throw failed(e);
        } catch (KafkaException e) {
            throw failed(e);
        } catch (InterruptedException e) {
            throw interrupted();
        }
    }

    /** Notes what was done with letters; returns when Kafka has it. */
    public void handled(Map<String, String> notes) {
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        notes.forEach((key, note) ->
                records.add(new ProducerRecord<>(handledTopic(), key.getBytes(UTF_8), note.getBytes(UTF_8))));
        List<RecordMetadata> unused = send(records);
    }

    /** Creates the topic of {@link #handled} where it is not there: before the first letter is sent. */
    public void createHandledTopic() {
        if (exist(Set.of(handledTopic()))) {
            return;
        }
        NewTopic topic = new NewTopic(handledTopic(), Optional.of(1), Optional.empty())
                .configs(Map.of("cleanup.policy", "compact"));
        try (Admin admin = endpoints.kafka()) {
            admin.createTopics(Set.of(topic)).all().get();
        } catch (ExecutionException e) {
            if (!(e.getCause() instanceof TopicExistsException)) {
                throw failed(e);
            }
        } catch (KafkaException e) {
            throw failed(e);
        } catch (InterruptedException e) {
            throw interrupted();
        }
    }

    private Producer<byte[], byte[]> producer() {
        if (producer == null) {
            producer = new KafkaProducer<>(
                    Map.of(
                            "bootstrap.servers",
                            endpoints.kafkaBootstrapServers(),
                            "acks",
                            "all",
                            "enable.idempotence",
                            true,
                            // As well as any client could have: what fitted into the topic fits again.
                            "compression.type",
                            "zstd",
                            "max.request.size",
                            SideTopics.MAX_REQUEST_BYTES,
                            "max.block.ms",
                            Endpoints.KAFKA_TIMEOUT_MILLIS),
                    new ByteArraySerializer(),
                    new ByteArraySerializer());
        }
        return producer;
    }

    private LettersException failed(Exception failure) {
        if (failure instanceof InterruptException) {
            return interrupted();
        }
        Throwable cause = failure instanceof ExecutionException ? failure.getCause() : failure;
        if (cause instanceof ApiException && !(cause instanceof RetriableException)) {
            return new LettersException(
                    "Kafka at " + endpoints.kafkaBootstrapServers() + " rejects the request: " + cause.getMessage());
        }
        return new LettersException(endpoints.kafkaDoesNotAnswer(failure));
    }

    private static LettersException interrupted() {
        Thread.currentThread().interrupt();
        return new LettersException("interrupted");
    }

    @Override
    public void close() {
        if (producer != null) {
            producer.close(Duration.ofSeconds(5));
        }
    }

    /** Why a command cannot do its work, in words for the user. */
    public static final class LettersException extends RuntimeException {

        private static final long serialVersionUID = 1L;

        public LettersException(String message) {
            super(message);
        }
    }
}
