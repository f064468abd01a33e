package io.github.eventdedup.proof.prove;

import io.github.eventdedup.proof.prove.faults.FaultInjector;
import io.github.eventdedup.proof.system.DedupScript;
import io.github.eventdedup.proof.system.ProofException;
import io.github.eventdedup.proof.system.SystemStatus;
import java.io.IOException;

/**
 * A system that is left as it was found, also after Ctrl-C: no process stays paused, and none runs that did not run before.
 */
final class BorrowedSystem implements AutoCloseable {

    private final DedupScript dedup;
    private final FaultInjector injector;
    private final RunDirectory directory;
    private final boolean ours;
    private final Thread interrupted = new Thread(this::abandon, "abandon");

    /** @param found what ran before */
    BorrowedSystem(DedupScript dedup, SystemStatus found, FaultInjector injector, RunDirectory directory) {
        this.dedup = dedup;
        this.injector = injector;
        this.directory = directory;
        ours = found.supervisor().equals("down");
        Runtime.getRuntime().addShutdownHook(interrupted);
    }

    /** Starts it where it does not run. */
    void up() throws IOException, InterruptedException {
        if (ours) {
            directory.log("starting the system in " + dedup.data());
            dedup.succeed("up", "--detach");
        }
    }

    private void abandon() {
        try {
            injector.close();
            directory.abandon();
            if (ours) {
                dedup.succeed("down");
            }
        } catch (IOException | ProofException e) {
            System.err.println(e.getMessage());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public void close() throws IOException {
        injector.close();
        if (ours) {
            directory.log("stopping the system");
            try {
                dedup.succeed("down");
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new ProofException("interrupted", e);
            }
        }
        try {
            Runtime.getRuntime().removeShutdownHook(interrupted);
        } catch (IllegalStateException e) {
            // It runs already.
        }
    }
}
