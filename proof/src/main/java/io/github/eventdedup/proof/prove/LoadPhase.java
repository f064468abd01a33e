package io.github.eventdedup.proof.prove;

import io.github.eventdedup.proof.prove.faults.Fault;
import io.github.eventdedup.proof.prove.faults.FaultInjector;
import io.github.eventdedup.proof.prove.faults.FaultPlan;
import io.github.eventdedup.proof.system.Await;
import io.github.eventdedup.proof.system.Databases;
import io.github.eventdedup.proof.system.ProofException;
import java.io.IOException;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.concurrent.TimeUnit;

/** Load on both streams, and faults meanwhile; until the load has seen its events stored and the relay has sent all rows. */
final class LoadPhase {

    private static final String UNSENT = "SELECT count(*) FROM user_logins WHERE sent_to_kafka IS NOT TRUE";
    private static final String UNSENT_AND_SET_ASIDE =
            UNSENT + " AND id IN (SELECT row_id FROM outbox_set_aside WHERE table_name = 'user_logins')";

    private final ProveOptions options;
    private final List<Fault> plan;
    private final FaultInjector injector;
    private final Databases databases;
    private final RunDirectory directory;
    private final List<InjectedFault> injected = new ArrayList<>();
    private final List<String> problems = new ArrayList<>();
    private final Map<String, Long> logins = new LinkedHashMap<>();
    private int skipped;

    LoadPhase(
            ProveOptions options,
            List<Fault> plan,
            FaultInjector injector,
            Databases databases,
            RunDirectory directory) {
        this.options = options;
        this.plan = plan;
        this.injector = injector;
        this.databases = databases;
        this.directory = directory;
    }

    /**
     * What happened.
     *
     * @param begin when the first event was acknowledged, in milliseconds since the epoch
     * @param skipped faults of the plan there was no time left for
     * @param logins counts of the rows that were inserted for the other stream
     * @param problems what is not as it has to be, in words
     */
    record Outcome(
            RunDirectory.Result load,
            long begin,
            double seconds,
            List<InjectedFault> injected,
            int skipped,
            Map<String, Long> logins,
            List<String> problems) {}

    Outcome run() throws IOException, InterruptedException {
        directory.log("load on both streams for " + options.seconds() + " s, " + plan.size() + " faults");
        long setAside;
        try {
            setAside = count(UNSENT_AND_SET_ASIDE);
        } catch (SQLException e) {
            throw new ProofException("Postgres does not answer: " + e.getMessage(), e);
        }
        long begin = System.currentTimeMillis();
        int status;
        try (LoginLoad loginLoad = new LoginLoad(databases, options.seed(), directory.file(RunDirectory.LOGINS))) {
            Process load = start(begin);
            loginLoad.start();
            try {
                begin = firstAcknowledgement(load, begin);
                for (Fault fault : plan) {
                    inject(fault, load, begin);
                }
                status = end(load, begin);
            } finally {
                load.destroy();
            }
            loginLoad.close();
            judge(loginLoad);
        }
        double seconds = (System.currentTimeMillis() - begin) / 1000.0;
        if (injected.isEmpty() && !plan.isEmpty()) {
            problems.add("none of the planned faults was done");
        }
        awaitSent(setAside);
        return new Outcome(
                directory.result("load", status),
                begin,
                seconds,
                List.copyOf(injected),
                skipped,
                logins,
                List.copyOf(problems));
    }

    private Process start(long now) throws IOException {
        return directory.start(
                "load",
                "--rate",
                "" + options.rate(),
                "--batch",
                "" + options.batch(),
                "--duration",
                options.seconds() + "s",
                // Not the seed of the faults: the same events again would be duplicates, and nothing be stored.
                "--seed",
                "" + now % 1_000_000_000,
                "--ledger",
                RunDirectory.LEDGER,
                "--samples",
                RunDirectory.SAMPLES);
    }

    private void judge(LoginLoad loginLoad) {
        logins.put("inserted", loginLoad.inserted());
        logins.put("sent again", loginLoad.repeated());
        if (!loginLoad.failure().isEmpty()) {
            problems.add("user-logins: inserting ended early: " + loginLoad.failure());
        } else if (loginLoad.inserted() == 0) {
            problems.add("user-logins: no row was inserted");
        }
    }

    /** The load needs a while to begin, and the plan of faults is about its seconds. */
    private long firstAcknowledgement(Process load, long started) throws IOException, InterruptedException {
        while (load.isAlive() && System.currentTimeMillis() < started + 60_000) {
            if (directory.samples().stream().anyMatch(sample -> sample.sent() > 0)) {
                return System.currentTimeMillis();
            }
            Await.poll();
        }
        return started;
    }

    private void inject(Fault fault, Process load, long begin) throws IOException, InterruptedException {
        long latest = begin + 1000L * (FaultPlan.end(options.seconds()) - FaultPlan.usualSeconds(fault));
        long planned = begin + 1000L * fault.second();
        while (load.isAlive()
                && (System.currentTimeMillis() < planned
                        || (!fault.early() && System.currentTimeMillis() <= latest && !hasRecovered()))) {
            Await.poll();
        }
        if (!load.isAlive() || System.currentTimeMillis() > latest + 1000) {
            skipped++;
            return;
        }
        directory.log((injected.size() + 1) + "  " + fault.what());
        long began = System.currentTimeMillis();
        String failure = "";
        try {
            injector.inject(fault);
        } catch (ProofException e) {
            failure = e.getMessage();
            directory.log("   " + failure);
        }
        injected.add(new InjectedFault(fault, began, System.currentTimeMillis(), failure, OptionalLong.empty()));
    }

    private boolean hasRecovered() throws IOException {
        return injected.isEmpty()
                || injected.get(injected.size() - 1)
                        .seenIn(directory.samples(), directory.logins())
                        .recoveryMillis()
                        .isPresent();
    }

    /** The load goes on after its time until the last event is acknowledged, and then until it is visible. */
    private int end(Process load, long begin) throws InterruptedException {
        long allowed = options.seconds() * 1000L + options.waitSeconds() * 2500L;
        if (load.waitFor(begin + allowed - System.currentTimeMillis(), TimeUnit.MILLISECONDS)) {
            return load.exitValue();
        }
        directory.log("the load goes on and on: ending it");
        load.destroy();
        if (!load.waitFor(30, TimeUnit.SECONDS)) {
            load.destroyForcibly();
        }
        // Whatever it ends with now, it has not done its work.
        return Math.max(1, load.waitFor());
    }

    /**
     * The audit knows only of rows that are flagged as sent.
     *
     * @param setAside how many had been set aside before
     */
    private void awaitSent(long setAside) throws InterruptedException {
        long deadline = System.nanoTime() + options.patience().toNanos();
        while (System.nanoTime() < deadline) {
            try {
                if (count(UNSENT) <= setAside) {
                    return;
                }
            } catch (SQLException e) {
                // Postgres is still unavailable.
            }
            Await.poll();
        }
        problems.add("user-logins: rows that the relay has not sent, after " + options.waitSeconds() + " s");
    }

    private long count(String query) throws SQLException {
        return Long.parseLong(databases.postgres(query));
    }
}
