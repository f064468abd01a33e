package io.github.eventdedup.proof;

import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.proof.audit.Audit;
import io.github.eventdedup.proof.load.Load;
import io.github.eventdedup.proof.prove.Prove;
import io.github.eventdedup.proof.system.ProofException;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/** The commands {@code ./dedup load}, {@code ./dedup audit} and {@code ./dedup prove}. */
@Command(
        name = "dedup",
        subcommands = {Load.class, Audit.class, Prove.class})
final class Proof {

    private Proof() {}

    /** Exits with 0 where all is as it should be, with 1 where it is not, and with 2 where the arguments are wrong. */
    public static void main(String[] arguments) {
        CommandLine line = new CommandLine(new Proof());
        line.setExecutionExceptionHandler((e, command, parsed) -> {
            if (e instanceof ProofException || e instanceof ConfigurationException) {
                System.err.println(e.getMessage());
            } else {
                e.printStackTrace();
            }
            return 1;
        });
        System.exit(line.execute(arguments));
    }
}
