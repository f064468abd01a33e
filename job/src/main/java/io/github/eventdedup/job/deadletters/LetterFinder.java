package io.github.eventdedup.job.deadletters;

import io.github.eventdedup.event.HandledLetters;
import java.io.PrintStream;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** Finds the letters of a stream that are meant. */
final class LetterFinder {

    private final LetterTopics topics;
    private final PrintStream warnings;

    LetterFinder(LetterTopics topics, PrintStream warnings) {
        this.topics = topics;
        this.warnings = warnings;
    }

    /**
     * The letters that are meant, each once, the oldest first.
     *
     * @param all whether those are meant too that were replayed or discarded
     */
    List<ListedLetter> find(LetterFilter filter, boolean all) {
        Map<String, KeptLetter> letters = new LinkedHashMap<>();
        Map<String, Integer> attempts = new HashMap<>();
        int[] others = {0};
        topics.letters(record -> {
            KeptLetter letter = KeptLetter.of(record);
            if (letter == null) {
                others[0]++;
            } else {
                // A recovery of the job writes some of them a second time.
                letters.putIfAbsent(letter.key(), letter);
                attempts.merge(letter.original(), letter.attempt(), Math::max);
            }
            return true;
        });
        if (others[0] > 0) {
            warnings.println(topics.deadLettersTopic() + ": " + LetterOutput.count(others[0], "record")
                    + " without the headers of a dead letter left out");
        }
        Map<String, String> handled = topics.handled();
        return letters.values().stream()
                .filter(filter::matches)
                .map(letter -> new ListedLetter(letter, state(letter, handled, attempts)))
                .filter(listed -> all || listed.isOpen())
                .sorted(Comparator.comparing(listed -> listed.letter().putAside()))
                .toList();
    }

    private static String state(KeptLetter letter, Map<String, String> handled, Map<String, Integer> attempts) {
        String note = handled.get(letter.key());
        if (note != null) {
            return HandledNote.action(note);
        }
        // It was sent again, and rejected again, without a note: the command was killed in between.
        return attempts.get(letter.original()) > letter.attempt() ? HandledLetters.REPLAYED : ListedLetter.OPEN;
    }

    /** Reads the topic again, for the values of some letters: those of all would not fit into memory. */
    void withRecords(
            Collection<ListedLetter> letters, BiConsumer<ListedLetter, ConsumerRecord<byte[], byte[]>> action) {
        Map<String, ListedLetter> wanted = new HashMap<>();
        letters.forEach(listed -> wanted.put(
                listed.letter().letterPartition() + ":" + listed.letter().letterOffset(), listed));
        if (wanted.isEmpty()) {
            return;
        }
        topics.letters(record -> {
            ListedLetter listed = wanted.remove(record.partition() + ":" + record.offset());
            if (listed != null) {
                action.accept(listed, record);
            }
            return !wanted.isEmpty();
        });
    }
}
