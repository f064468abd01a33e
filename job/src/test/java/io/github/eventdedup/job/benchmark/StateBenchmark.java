package io.github.eventdedup.job.benchmark;

import io.github.eventdedup.event.Fingerprint;
import io.github.eventdedup.job.model.IdentifiedEvent;
import io.github.eventdedup.job.model.ImmutableType;
import io.github.eventdedup.job.model.SourceRecord;
import io.github.eventdedup.job.pipeline.DeduplicateFunction;
import io.github.eventdedup.job.pipeline.StateIdentity;
import io.github.eventdedup.job.testing.Fixtures;
import java.util.SplittableRandom;
import org.apache.flink.core.execution.SavepointFormatType;
import org.apache.flink.runtime.checkpoint.SavepointType;
import org.apache.flink.runtime.state.storage.JobManagerCheckpointStorage;
import org.apache.flink.state.rocksdb.EmbeddedRocksDBStateBackend;
import org.apache.flink.streaming.api.operators.KeyedProcessOperator;
import org.apache.flink.streaming.util.KeyedOneInputStreamOperatorTestHarness;

/**
 * How many bytes a fingerprint takes in a savepoint. Not a test: run it with the command in docs/benchmarks.md. Argument:
 * how many fingerprints.
 */
public final class StateBenchmark {

    private StateBenchmark() {}

    public static void main(String[] arguments) throws Exception {
        int keys = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 1_000_000;
        SplittableRandom random = new SplittableRandom(1);
        try (var harness = new KeyedOneInputStreamOperatorTestHarness<>(
                new KeyedProcessOperator<>(
                        new DeduplicateFunction(Fixtures.viewEvents(), StateIdentity.of(Fixtures.viewEvents()))),
                IdentifiedEvent::fingerprint,
                ImmutableType.FINGERPRINT)) {
            EmbeddedRocksDBStateBackend rocksDb = new EmbeddedRocksDBStateBackend();
            // The harness has next to no managed memory to give.
            rocksDb.getMemoryConfiguration().setUseManagedMemory(false);
            harness.setStateBackend(rocksDb);
            harness.setCheckpointStorage(new JobManagerCheckpointStorage(Integer.MAX_VALUE));
            harness.open();
            for (int i = 0; i < keys; i++) {
                Fingerprint fingerprint =
                        new Fingerprint(random.nextLong(), random.nextLong(), random.nextLong(), random.nextLong());
                SourceRecord source = new SourceRecord(new byte[0], 0, i, 1_746_057_600_000L + i);
                harness.processElement(new IdentifiedEvent(fingerprint, source, new byte[0]), source.timestamp());
                harness.getOutput().clear();
            }
            long bytes = harness
                    .snapshotWithLocalState(1, 0, SavepointType.savepoint(SavepointFormatType.CANONICAL))
                    .getJobManagerOwnedState()
                    .getManagedKeyedState()
                    .stream()
                    .mapToLong(state -> state.getStateSize())
                    .sum();
            System.out.printf("%d fingerprints, %d bytes: %.1f bytes each%n", keys, bytes, (double) bytes / keys);
        }
    }
}
