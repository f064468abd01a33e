package io.github.eventdedup.job.launch;

import io.github.eventdedup.job.clickhouse.ClickHouseBatch;
import io.github.eventdedup.job.pipeline.StateIdentity;
import java.io.DataInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.apache.flink.api.common.ExecutionConfig;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.typeutils.base.LongSerializer;
import org.apache.flink.api.common.typeutils.base.array.BytePrimitiveArraySerializer;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.connector.kafka.source.split.KafkaPartitionSplit;
import org.apache.flink.connector.kafka.source.split.KafkaPartitionSplitSerializer;
import org.apache.flink.core.fs.CloseableRegistry;
import org.apache.flink.core.fs.FileStatus;
import org.apache.flink.core.fs.FileSystem;
import org.apache.flink.core.fs.Path;
import org.apache.flink.core.io.SimpleVersionedSerialization;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;
import org.apache.flink.runtime.checkpoint.Checkpoints;
import org.apache.flink.runtime.checkpoint.MasterState;
import org.apache.flink.runtime.checkpoint.OperatorState;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.checkpoint.metadata.CheckpointMetadata;
import org.apache.flink.runtime.metrics.groups.InternalSinkCommitterMetricGroup;
import org.apache.flink.runtime.state.DefaultOperatorStateBackend;
import org.apache.flink.runtime.state.DefaultOperatorStateBackendBuilder;
import org.apache.flink.runtime.state.StreamStateHandle;
import org.apache.flink.runtime.state.filesystem.AbstractFsCheckpointStorageAccess;
import org.apache.flink.runtime.state.filesystem.FileStateHandle;
import org.apache.flink.streaming.runtime.operators.sink.committables.CommittableCollectorSerializer;

/**
 * A completed checkpoint or savepoint on disk or in object storage.
 *
 * @param path what {@code flink run -s} takes
 * @param written when it was taken; where an earlier version took it, when it was completed
 * @param identity whose it is
 * @param metadata all else, as Flink reads it
 */
record SavedState(String path, Instant written, StateIdentity identity, CheckpointMetadata metadata) {

    /** {@code <job>/chk-<n>} below the checkpoints; savepoints may be in folders of any name. */
    private static final int DEPTH = 3;

    /** The data of incremental checkpoints: many files, none of them of interest here. */
    private static final Set<String> DATA = Set.of(
            AbstractFsCheckpointStorageAccess.CHECKPOINT_SHARED_STATE_DIR,
            AbstractFsCheckpointStorageAccess.CHECKPOINT_TASK_OWNED_STATE_DIR);

    /** Flink's own name and format of a source's splits. */
    private static final ListStateDescriptor<byte[]> SPLITS =
            new ListStateDescriptor<>("SourceReaderState", BytePrimitiveArraySerializer.INSTANCE);

    /** Flink's own name and format of what a sink has not committed. */
    private static final ListStateDescriptor<byte[]> COMMITTABLES =
            new ListStateDescriptor<>("streaming_committer_raw_states", BytePrimitiveArraySerializer.INSTANCE);

    /** As {@code ClickHouseSplitter} names them. */
    private static final ListStateDescriptor<byte[]> PIECES =
            new ListStateDescriptor<>("pieces", BytePrimitiveArraySerializer.INSTANCE);

    /**
     * The newest of a stream, in the directories for checkpoints and savepoints that Flink is configured with. Newest is by
     * the time in it, since numbers start again with every job, and a copy of a file is newer than what it holds.
     *
     * @throws IOException where one that may be it cannot be read; the message names it
     */
    static Optional<SavedState> newest(ReadableConfig flink, String stream) throws IOException {
        List<Path> directories = new ArrayList<>();
        for (var directory :
                List.of(CheckpointingOptions.CHECKPOINTS_DIRECTORY, CheckpointingOptions.SAVEPOINT_DIRECTORY)) {
            flink.getOptional(directory).map(Path::new).ifPresent(directories::add);
        }
        return newest(directories, stream);
    }

    /** The newest of a stream in these directories. */
    static Optional<SavedState> newest(List<Path> directories, String stream) throws IOException {
        List<FileStatus> found = new ArrayList<>();
        for (Path directory : directories) {
            collect(directory.getFileSystem(), directory, DEPTH, found);
        }
        found.sort(Comparator.comparingLong(FileStatus::getModificationTime).reversed());
        SavedState newest = null;
        for (FileStatus file : found) {
            if (newest != null && file.getModificationTime() < newest.written.toEpochMilli()) {
                // What it holds is older still.
                break;
            }
            String path = file.getPath().getParent().toString();
            try {
                Optional<SavedState> state = read(path);
                if (state.isPresent()
                        && state.get().identity.stream().equals(stream)
                        && (newest == null || state.get().written.isAfter(newest.written))) {
                    newest = state.get();
                }
            } catch (IOException e) {
                if (file.getPath().getFileSystem().exists(file.getPath())) {
                    throw new IOException("cannot read the state in " + path + " (" + e + ")", e);
                }
                // A running job has deleted it since.
            }
        }
        return Optional.ofNullable(newest);
    }

    private static void collect(FileSystem files, Path directory, int depth, List<FileStatus> found)
            throws IOException {
        for (FileStatus child : children(files, directory)) {
            String name = child.getPath().getName();
            if (child.isDir()) {
                if (depth > 0 && !DATA.contains(name)) {
                    collect(files, child.getPath(), depth - 1, found);
                }
            } else if (name.equals(AbstractFsCheckpointStorageAccess.METADATA_FILE_NAME)) {
                found.add(child);
            }
        }
    }

    /** What is in a directory: nothing where it is not there itself. */
    private static FileStatus[] children(FileSystem files, Path directory) throws IOException {
        // The listing fails as a whole where a child goes meanwhile, as the checkpoints of a running job do.
        for (int attempt = 0; attempt < 10; attempt++) {
            try {
                FileStatus[] children = files.listStatus(directory);
                if (children != null) {
                    return children;
                }
            } catch (FileNotFoundException e) {
                // The directory or a child of it: asked next.
            }
            if (!files.exists(directory)) {
                return new FileStatus[0];
            }
        }
        throw new IOException("cannot list the directory " + directory);
    }

    /**
     * Reads a checkpoint or savepoint.
     *
     * @param path as {@code flink run -s} takes it
     * @return empty where it is not of this kind of job
     * @throws IOException where it cannot be read
     */
    static Optional<SavedState> read(String path) throws IOException {
        StreamStateHandle file =
                AbstractFsCheckpointStorageAccess.resolveCheckpointPointer(path).getMetadataHandle();
        Path metadata = ((FileStateHandle) file).getFilePath();
        return read(path, file, metadata.getFileSystem().getFileStatus(metadata).getModificationTime());
    }

    private static Optional<SavedState> read(String path, StreamStateHandle file, long completedMillis)
            throws IOException {
        try (DataInputStream in = new DataInputStream(file.openInputStream())) {
            CheckpointMetadata metadata =
                    Checkpoints.loadCheckpointMetadata(in, SavedState.class.getClassLoader(), path);
            for (MasterState state : metadata.getMasterStates()) {
                if (state.name().equals(StateIdentity.Hook.ID)) {
                    StateIdentity identity = new StateIdentity.Serializer().deserialize(state.version(), state.bytes());
                    long written = identity.takenAt() == 0 ? completedMillis : identity.takenAt();
                    return Optional.of(new SavedState(path, Instant.ofEpochMilli(written), identity, metadata));
                }
            }
            return Optional.empty();
        } catch (RuntimeException e) {
            // What Flink's readers make of bytes that are no metadata.
            throw new IOException(e.getMessage(), e);
        }
    }

    /**
     * Whether it holds rows for ClickHouse that a job inserts when it continues from it. They may have been inserted since:
     * only the table that got them can tell.
     */
    boolean hasPendingRows() throws IOException {
        if (!list("refusals", PIECES).isEmpty()) {
            return true;
        }
        var format = new CommittableCollectorSerializer<>(
                new ClickHouseBatch.Serializer(),
                0,
                1,
                InternalSinkCommitterMetricGroup.wrap(UnregisteredMetricsGroup.createOperatorMetricGroup()));
        for (byte[] bytes : list("Sink Committer: store", COMMITTABLES)) {
            if (!SimpleVersionedSerialization.readVersionAndDeSerialize(format, bytes)
                    .isFinished()) {
                return true;
            }
        }
        return false;
    }

    /**
     * How far the job had read its topic.
     *
     * @return for each partition the offset that it reads next; none for those it had not begun
     */
    Map<Integer, Long> offsets() throws IOException {
        KafkaPartitionSplitSerializer format = new KafkaPartitionSplitSerializer();
        Map<Integer, Long> offsets = new TreeMap<>();
        for (byte[] bytes : list(identity.sourceUid(), SPLITS)) {
            KafkaPartitionSplit split = SimpleVersionedSerialization.readVersionAndDeSerialize(format, bytes);
            if (split.getTopic().equals(identity.stream()) && split.getStartingOffset() >= 0) {
                offsets.put(split.getPartition(), split.getStartingOffset());
            }
        }
        return offsets;
    }

    /** How many events the job had found to be unique. */
    long unique() throws IOException {
        long sum = 0;
        for (long count : list("deduplicate", new ListStateDescriptor<>("unique", LongSerializer.INSTANCE))) {
            sum += count;
        }
        return sum;
    }

    /** A list in an operator's state, from all of its subtasks. */
    private <T> Collection<T> list(String uid, ListStateDescriptor<T> descriptor) throws IOException {
        List<T> all = new ArrayList<>();
        for (OperatorState operator : metadata.getOperatorStates()) {
            if (!operator.getOperatorUid().filter(uid::equals).isPresent()) {
                continue;
            }
            for (OperatorSubtaskState subtask : operator.getStates()) {
                try (CloseableRegistry streams = new CloseableRegistry()) {
                    DefaultOperatorStateBackend backend = new DefaultOperatorStateBackendBuilder(
                                    SavedState.class.getClassLoader(),
                                    new ExecutionConfig(),
                                    false,
                                    subtask.getManagedOperatorState(),
                                    streams)
                            .build();
                    try {
                        backend.getListState(descriptor).get().forEach(all::add);
                    } finally {
                        backend.dispose();
                    }
                } catch (Exception e) {
                    throw new IOException("cannot read the state of operator '" + uid + "' in " + path, e);
                }
            }
        }
        return all;
    }
}
