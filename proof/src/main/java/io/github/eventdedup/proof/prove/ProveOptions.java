package io.github.eventdedup.proof.prove;

import io.github.eventdedup.proof.prove.faults.Fault.Kind;
import io.github.eventdedup.proof.system.DedupScript;
import java.time.Duration;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;

/**
 * What the user asked for.
 *
 * @param waitSeconds how long what was sent may take to be stored, once nothing more is sent
 */
record ProveOptions(double minutes, long seed, Set<Kind> faults, int rate, int batch, int waitSeconds) {

    int seconds() {
        return (int) Math.round(minutes * 60);
    }

    Duration patience() {
        return Duration.ofSeconds(waitSeconds);
    }

    /** What repeats the run. */
    String commandLine(DedupScript dedup) {
        String kinds = faults.isEmpty()
                ? "none"
                : new TreeSet<>(faults).stream().map(Kind::word).collect(Collectors.joining(","));
        return "./dedup prove --minutes " + minutes + " --seed " + seed + " --faults " + kinds + " --rate " + rate
                + (batch == 1 ? "" : " --batch " + batch)
                + (dedup.data().equals(dedup.file(".dedup")) ? "" : " --data-dir " + dedup.data())
                + (dedup.portOffset() == 0 ? "" : " --port-offset " + dedup.portOffset());
    }
}
