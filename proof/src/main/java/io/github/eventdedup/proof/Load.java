package io.github.eventdedup.proof;

import java.util.concurrent.Callable;
import picocli.CommandLine.Command;

/** The command {@code ./dedup load}. */
@Command(name = "load", mixinStandardHelpOptions = true)
final class Load implements Callable<Integer> {

    @Override
    public Integer call() {
        throw new ProofException("not there yet");
    }
}
