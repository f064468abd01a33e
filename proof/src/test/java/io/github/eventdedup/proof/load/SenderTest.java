package io.github.eventdedup.proof.load;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.proof.ledger.Ledger;
import io.github.eventdedup.proof.load.LoadPlan.Kind;
import io.github.eventdedup.proof.load.ScriptedIngest.Act;
import io.github.eventdedup.proof.system.ProofException;
import io.github.eventdedup.servers.FreePort;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.IntFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(180)
final class SenderTest {

    private static final long SEED = 42;
    private static final int COPIES = 400;

    private final EventReader reader;
    private final LoadPlan plan = new LoadPlan(SEED, 0.2, 0.02);
    private final VisibilityTracker probes = new VisibilityTracker();

    @TempDir
    private Path directory;

    SenderTest() throws Exception {
        reader = new EventReader(StreamDefinition.read(Path.of("../streams/view-events.yaml")));
    }

    @Test
    void eachCopyIsInTheLedgerOnceWithItsFate() throws Exception {
        Sender sender = send(request -> Act.ANSWER, settings(0, COPIES, 1));

        assertThat(ledger()).isEqualTo(expected());
        assertThat(sender.counters().refused.sum()).isZero();
        assertAddsUp(sender);
    }

    @Test
    void eachCopyOfABatchIsInTheLedgerOnceWithItsFate() throws Exception {
        Sender sender = send(request -> Act.ANSWER_IN_CHUNKS, settings(0, COPIES, 7));

        assertThat(ledger()).isEqualTo(expected());
        assertAddsUp(sender);
    }

    @Test
    void sendsAgainUntilAcknowledgedWhateverTheIngestDoes() throws Exception {
        Act[] acts = {
            Act.ANSWER,
            Act.UNAVAILABLE,
            Act.DROP_BEFORE_ANSWER,
            Act.ANSWER,
            Act.DROP_WITHIN_ANSWER,
            Act.ANSWER_IN_CHUNKS
        };
        // A hang takes as long as a client is patient, so a few are enough.
        Sender sender = send(request -> request % 100 == 50 ? Act.HANG : acts[request % acts.length], impatient(0));

        assertThat(ledger()).isEqualTo(expected());
        assertThat(sender.counters().refused.sum()).isGreaterThan(COPIES / 4);
        assertThat(sender.counters().retried.sum())
                .isPositive()
                .isLessThanOrEqualTo(sender.counters().refused.sum());
        assertAddsUp(sender);
    }

    @Test
    void sendsAgainOnlyThoseOfABatchThatMayYetBeAccepted() throws Exception {
        Sender sender = send(request -> Act.ACCEPT_HALF, settings(0, COPIES, 10));

        assertThat(ledger()).isEqualTo(expected());
        assertAddsUp(sender);
    }

    @Test
    void anAnswerAboutAnotherEventIsWrongAndDoesNotHideTheOneThatWasSent() throws Exception {
        Sender sender = send(request -> Act.ANSWER_OF_ANOTHER, settings(0, COPIES, 1));

        assertThat(ledger()).isEqualTo(expected());
        assertThat(sender.counters().wrong.sum())
                .isEqualTo(sender.counters().acknowledged.sum())
                .isPositive();
        assertThat(sender.counters().firstWrong()).contains("was acknowledged as abab");
    }

    @Test
    void resultsThatLeaveOutAnEventEndTheLoad() {
        assertThatExceptionOfType(ProofException.class)
                .isThrownBy(() -> send(request -> Act.ANSWER_TWICE, settings(0, COPIES, 10)))
                .withMessageContaining("answers about event 0 of 10, or twice");
    }

    @Test
    void copiesThatNobodyAnswersAreUnknown() throws Exception {
        InetSocketAddress nobody = new InetSocketAddress(InetAddress.getLoopbackAddress(), FreePort.find());
        Sender sender = send(nobody, settings(0, 4, 1, TimeUnit.SECONDS.toNanos(30), TimeUnit.SECONDS.toNanos(2)));

        assertThat(sender.counters().unknown.sum() + sender.counters().invalid.sum())
                .isEqualTo(4);
        assertThat(sender.counters().acknowledged.sum()).isZero();
        assertThat(sender.counters().lastFailure()).contains("refused");
        assertThat(probes.outstanding()).isEmpty();
        List<String> lines = lines();
        assertThat(lines).hasSize(4).allMatch(line -> line.matches("([0-9a-f]{64},unknown|,invalid),,"));
    }

    @Test
    void aRequestThatIsWrongAsSuchEndsTheLoadAndWhatWasSentIsInTheLedger() throws Exception {
        assertThatExceptionOfType(ProofException.class)
                .isThrownBy(() -> send(request -> Act.NOT_FOUND, settings(0, COPIES, 1)))
                .withMessageContaining("404");
        assertThat(lines()).isNotEmpty().allMatch(line -> line.matches("([0-9a-f]{64},unknown|,invalid),,"));
    }

    @Test
    void keepsToTheScheduleAndTimesAnswersFromWhenTheEventWasDue() throws Exception {
        // The first answers come only after a client has lost its patience: those due meanwhile are late.
        long begin = System.nanoTime();
        Sender sender = send(request -> request < 4 ? Act.HANG : Act.ANSWER, impatient(1000));

        assertThat(System.nanoTime() - begin).isGreaterThan(TimeUnit.MILLISECONDS.toNanos(COPIES - 1));
        assertThat(sender.counters().latency.getIntervalHistogram().getMaxValue())
                .isGreaterThanOrEqualTo(TimeUnit.MILLISECONDS.toMicros(290));
        assertThat(ledger()).isEqualTo(expected());
        assertAddsUp(sender);
    }

    @Test
    void sendsForAsLongAsIsSaid() throws Exception {
        long duration = TimeUnit.MILLISECONDS.toNanos(500);
        Sender sender = send(request -> Act.ANSWER, new Sender.Settings(200, Long.MAX_VALUE, duration, 1, 4));

        assertThat(sender.counters().sent.sum()).isEqualTo(100);
        assertAddsUp(sender);
    }

    @Test
    void theScheduleWaitsWhenTooManyAreOverdue() throws Exception {
        Sender sender = send(request -> Act.ANSWER, settings(1e9, COPIES * 10, 1));

        assertThat(sender.counters().sent.sum()).isEqualTo(COPIES * 10);
        assertThat(sender.counters().behind.sum()).isPositive();
    }

    @Test
    void probesStandForAllEventsOfTheirTime() throws Exception {
        Sender sender = send(request -> Act.ANSWER, settings(1000, COPIES, 1));

        assertThat(probes.outstanding()).hasSizeBetween(10, 50);
        probes.outstanding().forEach(fingerprint -> probes.visible(fingerprint, System.nanoTime()));
        assertThat(probes.rows())
                .isBetween(
                        sender.counters().distinct.sum() - 30,
                        sender.counters().distinct.sum());
    }

    /** Clients whose patience is over only where the ingest is at fault. */
    private static Sender.Settings settings(double rate, long copies, int batch) {
        return settings(rate, copies, batch, TimeUnit.SECONDS.toNanos(30), TimeUnit.MINUTES.toNanos(10));
    }

    private static Sender.Settings settings(double rate, long copies, int batch, long answerNanos, long giveUpNanos) {
        return new Sender.Settings(
                rate,
                copies,
                Long.MAX_VALUE,
                batch,
                4,
                new Sender.Patience(answerNanos, giveUpNanos, TimeUnit.MILLISECONDS.toNanos(10)));
    }

    /** For an ingest that hangs. */
    private static Sender.Settings impatient(double rate) {
        return settings(rate, COPIES, 1, TimeUnit.MILLISECONDS.toNanos(300), TimeUnit.MINUTES.toNanos(10));
    }

    private Sender send(IntFunction<Act> script, Sender.Settings settings) throws IOException {
        try (ScriptedIngest ingest = new ScriptedIngest(reader, script)) {
            return send(ingest.address(), settings);
        }
    }

    private Sender send(InetSocketAddress address, Sender.Settings settings) throws IOException {
        try (Ledger ledger = new Ledger(file())) {
            Sender sender = new Sender(
                    address, "/events", settings, new Copies(plan, new ViewEvents(SEED), reader), probes, ledger);
            sender.run();
            return sender;
        }
    }

    private Path file() {
        return directory.resolve("reports").resolve("ledger.csv");
    }

    private List<String> lines() throws IOException {
        List<String> lines = Files.readAllLines(file());
        assertThat(lines.get(0)).isEqualTo("fingerprint,outcome,partition,offset");
        return lines.subList(1, lines.size());
    }

    /** How often each fingerprint is in the ledger as acknowledged, and under "" how many were invalid. */
    private Map<String, Integer> ledger() throws IOException {
        Map<String, Integer> counts = new HashMap<>();
        for (String line : lines()) {
            assertThat(line).matches("[0-9a-f]{64},acknowledged,1,\\d+|,invalid,,");
            counts.merge(line.substring(0, line.indexOf(',')), 1, Integer::sum);
        }
        return counts;
    }

    private Map<String, Integer> expected() throws Exception {
        ViewEvents events = new ViewEvents(SEED);
        byte[] target = new byte[events.longest()];
        Map<String, Integer> counts = new HashMap<>();
        for (int copy = 0; copy < COPIES; copy++) {
            String fingerprint = "";
            if (plan.kind(copy) != Kind.INVALID) {
                int length = events.write(plan.event(copy), target, 0);
                fingerprint =
                        reader.read(Arrays.copyOf(target, length)).fingerprint().toString();
            }
            counts.merge(fingerprint, 1, Integer::sum);
        }
        return counts;
    }

    private static void assertAddsUp(Sender sender) {
        assertThat(sender.counters().acknowledged.sum()
                        + sender.counters().invalid.sum()
                        + sender.counters().unknown.sum())
                .isEqualTo(sender.counters().sent.sum());
        assertThat(sender.counters().unknown.sum()).isZero();
        assertThat(sender.counters().distinctAcknowledged.sum())
                .isEqualTo(sender.counters().distinct.sum());
        assertThat(sender.counters().wrong.sum()).isZero();
    }
}
