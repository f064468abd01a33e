package io.github.eventdedup.proof.prove;

import io.github.eventdedup.proof.system.ProofException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * What was seen of a stream in one second.
 *
 * @param millis when, since the epoch
 * @param sent events that were acknowledged since the begin, or rows that were committed
 * @param rows those that were seen in the database at the end
 * @param lagMillis the age of the oldest one that is sent and not yet seen there
 */
record Sample(long millis, long sent, long rows, long lagMillis) {

    /** When more rows must follow before the system is believed to go on: the last rows of a process that died come late. */
    private static final long LATE_MILLIS = 1_000;

    private static final long STEADY_MILLIS = 4_000;

    private static final long CALM_LAG_MILLIS = 5_000;

    /**
     * Reads the samples of a load, also while it writes them. What a sample does not say is as in the one before: the database
     * may have been away.
     */
    static List<Sample> read(Path csv) throws IOException {
        List<Sample> samples = new ArrayList<>();
        if (!Files.exists(csv)) {
            return samples;
        }
        String text = Files.readString(csv, StandardCharsets.UTF_8);
        // The end of a line that is being written is not there yet.
        List<String> lines =
                text.substring(0, text.lastIndexOf('\n') + 1).lines().toList();
        if (lines.isEmpty()) {
            return samples;
        }
        List<String> names = List.of(lines.get(0).split(",", -1));
        Sample last = new Sample(0, 0, 0, 0);
        for (String line : lines.subList(1, lines.size())) {
            String[] values = line.split(",", -1);
            if (values.length != names.size()) {
                throw new ProofException(csv + ": '" + line + "' has not the columns " + names);
            }
            last = new Sample(
                    value(names, values, "epoch_ms", last.millis()),
                    value(names, values, "acknowledged", last.sent()),
                    value(names, values, "rows", last.rows()),
                    value(names, values, "lag_ms", last.lagMillis()));
            samples.add(last);
        }
        return samples;
    }

    private static long value(List<String> names, String[] values, String name, long otherwise) {
        int index = names.indexOf(name);
        if (index < 0) {
            throw new ProofException("samples have no column " + name + ", but " + names);
        }
        String value = values[index].strip();
        return value.isEmpty() ? otherwise : Long.parseLong(value);
    }

    /**
     * When rows come again and are young: the first sample after the fault with new rows at which the
     * oldest event that is not visible waits for less than 5 s (or 2 s more than before the fault), with more rows from
     * 1 to 4 s later, which do not follow the last rows of a system that stops.
     *
     * @param begin when the fault began
     * @param end when it was over: a process that was paused continued
     * @return milliseconds after {@code end}; empty where that is not, or not yet, so
     */
    static OptionalLong recovery(List<Sample> samples, long begin, long end) {
        long limit = Math.max(
                CALM_LAG_MILLIS,
                samples.stream()
                                .filter(sample -> sample.millis() < begin)
                                .mapToLong(Sample::lagMillis)
                                .reduce(0, (before, last) -> last)
                        + 2_000);
        List<Sample> after =
                samples.stream().filter(sample -> sample.millis() >= end).toList();
        for (int i = 1; i < after.size(); i++) {
            Sample sample = after.get(i);
            if (sample.rows() > after.get(i - 1).rows() && sample.lagMillis() < limit) {
                Optional<Sample> soon = first(after, sample.millis() + LATE_MILLIS);
                Optional<Sample> later = first(after, sample.millis() + STEADY_MILLIS);
                if (later.isPresent()
                        && later.get().rows() > soon.orElseThrow().rows()
                        && later.get().lagMillis() < limit) {
                    return OptionalLong.of(sample.millis() - end);
                }
            }
        }
        return OptionalLong.empty();
    }

    private static Optional<Sample> first(List<Sample> samples, long millis) {
        return samples.stream().filter(sample -> sample.millis() >= millis).findFirst();
    }
}
