package io.github.eventdedup.proof.prove;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.eventdedup.proof.prove.faults.Fault.Kind;
import io.github.eventdedup.proof.prove.faults.FaultInjector;
import io.github.eventdedup.proof.system.Await;
import io.github.eventdedup.proof.system.DedupScript;
import io.github.eventdedup.proof.system.ProofException;
import java.io.IOException;
import java.util.List;

/** The audit of every event; where rows were rejected on purpose, again after each replay of their dead letters. */
final class AuditPhase {

    private static final int MAX_REPLAYS = 3;
    private static final String AUDIT = "audit";

    private final ProveOptions options;
    private final FaultInjector injector;
    private final DedupScript dedup;
    private final RunDirectory directory;

    AuditPhase(ProveOptions options, FaultInjector injector, DedupScript dedup, RunDirectory directory) {
        this.options = options;
        this.injector = injector;
        this.dedup = dedup;
        this.directory = directory;
    }

    /**
     * What was found.
     *
     * @param audit of the last audit
     * @param notUp what does not run at the end, in words
     */
    record Outcome(RunDirectory.Result audit, List<String> notUp) {}

    Outcome run(List<InjectedFault> injected) throws IOException, InterruptedException {
        boolean rejected = injected.stream().anyMatch(fault -> fault.fault().kind() == Kind.REJECT);
        int status = audit();
        // What was rejected last may have become a dead letter after the replay.
        for (int round = 0; rejected && round < MAX_REPLAYS && replayOpenLetters(); round++) {
            status = audit();
        }
        return new Outcome(directory.result(AUDIT, status), awaitUp());
    }

    private int audit() throws IOException, InterruptedException {
        directory.log(AUDIT);
        return directory
                .start(AUDIT, "--ledger", RunDirectory.LEDGER, "--wait", options.waitSeconds() + "s")
                .waitFor();
    }

    /** Returns whether there was something to replay. */
    private boolean replayOpenLetters() throws IOException, InterruptedException {
        boolean replayed = false;
        for (JsonNode stream : directory.json(AUDIT).path("streams")) {
            long open = stream.path("deadLettersOpen").asLong();
            if (open > 0) {
                String name = stream.path("stream").asText();
                directory.log(open + " dead letters of " + name + " are open: replaying them");
                try {
                    injector.replay(name);
                    replayed = true;
                } catch (ProofException e) {
                    directory.log("   " + e.getMessage());
                }
            }
        }
        return replayed;
    }

    /** The last fault may have hit what neither the load nor the audit needs. */
    private List<String> awaitUp() throws IOException, InterruptedException {
        long deadline = System.nanoTime() + options.patience().toNanos();
        List<String> notUp = dedup.status().problems();
        while (!notUp.isEmpty() && System.nanoTime() < deadline) {
            Await.poll();
            notUp = dedup.status().problems();
        }
        return notUp;
    }
}
