package io.github.eventdedup.job.deadletters;

import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.event.ClickHouseTable;
import io.github.eventdedup.event.Event;
import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.InvalidEventException;
import io.github.eventdedup.event.PostgresTable;
import io.github.eventdedup.event.SideTopicHeaders;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.clickhouse.table.ClickHouseErrors;
import io.github.eventdedup.job.clickhouse.table.ClickHouseSchema;
import io.github.eventdedup.job.deadletters.LetterTopics.LettersException;
import io.github.eventdedup.job.model.Replay;
import io.github.eventdedup.job.model.RowFormat;
import io.github.eventdedup.job.postgres.PostgresRowFormat;
import io.github.eventdedup.job.settings.Endpoints;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiConsumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeaders;

/**
 * Sends dead letters to the raw topic again ({@link Replay}). A letter is noted as replayed once Kafka has its record: where
 * the command is killed in between, the letter is sent a second time, and the job drops the second copy.
 */
final class LetterReplay {

    private static final int MAX_BATCH = 500;
    private static final long MAX_BATCH_BYTES = 16 << 20;

    private final StreamDefinition stream;
    private final LetterTopics topics;
    private final boolean dryRun;
    private final BiConsumer<KeptLetter, Result> results;
    private final RowFormat format;
    private final EventReader reader;
    private final Map<KeptLetter, ProducerRecord<byte[], byte[]>> batch = new LinkedHashMap<>();
    private long batchBytes;
    private int sent;
    private int refused;

    /**
     * What has become of a letter.
     *
     * @param place where it was sent, {@code partition:offset}, or null
     * @param refusal why it was not, or null
     */
    record Result(String place, String refusal) {

        boolean sent() {
            return refusal == null;
        }

        @Override
        public String toString() {
            if (!sent()) {
                return "refused: " + refusal;
            }
            return place == null ? "would be sent again" : "sent again as " + place;
        }
    }

    /** @param results is told what has become of each letter */
    LetterReplay(
            StreamDefinition stream,
            Endpoints endpoints,
            LetterTopics topics,
            boolean dryRun,
            BiConsumer<KeptLetter, Result> results)
            throws ConfigurationException {
        this.stream = stream;
        this.topics = topics;
        this.dryRun = dryRun;
        this.results = results;
        format = format(stream, endpoints);
        reader = new EventReader(stream, format.columns());
    }

    /** The same as the job's, so that what is refused here is what the job would refuse. */
    private static RowFormat format(StreamDefinition stream, Endpoints endpoints) throws ConfigurationException {
        if (stream.table() instanceof ClickHouseTable table) {
            ClickHouseSchema schema;
            try {
                schema = ClickHouseSchema.of(endpoints.clickHouse(), table);
            } catch (RuntimeException e) {
                throw new LettersException(ClickHouseErrors.cannotBeUsed(endpoints.clickHouse(), e));
            }
            if (!schema.findings().isEmpty()) {
                throw new ConfigurationException(schema.findings());
            }
            return schema.format();
        }
        return new PostgresRowFormat(((PostgresTable) stream.table()).columns());
    }

    /** Takes a letter, with its record in the dead-letters topic; sends it at once, or with the next ones. */
    void add(KeptLetter letter, ConsumerRecord<byte[], byte[]> record) {
        ProducerRecord<byte[], byte[]> replay;
        try {
            replay = replayOf(letter, record);
        } catch (InvalidEventException e) {
            refused++;
            results.accept(
                    letter,
                    new Result(
                            null,
                            "the event " + e.getMessage() + " (" + e.code().code() + ")"));
            return;
        } catch (RefusedException e) {
            refused++;
            results.accept(letter, new Result(null, e.getMessage()));
            return;
        }
        batch.put(letter, replay);
        batchBytes += replay.value().length;
        if (batch.size() >= MAX_BATCH || batchBytes >= MAX_BATCH_BYTES) {
            flush();
        }
    }

    private ProducerRecord<byte[], byte[]> replayOf(KeptLetter letter, ConsumerRecord<byte[], byte[]> record)
            throws InvalidEventException, RefusedException {
        byte[] value = record.value();
        RecordHeaders headers = new RecordHeaders();
        if (letter.isWhole()) {
            for (Header header : record.headers()) {
                if (header.key().startsWith(SideTopicHeaders.ORIGINAL_HEADER)) {
                    headers.add(header.key().substring(SideTopicHeaders.ORIGINAL_HEADER.length()), header.value());
                }
            }
        } else {
            Optional<ConsumerRecord<byte[], byte[]>> original = topics.original(letter);
            if (original.isEmpty()) {
                throw new RefusedException(
                        "the letter does not hold the whole record, which is no longer in the topic '" + stream.stream()
                                + "'");
            }
            value = original.get().value();
            original.get().headers().forEach(headers::add);
        }
        if (value == null) {
            throw new RefusedException("it has no value: a Kafka tombstone");
        }
        Event event = reader.read(value);
        byte[] unused = format.encode(event.columns());
        Replay.mark(
                headers,
                letter.position() + ":" + letter.timestamp(),
                letter.attempt() + 1,
                letter.stateId(),
                letter.replayReasonCode());
        return new ProducerRecord<>(stream.stream(), null, event.fingerprint().bytes(), value, headers);
    }

    /** Sends what was taken, and notes it. */
    void flush() {
        if (batch.isEmpty()) {
            return;
        }
        if (dryRun) {
            batch.keySet().forEach(letter -> results.accept(letter, new Result(null, null)));
        } else {
            topics.createHandledTopic();
            List<RecordMetadata> places = topics.send(batch.values());
            Map<String, String> notes = new LinkedHashMap<>();
            List<Runnable> told = new ArrayList<>();
            int at = 0;
            for (KeptLetter letter : batch.keySet()) {
                RecordMetadata metadata = places.get(at++);
                String place = metadata.partition() + ":" + metadata.offset();
                notes.put(letter.key(), HandledNote.replayed(place));
                told.add(() -> results.accept(letter, new Result(place, null)));
            }
            topics.handled(notes);
            told.forEach(Runnable::run);
        }
        sent += batch.size();
        batch.clear();
        batchBytes = 0;
    }

    int sent() {
        return sent;
    }

    int refused() {
        return refused;
    }

    /** Why a letter is not sent, in words for the user. */
    private static final class RefusedException extends Exception {

        private static final long serialVersionUID = 1L;

        RefusedException(String reason) {
            super(reason, null, false, false);
        }
    }
}
