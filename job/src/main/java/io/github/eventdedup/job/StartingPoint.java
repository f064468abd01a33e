package io.github.eventdedup.job;

import io.github.eventdedup.job.JobSettings.Start;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import org.apache.flink.client.deployment.StandaloneClusterId;
import org.apache.flink.client.deployment.executors.RemoteExecutor;
import org.apache.flink.client.program.rest.RestClusterClient;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.DeploymentOptions;
import org.apache.flink.configuration.HighAvailabilityOptions;
import org.apache.flink.configuration.PipelineOptionsInternal;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.configuration.StateRecoveryOptions;
import org.apache.flink.core.execution.RecoveryClaimMode;
import org.apache.flink.core.fs.Path;
import org.apache.flink.runtime.client.JobStatusMessage;

/** Decides with what state a job starts. Starting empty is a decision, never an accident. */
final class StartingPoint {

    private StartingPoint() {}

    /**
     * Decides.
     *
     * @param flink Flink's configuration of this submission
     * @return what to add to it
     * @throws InvalidSettingsException where the job must not start like this; the message says what to do
     */
    static Configuration of(ReadableConfig flink, StateIdentity identity, Start start) throws InvalidSettingsException {
        Configuration addition = new Configuration();
        Optional<String> named = flink.getOptional(StateRecoveryOptions.SAVEPOINT_PATH);
        requireNotRunning(flink, identity.stream());
        try {
            boolean recovery = isRecovery(flink);
            if (named.isPresent()) {
                if (recovery) {
                    // Not always a path: an operator may say with it that high availability knows.
                    return addition;
                }
                if (start == Start.FRESH) {
                    throw refused(
                            "--fresh starts without state, and " + named.get() + " is to be restored: leave one out");
                }
                require(identity, SavedState.identity(named.get()), named.get());
                return addition;
            }
            if (start == Start.FRESH) {
                return addition;
            }
            Optional<SavedState> newest = SavedState.newest(flink, identity.stream());
            if (newest.isPresent()) {
                String path = newest.get().path();
                if (start == Start.ONLY_WITHOUT_STATE && !recovery) {
                    throw refused(
                            "stream '" + identity.stream() + "' has state, and without it duplicates of before would"
                                    + " not be recognised. Continue from the newest with --resume (at the end of the command), from"
                                    + " one of your choice with -s PATH (before the jar), or start without with --fresh. The newest"
                                    + " is of " + newest.get().written() + ": " + path);
                }
                require(identity, Optional.of(newest.get().identity()), path);
                addition.set(StateRecoveryOptions.SAVEPOINT_PATH, path);
                // Whoever wrote it may still run, and a savepoint is its owner's.
                addition.set(StateRecoveryOptions.RESTORE_MODE, RecoveryClaimMode.NO_CLAIM);
            }
            return addition;
        } catch (IOException e) {
            throw refused(named.map(path -> "cannot read the state at " + path + " (" + e
                            + "): give the path that `flink stop` or `flink savepoint` has printed")
                    .orElseGet(() -> e.getMessage() + ": move it away, or name the state to restore with -s PATH"));
        }
    }

    /**
     * Two jobs of one stream would decide every event twice. Asked where somebody submits to a session cluster; what submits
     * inside a JobManager knows what it does.
     */
    private static void requireNotRunning(ReadableConfig flink, String stream) throws InvalidSettingsException {
        if (!flink.getOptional(DeploymentOptions.TARGET).equals(Optional.of(RemoteExecutor.NAME))) {
            return;
        }
        try (RestClusterClient<StandaloneClusterId> cluster =
                new RestClusterClient<>(Configuration.fromMap(flink.toMap()), StandaloneClusterId.getInstance())) {
            for (JobStatusMessage job : cluster.listJobs().get()) {
                if (job.getJobName().equals(stream) && !job.getJobState().isGloballyTerminalState()) {
                    throw refused("stream '" + stream + "' has a job already, " + job.getJobId()
                            + ": stop it first, with `flink stop " + job.getJobId() + "`");
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw refused("interrupted while asking the cluster for its jobs");
        } catch (InvalidSettingsException e) {
            throw e;
        } catch (Exception e) {
            Throwable cause = e instanceof ExecutionException ? e.getCause() : e;
            throw refused("the Flink cluster does not say which jobs it has: " + cause.getMessage());
        }
    }

    /**
     * Whether Flink recovers a job that it knows: in application mode a new JobManager runs the main method again, and high
     * availability has the checkpoint to continue from. That goes before what is named here; where somebody has deleted it,
     * the newest on disk has to do.
     *
     * @throws IOException where the directory of checkpoints cannot be asked
     */
    static boolean isRecovery(ReadableConfig flink) throws IOException {
        Optional<String> job = flink.getOptional(PipelineOptionsInternal.PIPELINE_FIXED_JOB_ID);
        Optional<String> checkpoints = flink.getOptional(CheckpointingOptions.CHECKPOINTS_DIRECTORY);
        if (job.isEmpty()
                || checkpoints.isEmpty()
                || flink.get(HighAvailabilityOptions.HA_MODE).equalsIgnoreCase("NONE")) {
            return false;
        }
        Path directory = new Path(checkpoints.get(), job.get());
        return directory.getFileSystem().exists(directory);
    }

    private static void require(StateIdentity identity, Optional<StateIdentity> saved, String path)
            throws InvalidSettingsException {
        try {
            identity.requireSame(saved.orElseThrow(
                    () -> new IllegalStateException("This is not the state of a job that deduplicates a stream.")));
        } catch (IllegalStateException e) {
            throw refused(path + ": " + e.getMessage());
        }
    }

    private static InvalidSettingsException refused(String reason) {
        return new InvalidSettingsException(List.of(reason));
    }
}
