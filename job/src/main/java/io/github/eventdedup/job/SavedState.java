package io.github.eventdedup.job;

import java.io.DataInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.core.fs.FileStatus;
import org.apache.flink.core.fs.FileSystem;
import org.apache.flink.core.fs.Path;
import org.apache.flink.runtime.checkpoint.Checkpoints;
import org.apache.flink.runtime.checkpoint.MasterState;
import org.apache.flink.runtime.state.filesystem.AbstractFsCheckpointStorageAccess;

/**
 * A completed checkpoint or savepoint on disk or in object storage.
 *
 * @param path what {@code flink run -s} takes
 * @param written when it was completed
 * @param identity whose it is
 */
record SavedState(String path, Instant written, StateIdentity identity) {

    /** {@code <job>/chk-<n>} below the checkpoints; savepoints may be in folders of somebody's own. */
    private static final int DEPTH = 3;

    /** The data of incremental checkpoints: many files, none of them of interest here. */
    private static final Set<String> DATA = Set.of(
            AbstractFsCheckpointStorageAccess.CHECKPOINT_SHARED_STATE_DIR,
            AbstractFsCheckpointStorageAccess.CHECKPOINT_TASK_OWNED_STATE_DIR);

    /**
     * The newest of a stream, in the directories for checkpoints and savepoints that Flink is configured with. Newest is by
     * the time of the file that Flink writes last, since numbers start again with every job.
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
        for (FileStatus file : found) {
            String path = file.getPath().getParent().toString();
            Optional<StateIdentity> identity;
            try {
                identity = identity(path);
            } catch (IOException e) {
                if (!file.getPath().getFileSystem().exists(file.getPath())) {
                    // A running job has deleted it since.
                    continue;
                }
                throw new IOException("cannot read the state in " + path + " (" + e + ")", e);
            }
            if (identity.isPresent() && identity.get().stream().equals(stream)) {
                return Optional.of(
                        new SavedState(path, Instant.ofEpochMilli(file.getModificationTime()), identity.get()));
            }
        }
        return Optional.empty();
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
     * Whose a checkpoint or savepoint is.
     *
     * @param path as {@code flink run -s} takes it
     * @return empty where it is not of this kind of job
     * @throws IOException where it cannot be read
     */
    static Optional<StateIdentity> identity(String path) throws IOException {
        var metadataFile =
                AbstractFsCheckpointStorageAccess.resolveCheckpointPointer(path).getMetadataHandle();
        try (DataInputStream in = new DataInputStream(metadataFile.openInputStream())) {
            var metadata = Checkpoints.loadCheckpointMetadata(in, SavedState.class.getClassLoader(), path);
            for (MasterState state : metadata.getMasterStates()) {
                if (state.name().equals(StateIdentity.Hook.ID)) {
                    return Optional.of(new StateIdentity.Serializer().deserialize(state.version(), state.bytes()));
                }
            }
            return Optional.empty();
        } catch (RuntimeException e) {
            // What Flink's readers make of bytes that are no metadata.
            throw new IOException(e.getMessage(), e);
        }
    }
}
