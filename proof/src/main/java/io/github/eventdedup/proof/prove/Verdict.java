package io.github.eventdedup.proof.prove;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * What a run has shown.
 *
 * @param streams what the audit counted of each
 * @param problems everything that is not as it has to be, in words; proved is what has none
 */
record Verdict(List<OfStream> streams, List<String> problems) {

    /** The audit's words for what has a count of its own. */
    private static final Set<String> COUNTED =
            Set.of("missing", "extra", "different", "escape", "acknowledged-missing");

    /**
     * One stream's part.
     *
     * @param lost events that were sent or acknowledged and are not stored
     * @param duplicates rows too many
     * @param escapes duplicates that only the table's key has kept out
     */
    record OfStream(String stream, long lost, long duplicates, long escapes) {}

    boolean isProved() {
        return problems.isEmpty();
    }

    /**
     * Judges.
     *
     * @param notUp what did not run at the end, in words
     * @param noticed what else is not as it has to be, in words
     */
    static Verdict of(
            RunDirectory.Result load,
            RunDirectory.Result audit,
            List<String> notUp,
            List<InjectedFault> faults,
            List<String> noticed) {
        List<OfStream> streams = new ArrayList<>();
        List<String> problems = new ArrayList<>(noticed);
        for (JsonNode stream : audit.json().path("streams")) {
            String name = stream.path("stream").asText();
            long missing = stream.path("missing").asLong();
            long acknowledgedMissing = stream.path("acknowledgedMissing").asLong();
            OfStream of = new OfStream(
                    name,
                    missing + acknowledgedMissing,
                    stream.path("extra").asLong(),
                    stream.path("escapes").asLong());
            streams.add(of);
            problem(problems, missing, name + ": %d lost, missing in the table");
            problem(
                    problems,
                    acknowledgedMissing,
                    name + ": %d lost, acknowledged but not there (acknowledgedMissing)");
            // Everything that is sent here could be stored.
            problem(
                    problems,
                    stream.path("refused").asLong(),
                    name
                            + ": %d acknowledged or sent, and then refused by the database (refused): see its dead letters");
            problem(
                    problems,
                    stream.path("deadLettersOpen").asLong(),
                    name + ": %d dead letters that are open (deadLettersOpen)");
            problem(problems, of.duplicates(), name + ": %d duplicates, rows that are too many (extra)");
            problem(problems, of.escapes(), name + ": %d escapes");
            problem(problems, stream.path("different").asLong(), name + ": %d stored differently (different)");
            others(stream).forEach((kind, count) -> problem(problems, count, name + ": %d " + kind));
        }
        if (streams.isEmpty()) {
            problems.add("the audit counted nothing, see audit.log: " + audit.lastLine());
        } else if (audit.status() != 0 || !audit.json().path("verdict").asText().equals("exact")) {
            problems.add("the audit ended with status " + audit.status() + " and the verdict "
                    + audit.json().path("verdict").asText("none"));
        }
        if (load.status() != 0) {
            problems.add("the load ended with status " + load.status() + ", see load.log: " + load.lastLine());
        }
        notUp.forEach(problem -> problems.add(problem + " at the end"));
        for (InjectedFault fault : faults) {
            if (!fault.failure().isEmpty()) {
                problems.add("could not be done: " + fault.fault().what() + " (" + fault.failure() + ")");
            }
        }
        return new Verdict(List.copyOf(streams), List.copyOf(problems));
    }

    private static void problem(List<String> problems, long count, String words) {
        if (count != 0) {
            problems.add(words.formatted(count));
        }
    }

    /** Everything else that the audit has found, by kind. */
    private static Map<String, Long> others(JsonNode stream) {
        Map<String, Long> others = new TreeMap<>();
        stream.path("broken").properties().forEach(kind -> {
            if (!COUNTED.contains(kind.getKey())) {
                others.put(kind.getKey(), kind.getValue().asLong());
            }
        });
        return others;
    }
}
