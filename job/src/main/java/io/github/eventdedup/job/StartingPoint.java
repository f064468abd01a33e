package io.github.eventdedup.job;

import io.github.eventdedup.job.JobSettings.Start;
import java.io.IOException;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import org.apache.flink.client.deployment.StandaloneClusterId;
import org.apache.flink.client.deployment.application.executors.EmbeddedExecutor;
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

/**
 * With what state a job starts. Starting empty is a decision, never an accident.
 *
 * @param configuration what to add to Flink's configuration of the submission
 * @param isRecovery whether Flink itself recovers a job that has run before
 */
record StartingPoint(Configuration configuration, boolean isRecovery) {

    /**
     * Decides.
     *
     * @param flink Flink's configuration of this submission
     * @throws InvalidSettingsException where the job must not start like this; the message says what to do
     */
    static StartingPoint of(ReadableConfig flink, StateIdentity identity, Start start) throws InvalidSettingsException {
        Optional<String> named = flink.getOptional(StateRecoveryOptions.SAVEPOINT_PATH);
        requireNotRunning(flink, identity.stream());
        try {
            Optional<SavedState> own = ofRecoveredJob(flink, identity.stream());
            if (own.isPresent()) {
                // What is named may be the start of long ago, or no path but an operator's word for high availability.
                boolean obsolete = named.isEmpty() || isState(named.get());
                return new StartingPoint(obsolete ? restoring(own.get().path()) : new Configuration(), true);
            }
            if (named.isPresent()) {
                if (start == Start.FRESH) {
                    throw refused(
                            "--fresh starts without state, and " + named.get() + " is to be restored: leave one out");
                }
                require(identity, SavedState.identity(named.get()), named.get());
                return new StartingPoint(new Configuration(), false);
            }
            Optional<SavedState> newest =
                    start == Start.FRESH ? Optional.empty() : SavedState.newest(flink, identity.stream());
            if (newest.isEmpty()) {
                return new StartingPoint(new Configuration(), false);
            }
            String path = newest.get().path();
            if (start == Start.ONLY_WITHOUT_STATE) {
                throw refused("stream '" + identity.stream() + "' has state, and without it duplicates of before would"
                        + " not be recognised. Continue from the newest with --resume (at the end of the command), from"
                        + " one of your choice with -s PATH (before the jar), or start without with --fresh. The newest"
                        + " is of " + newest.get().written() + ": " + path);
            }
            require(identity, Optional.of(newest.get().identity()), path);
            return new StartingPoint(restoring(path), false);
        } catch (IOException e) {
            throw refused(named.map(path -> "cannot read the state at " + path + " (" + e
                            + "): give the path that `flink stop` or `flink savepoint` has printed")
                    .orElseGet(() -> e.getMessage() + ": move it away, or name the state to restore with -s PATH"));
        }
    }

    /**
     * Two jobs of one stream would decide every event twice. Asked where somebody submits to a session cluster, from outside
     * or through the web UI; in application mode the cluster has one job, of a fixed id.
     */
    private static void requireNotRunning(ReadableConfig flink, String stream) throws InvalidSettingsException {
        Set<String> session = Set.of(RemoteExecutor.NAME, EmbeddedExecutor.NAME);
        if (!session.contains(flink.getOptional(DeploymentOptions.TARGET).orElse(""))
                || flink.getOptional(PipelineOptionsInternal.PIPELINE_FIXED_JOB_ID)
                        .isPresent()) {
            return;
        }
        for (JobStatusMessage job : jobs(Configuration.fromMap(flink.toMap()))) {
            if (job.getJobName().equals(stream) && !job.getJobState().isGloballyTerminalState()) {
                throw refused("stream '" + stream + "' has a job already, " + job.getJobId()
                        + ": stop it first, with `flink stop " + job.getJobId() + "`");
            }
        }
    }

    private static Collection<JobStatusMessage> jobs(Configuration flink) throws InvalidSettingsException {
        try (var cluster = new RestClusterClient<>(flink, StandaloneClusterId.getInstance())) {
            return cluster.listJobs().get();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw refused("interrupted while asking the cluster for its jobs");
        } catch (Exception e) {
            Throwable cause = e instanceof ExecutionException ? e.getCause() : e;
            throw refused("the Flink cluster does not say which jobs it has: " + cause.getMessage());
        }
    }

    /**
     * In application mode a new JobManager runs the main method again, for a job that high availability knows. That goes
     * before any path in the configuration; where somebody has deleted it, the job's own newest checkpoint has to do.
     *
     * @return that checkpoint; empty where this is not such a recovery
     */
    private static Optional<SavedState> ofRecoveredJob(ReadableConfig flink, String stream) throws IOException {
        Optional<String> job = flink.getOptional(PipelineOptionsInternal.PIPELINE_FIXED_JOB_ID);
        Optional<String> checkpoints = flink.getOptional(CheckpointingOptions.CHECKPOINTS_DIRECTORY);
        if (job.isEmpty()
                || checkpoints.isEmpty()
                || flink.get(HighAvailabilityOptions.HA_MODE).equalsIgnoreCase("NONE")) {
            return Optional.empty();
        }
        return SavedState.newest(List.of(new Path(checkpoints.get(), job.get())), stream);
    }

    private static boolean isState(String path) {
        try {
            return SavedState.identity(path).isPresent();
        } catch (IOException e) {
            return false;
        }
    }

    private static Configuration restoring(String path) {
        Configuration configuration = new Configuration();
        configuration.set(StateRecoveryOptions.SAVEPOINT_PATH, path);
        // Whoever wrote it may still run, and a savepoint is its owner's.
        configuration.set(StateRecoveryOptions.RESTORE_MODE, RecoveryClaimMode.NO_CLAIM);
        return configuration;
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
