package io.github.eventdedup.proof;

import java.util.concurrent.Callable;
import picocli.CommandLine.Command;

/** The command {@code ./dedup audit}. */
@Command(name = "audit", mixinStandardHelpOptions = true)
final class Audit implements Callable<Integer> {

    @Override
    public Integer call() {
        throw new ProofException("not there yet");
    }
}
