package io.github.eventdedup.proof.prove;

import java.io.IOException;
import java.util.List;

/** The end of a run: the verdict, the report, and what the user sees of it. */
final class Conclusion {

    private final ProveOptions options;
    private final String command;
    private final RunDirectory directory;

    /** @param command what repeats the run */
    Conclusion(ProveOptions options, String command, RunDirectory directory) {
        this.options = options;
        this.command = command;
        this.directory = directory;
    }

    /** Writes and prints it; returns 0 where it is proved, otherwise 1. */
    int draw(LoadPhase.Outcome load, AuditPhase.Outcome audit, Machine machine) throws IOException {
        List<Sample> views = directory.samples();
        List<Sample> logins = directory.logins();
        List<InjectedFault> faults = load.injected().stream()
                .map(fault -> fault.seenIn(views, logins))
                .toList();
        Verdict verdict = Verdict.of(load.load(), audit.audit(), audit.notUp(), faults, load.problems());
        new ProofReport(
                        verdict,
                        new ProofReport.Run(command, options.seed(), load.begin(), load.seconds()),
                        new ProofReport.Faults(faults, load.skipped()),
                        load.load(),
                        audit.audit(),
                        load.logins(),
                        machine)
                .write(directory.path(), views, logins);
        directory.print("");
        directory.print(verdict.isProved() ? "PROVED" : "BROKEN");
        verdict.streams()
                .forEach(stream -> directory.print("  " + stream.stream() + ": lost " + stream.lost() + ", duplicates "
                        + stream.duplicates() + ", escapes " + stream.escapes()));
        verdict.problems().forEach(problem -> directory.print("  " + problem));
        if (load.skipped() > 0) {
            directory.print("  " + load.skipped() + " faults of the plan left out: there was no time for them");
        }
        directory.print(directory.file("report.md").toString());
        return verdict.isProved() ? 0 : 1;
    }
}
