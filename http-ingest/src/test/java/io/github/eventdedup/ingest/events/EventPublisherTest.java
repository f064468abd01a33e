package io.github.eventdedup.ingest.events;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.eventdedup.event.Fingerprint;
import io.github.eventdedup.ingest.response.ProblemException;
import io.github.eventdedup.ingest.testing.LogLines;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.clients.producer.MockProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.errors.CorruptRecordException;
import org.apache.kafka.common.errors.NotEnoughReplicasException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.SaslAuthenticationException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.TopicAuthorizationException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.assertj.core.api.AbstractThrowableAssert;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class EventPublisherTest {

    private static final String TOPIC = "view-events";
    private static final Fingerprint FINGERPRINT = new Fingerprint(1, 2, 3, 4);
    private static final byte[] EVENT = new byte[1000];
    private static final int COST = EVENT.length + EventPublisher.RECORD_OVERHEAD_BYTES;

    private final MockProducer<byte[], byte[]> producer = mockProducer();
    private final MockProducer<byte[], byte[]> batches = mockProducer();
    private final EventPublisher publisher = new EventPublisher(producer, batches, 2 * COST, Duration.ofSeconds(5));

    private static MockProducer<byte[], byte[]> mockProducer() {
        return new MockProducer<>(false, null, new ByteArraySerializer(), new ByteArraySerializer());
    }

    @AfterEach
    void close() {
        publisher.close();
    }

    @Test
    void keysTheUntouchedEventByItsFingerprint() {
        publisher.prepare(TOPIC);
        CompletableFuture<Long> acknowledged = publish(EVENT);
        ProducerRecord<byte[], byte[]> record = producer.history().get(0);
        assertThat(record.topic()).isEqualTo(TOPIC);
        assertThat(record.key()).isEqualTo(FINGERPRINT.bytes());
        assertThat(record.value()).isSameAs(EVENT);
        assertThat(acknowledged).isNotDone();
        producer.completeNext();
        assertThat(acknowledged).isCompletedWithValue(0L);
        assertThat(publisher.freeBytes()).isEqualTo(2 * COST);
    }

    @Test
    void refusesWhatWouldExceedTheBoundAndTakesEventsAgainAfterAnyOutcome() {
        publisher.prepare(TOPIC);
        CompletableFuture<Long> first = publish(EVENT);
        CompletableFuture<Long> second = publish(EVENT);
        assertProblem(assertThatThrownBy(publish(new byte[0])::join).cause(), 503);
        assertThat(producer.history()).hasSize(2);

        producer.completeNext();
        producer.errorNext(new TimeoutException());
        assertThat(first).isCompleted();
        assertProblem(assertThatThrownBy(second::join).cause(), 503);
        assertThat(publisher.freeBytes()).isEqualTo(2 * COST);
    }

    @Test
    void oneBoundHoldsForEventsAloneAndInBatches() {
        publisher.prepare(TOPIC);
        CompletableFuture<Long> alone = publish(EVENT);
        CompletableFuture<Long> inBatch = publish(EVENT, true);
        assertThat(producer.history()).hasSize(1);
        assertThat(batches.history()).hasSize(1);
        assertProblem(assertThatThrownBy(publish(new byte[0], true)::join).cause(), 503);

        producer.completeNext();
        batches.completeNext();
        assertThat(alone).isCompleted();
        assertThat(inBatch).isCompleted();
        assertThat(publisher.freeBytes()).isEqualTo(2 * COST);
    }

    @Test
    void refusesEventsForATopicThatKafkaHasNotDescribed() {
        assertProblem(assertThatThrownBy(publish(EVENT)::join).cause(), 503);
        assertThat(producer.history()).isEmpty();
        assertThat(publisher.freeBytes()).isEqualTo(2 * COST);
    }

    @Test
    void isPreparedOnceBothProducersAre() {
        batches.partitionsForException = new TimeoutException();
        assertThatThrownBy(() -> publisher.prepare(TOPIC)).isInstanceOf(TimeoutException.class);
        assertProblem(assertThatThrownBy(publish(EVENT)::join).cause(), 503);
        batches.partitionsForException = null;
        publisher.prepare(TOPIC);
        assertThat(publish(EVENT)).isNotDone();
        producer.completeNext();
    }

    @Test
    void closesBothProducers() {
        producer.closeException = new KafkaException();
        assertThatThrownBy(publisher::close).isSameAs(producer.closeException);
        assertThat(batches.closed()).isTrue();
        producer.closeException = null;
    }

    @Test
    void aProducerThatThrowsLeaksNothing() {
        publisher.prepare(TOPIC);
        producer.sendException = new IllegalStateException("closed");
        assertProblem(assertThatThrownBy(publish(EVENT)::join).cause(), 503);
        assertThat(publisher.freeBytes()).isEqualTo(2 * COST);
    }

    @Test
    void aRecordThatTheTopicRefusesAsTooLargeIsTheClientsToMend() {
        publisher.prepare(TOPIC);
        CompletableFuture<Long> acknowledged = publish(EVENT);
        try (LogLines log = new LogLines()) {
            producer.errorNext(new RecordTooLargeException());
            assertProblem(assertThatThrownBy(acknowledged::join).cause(), 413);
            CompletableFuture<Long> second = publish(EVENT);
            producer.errorNext(new RecordTooLargeException());
            assertThat(second).isCompletedExceptionally();
            assertThat(log.warnings()).singleElement().asString().contains("max.message.bytes");
        }
    }

    @Test
    void saysWhyKafkaTakesNoEvents() {
        Map<RuntimeException, String> reasons = Map.of(
                new TopicAuthorizationException(Set.of(TOPIC)), "it needs the right WRITE; try again",
                new SaslAuthenticationException("bad"), "Kafka rejects the service's login; try again",
                new UnknownTopicOrPartitionException(), "Kafka has no topic '" + TOPIC + "'; try again",
                new NotEnoughReplicasException(), "fewer in-sync replicas than min.insync.replicas; try again",
                new TimeoutException(), "Kafka did not acknowledge the event in time; try again",
                new CorruptRecordException(), "Kafka did not take the event; try again");
        reasons.forEach((failure, reason) -> {
            publisher.prepare(TOPIC);
            CompletableFuture<Long> event = publish(EVENT);
            producer.errorNext(failure);
            assertProblem(assertThatThrownBy(event::join).cause().hasMessageEndingWith(reason), 503);
        });
    }

    @Test
    void logsOnceThatDeliveriesFail() {
        publisher.prepare(TOPIC);
        try (LogLines log = new LogLines()) {
            for (int i = 0; i < 3; i++) {
                CompletableFuture<Long> rejected = publish(EVENT);
                producer.errorNext(new TopicAuthorizationException(Set.of(TOPIC)));
                assertThat(rejected).isCompletedExceptionally();
                CompletableFuture<Long> accepted = publish(EVENT);
                producer.completeNext();
                assertThat(accepted).isCompleted();
            }
            assertThat(log.warnings())
                    .singleElement()
                    .asString()
                    .contains("Kafka does not accept events for " + TOPIC, "it needs the right WRITE");
        }
    }

    @Test
    void makesRoomForAllEventsOfABatchOrNone() {
        publisher.prepare(TOPIC);
        assertProblem(assertThat(publisher.reserve(TOPIC, 2 * COST + 1)), 503);
        assertThat(publisher.freeBytes()).isEqualTo(2 * COST);
        assertThat(publisher.reserve(TOPIC, 2 * COST)).isNull();
        assertThat(publisher.freeBytes()).isZero();
    }

    /** Completed with the record's offset. */
    private CompletableFuture<Long> publish(byte[] event) {
        return publish(event, false);
    }

    private CompletableFuture<Long> publish(byte[] event, boolean inBatch) {
        CompletableFuture<Long> outcome = new CompletableFuture<>();
        publisher.publish(TOPIC, FINGERPRINT, event, inBatch, new EventPublisher.Outcome() {
            @Override
            public void acknowledged(int partition, long offset) {
                assertThat(outcome.complete(offset)).isTrue();
            }

            @Override
            public void failed(ProblemException problem) {
                assertThat(outcome.completeExceptionally(problem)).isTrue();
            }
        });
        return outcome;
    }

    private static void assertProblem(AbstractThrowableAssert<?, ? extends Throwable> failure, int status) {
        failure.isInstanceOfSatisfying(
                ProblemException.class, problem -> assertThat(problem.status()).isEqualTo(status));
    }
}
