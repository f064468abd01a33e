package io.github.eventdedup.job.launch;

import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.job.pipeline.StateIdentity;
import io.github.eventdedup.job.settings.JobSettings.Consent;
import io.github.eventdedup.job.settings.JobSettings.Start;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
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
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * With what state a job starts. Starting empty is a decision, never an accident; so is a start from older state, and one
 * from state that belongs to another topic or table.
 *
 * @param configuration what to add to Flink's configuration of the submission
 * @param isRecovery whether Flink itself recovers a job that has run before
 * @param identity what the job puts into its own checkpoints
 * @param restored the state that the job continues from; empty where it starts without
 */
public record StartingPoint(
        Configuration configuration, boolean isRecovery, StateIdentity identity, Optional<SavedState> restored) {

    private static final Logger LOG = LoggerFactory.getLogger(StartingPoint.class);

    /**
     * Decides.
     *
     * @param flink Flink's configuration of this submission
     * @throws ConfigurationException where the job must not start like this; the message says what to do
     */
    public static StartingPoint of(ReadableConfig flink, StateIdentity identity, Start start)
            throws ConfigurationException {
        Optional<String> named = flink.getOptional(StateRecoveryOptions.SAVEPOINT_PATH);
        requireNotRunning(flink, identity.stream());
        try {
            Optional<SavedState> own = ofRecoveredJob(flink, identity.stream());
            if (own.isPresent()) {
                // What is named may be the start of long ago, or no path but an operator's word for high availability.
                boolean obsolete = named.isEmpty() || isState(named.get());
                return new StartingPoint(
                        obsolete ? restoring(own.get().path()) : new Configuration(),
                        true,
                        identity.continuing(own.get().identity()),
                        own);
            }
            if (named.isPresent()) {
                if (start == Start.FRESH) {
                    throw refused(
                            "--fresh starts without state, and " + named.get() + " is to be restored: leave one out");
                }
                Optional<SavedState> state = SavedState.read(named.get());
                require(identity, state.map(SavedState::identity), named.get());
                return new StartingPoint(
                        new Configuration(),
                        false,
                        identity.continuing(state.orElseThrow().identity()),
                        state);
            }
            Optional<SavedState> newest =
                    start == Start.FRESH ? Optional.empty() : SavedState.newest(flink, identity.stream());
            if (newest.isEmpty()) {
                return new StartingPoint(new Configuration(), false, identity, Optional.empty());
            }
            String path = newest.get().path();
            if (start == Start.ONLY_WITHOUT_STATE) {
                throw refused("stream '" + identity.stream() + "' has state, and without it earlier duplicates would"
                        + " not be recognised. Continue from the newest with --resume (at the end of the command), from"
                        + " one of your choice with -s PATH (before the jar), or start without with --fresh. The newest"
                        + " is of " + newest.get().written() + ": " + path);
            }
            require(identity, Optional.of(newest.get().identity()), path);
            return new StartingPoint(
                    restoring(path), false, identity.continuing(newest.get().identity()), newest);
        } catch (IOException e) {
            throw refused(named.map(path -> "cannot read the state at " + path + " (" + e
                            + "): give the path that `flink stop` or `flink savepoint` has printed")
                    .orElseGet(() -> e.getMessage() + ": move it away, or name the state to restore with -s PATH"));
        }
    }

    /**
     * Checks that the state is the newest of its stream. What was stored after an older state was taken is decided again: a
     * table that recognises its rows stays as it is, and any other gets them a second time.
     *
     * @param recognisesRows whether the stream's table does
     * @throws ConfigurationException where rows would be stored twice, and that was not asked for
     */
    public void requireNewest(ReadableConfig flink, boolean recognisesRows, Set<Consent> consents)
            throws ConfigurationException {
        if (restored.isEmpty()) {
            return;
        }
        SavedState state = restored.get();
        String what = "the state at " + state.path() + " is of " + state.written() + ". ";
        String rows;
        try {
            Optional<SavedState> newest = SavedState.newest(flink, identity.stream());
            if (newest.isEmpty() || !newest.get().written().isAfter(state.written())) {
                return;
            }
            rows = storedBetween(state, newest.get());
            what += "A newer one, of " + newest.get().written() + ", is at "
                    + newest.get().path() + ". ";
        } catch (IOException e) {
            rows = "All that was stored since then";
            what += "Whether it is the newest of its stream is not known: " + e.getMessage() + ". ";
        }
        if (rows.isEmpty()) {
            return;
        }
        if (recognisesRows) {
            warn(what + "Events since then are decided again; rows that are in the table stay as they are.");
            return;
        }
        what += rows + " would be stored a second time, for ClickHouse does not recognise rows. ";
        if (!consents.contains(Consent.FROM_OLDER)) {
            throw refused(
                    what + "Continue from the newest: --resume, at the end of the command. Or empty the table with"
                            + " TRUNCATE and read all events again: --fresh. Or accept the copies: --from-older, at the end of the"
                            + " command.");
        }
        warn(what + "It is restored nevertheless, because of --from-older.");
    }

    /** What was stored after the older state was taken and before the newer one was; empty where nothing was read. */
    private static String storedBetween(SavedState older, SavedState newer) throws IOException {
        StateIdentity one = older.identity();
        StateIdentity other = newer.identity();
        if (!one.sourceUid().equals(other.sourceUid()) || !sameWhereKnown(one.stateId(), other.stateId())) {
            return "The newer one is of a job that began anew, so all that was stored since then";
        }
        Map<Integer, Long> offsets = older.offsets();
        long records = 0;
        for (Map.Entry<Integer, Long> next : newer.offsets().entrySet()) {
            records += Math.max(0, next.getValue() - offsets.getOrDefault(next.getKey(), 0L));
        }
        long unique = newer.unique() - older.unique();
        // Less than none: between the two a job of an earlier version began anew.
        long rows = unique < 0 ? records : Math.min(unique, records);
        return rows == 0 ? "" : "Up to " + rows + " rows that were stored since then";
    }

    /**
     * Compares what the state belongs to with what is there.
     *
     * @throws ConfigurationException where the topic or the table is another, and that was not agreed to
     */
    public StartingPoint attachedTo(Attachment live, Set<Consent> consents) throws ConfigurationException {
        StateIdentity attached = identity;
        Configuration more = new Configuration(configuration);
        if (restored.isPresent()) {
            SavedState state = restored.get();
            List<String> findings = new ArrayList<>();
            String topic = wrongTopic(state, live);
            boolean newTopic = consents.contains(Consent.NEW_TOPIC)
                    && (!topic.isEmpty() || state.identity().topicId() == null);
            if (newTopic) {
                // Under another uid: the offsets of before have no operator any more, and are dropped.
                attached = attached.withSourceUid(StateIdentity.SOURCE_UID + "-" + UUID.randomUUID());
                more.set(StateRecoveryOptions.SAVEPOINT_IGNORE_UNCLAIMED_STATE, true);
                warn(topic + "The job keeps its memory and reads topic '" + identity.stream()
                        + "' from its beginning, because of --new-topic.");
            } else if (!topic.isEmpty()) {
                findings.add(
                        topic + "Connect the job to the previous topic (DEDUP_KAFKA_BOOTSTRAP_SERVERS). Or keep what"
                                + " was seen, and read this topic from its beginning: --new-topic, at the end of the command."
                                + " Or begin without state: --fresh.");
            }
            String table = wrongTable(state, live);
            if (!table.isEmpty()) {
                String refusal = consents.contains(Consent.NEW_TABLE)
                        ? newTableRefusal(state)
                        : "Give the previous table its name back (EXCHANGE TABLES or RENAME TABLE). Or, where this one"
                                + " has all its rows, continue with it: --new-table, at the end of the command. Or empty"
                                + " it and begin without state: --fresh.";
                if (!refusal.isEmpty()) {
                    findings.add(table + refusal);
                } else {
                    warn(table + "The job continues with it, because of --new-table.");
                }
            }
            if (!findings.isEmpty()) {
                throw new ConfigurationException(findings);
            }
        }
        return new StartingPoint(
                more, isRecovery, attached.attachedTo(live.kafkaClusterId(), live.topicId(), live.tableId()), restored);
    }

    /** What is wrong with the topic for this state, in whole sentences; empty where nothing is. */
    private static String wrongTopic(SavedState state, Attachment live) throws ConfigurationException {
        StateIdentity saved = state.identity();
        if (!sameWhereKnown(saved.topicId(), live.topicId())) {
            return "the state at " + state.path() + " belongs to topic '" + saved.stream() + "' with the id "
                    + saved.topicId() + " in Kafka cluster " + saved.kafkaClusterId()
                    + ". The topic of this name has the"
                    + " id " + live.topicId() + " in cluster " + live.kafkaClusterId() + ". It was deleted and created"
                    + " again, or is another cluster's, and the saved offsets are those of other records. ";
        }
        try {
            for (Map.Entry<Integer, Long> next : state.offsets().entrySet()) {
                long end = live.ends().getOrDefault(next.getKey(), 0L);
                if (next.getValue() > end) {
                    return "the state at " + state.path() + " has read partition " + next.getKey() + " of topic '"
                            + saved.stream() + "' up to offset " + next.getValue() + ". The partition ends at " + end
                            + ". The topic was created again, or Kafka has lost records, and new records at these"
                            + " offsets would not be read. ";
                }
            }
        } catch (IOException e) {
            throw refused(e.getMessage());
        }
        return "";
    }

    /** What is wrong with the table for this state, in whole sentences; empty where nothing is. */
    private static String wrongTable(SavedState state, Attachment live) {
        StateIdentity saved = state.identity();
        return sameWhereKnown(saved.tableId(), live.tableId())
                ? ""
                : "the state at " + state.path() + " belongs to the ClickHouse table with the id " + saved.tableId()
                        + ". The table of this name has the id " + live.tableId()
                        + ". It was exchanged, or created again,"
                        + " and does not know which rows it got before. ";
    }

    /** Why the job cannot continue with another table although that was agreed to; empty where it can. */
    private static String newTableRefusal(SavedState state) throws ConfigurationException {
        try {
            return state.hasPendingRows()
                    ? "--new-table needs state without pending rows, and this holds some: the new table would get them a"
                            + " second time. Give the previous table its name back, and restore the job. Stop the ingest"
                            + " and the relay, wait until the counts rest, and stop the job with `flink stop`. Copy the"
                            + " table then. Or empty this one and begin without state: --fresh."
                    : "";
        } catch (IOException e) {
            throw refused(e.getMessage());
        }
    }

    private static boolean sameWhereKnown(String one, String other) {
        return one == null || other == null || one.equals(other);
    }

    private static void warn(String what) {
        LOG.warn("{}", what);
        System.err.println("Warning: " + what);
    }

    /**
     * Two jobs of one stream would decide every event twice. Checked on submission to a session cluster, from outside
     * or through the web UI; in application mode the cluster has one job, of a fixed id.
     */
    private static void requireNotRunning(ReadableConfig flink, String stream) throws ConfigurationException {
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

    private static Collection<JobStatusMessage> jobs(Configuration flink) throws ConfigurationException {
        try (var cluster = new RestClusterClient<>(flink, StandaloneClusterId.getInstance())) {
            return cluster.listJobs().get();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw refused("interrupted while querying the jobs of the cluster");
        } catch (Exception e) {
            Throwable cause = e instanceof ExecutionException ? e.getCause() : e;
            throw refused("cannot query the jobs of the Flink cluster: " + cause.getMessage());
        }
    }

    /**
     * In application mode a new JobManager runs the main method again, for a job that high availability knows. That
     * goes before any path in the configuration; where it was deleted, the job's own newest checkpoint is used.
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
            return SavedState.read(path).isPresent();
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
            throws ConfigurationException {
        try {
            identity.requireSame(saved.orElseThrow(
                    () -> new IllegalStateException("This is not the state of a job that deduplicates a stream.")));
        } catch (IllegalStateException e) {
            throw refused(path + ": " + e.getMessage());
        }
    }

    private static ConfigurationException refused(String reason) {
        return new ConfigurationException(List.of(reason));
    }
}
