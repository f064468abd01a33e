package io.github.eventdedup.job.deadletters;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.event.HandledLetters;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.deadletters.LetterTopics.LettersException;
import io.github.eventdedup.job.settings.Endpoints;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** What {@code ./dedup dead-letters} does, for the letters of some streams. */
public final class LetterCommands {

    private final Endpoints endpoints;
    private final List<StreamDefinition> streams;
    private final LetterFilter filter;
    private final LetterOutput output;
    private final PrintStream err;

    /**
     * For the letters that are meant.
     *
     * @param streams whose letters
     * @param filter which of them
     * @param err for what is left out
     */
    public LetterCommands(
            Endpoints endpoints,
            List<StreamDefinition> streams,
            LetterFilter filter,
            LetterOutput output,
            PrintStream err) {
        this.endpoints = endpoints;
        this.streams = List.copyOf(streams);
        this.filter = filter;
        this.output = output;
        this.err = err;
    }

    /**
     * Counts letters by stream and reason code.
     *
     * @param all whether to count those too that were replayed or discarded
     * @return whether the letters of all streams could be read
     */
    public boolean list(boolean all) {
        boolean complete = true;
        for (StreamDefinition stream : streams) {
            try (LetterTopics topics = new LetterTopics(stream, endpoints)) {
                list(stream, new LetterFinder(topics, err).find(filter, all));
            } catch (LettersException e) {
                // The letters of the other streams are worth seeing.
                err.println(e.getMessage());
                complete = false;
            }
        }
        output.end();
        return complete;
    }

    private void list(StreamDefinition stream, List<ListedLetter> letters) {
        Map<String, List<KeptLetter>> groups = new TreeMap<>();
        letters.forEach(listed -> groups.computeIfAbsent(listed.letter().reasonCode(), code -> new ArrayList<>())
                .add(listed.letter()));
        output.line(stream.stream() + ": " + LetterOutput.count(letters.size(), "dead letter"));
        groups.forEach((code, group) -> output.group(stream, code, group));
    }

    /**
     * Prints letters, the newest first.
     *
     * @param all whether to print those too that were replayed or discarded
     * @param limit how many of each stream
     */
    public void show(boolean all, int limit) {
        for (StreamDefinition stream : streams) {
            try (LetterTopics topics = new LetterTopics(stream, endpoints)) {
                LetterFinder finder = new LetterFinder(topics, err);
                List<ListedLetter> letters = finder.find(filter, all);
                List<ListedLetter> newest = letters.subList(Math.max(0, letters.size() - limit), letters.size());
                output.line(stream.stream() + ": newest " + newest.size() + " of "
                        + LetterOutput.count(letters.size(), "dead letter"));
                List<ObjectNode> shown = new ArrayList<>();
                finder.withRecords(
                        newest, (listed, record) -> shown.add(0, LetterOutput.describe(stream, listed, record)));
                shown.forEach(output::letter);
            }
        }
        output.end();
    }

    /**
     * Sends letters again.
     *
     * @param dryRun whether to send nothing
     * @return how many cannot be sent
     * @throws ConfigurationException where the database of a stream does not fit its definition
     */
    public int replay(boolean dryRun) throws ConfigurationException {
        int sent = 0;
        int refused = 0;
        for (StreamDefinition stream : streams) {
            try (LetterTopics topics = new LetterTopics(stream, endpoints)) {
                LetterFinder finder = new LetterFinder(topics, err);
                List<ListedLetter> chosen = finder.find(filter, filter.namesOne()).stream()
                        .filter(listed -> !listed.state().equals(HandledLetters.REPLAYED))
                        .toList();
                output.line(
                        stream.stream() + ": " + LetterOutput.count(chosen.size(), "dead letter") + " to send again");
                if (chosen.isEmpty()) {
                    continue;
                }
                LetterReplay replay = new LetterReplay(
                        stream,
                        endpoints,
                        topics,
                        dryRun,
                        (letter, result) -> output.replayed(stream, letter, result, dryRun));
                finder.withRecords(chosen, (listed, record) -> replay.add(listed.letter(), record));
                replay.flush();
                sent += replay.sent();
                refused += replay.refused();
            }
        }
        output.line((dryRun ? "would be sent again: " : "sent again: ") + sent + ", refused: " + refused);
        if (sent > 0 && !dryRun) {
            output.line("The job stores them. One that is rejected again is listed again, with its new reason.");
        }
        output.end();
        return refused;
    }

    /**
     * Notes that letters are not to be stored.
     *
     * @param dryRun whether to note nothing
     */
    public void discard(boolean dryRun) {
        for (StreamDefinition stream : streams) {
            try (LetterTopics topics = new LetterTopics(stream, endpoints)) {
                List<ListedLetter> chosen = new LetterFinder(topics, err).find(filter, false);
                if (!dryRun && !chosen.isEmpty()) {
                    Map<String, String> notes = new LinkedHashMap<>();
                    chosen.forEach(listed -> notes.put(listed.letter().key(), HandledNote.discarded()));
                    topics.createHandledTopic();
                    topics.handled(notes);
                }
                output.discarded(stream, chosen, dryRun);
            }
        }
        output.end();
    }
}
