package io.github.eventdedup.proof.audit.topics;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.github.eventdedup.event.HandledLetters;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.proof.system.TopicReader;
import java.util.HashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The dead letters that an operator has discarded, as {@code ./dedup dead-letters} notes it (docs/adr/0021-replay.md). */
public final class DiscardedLetters {

    /** Partition, offset, time, attempt, state-id. */
    private static final Pattern KEY = Pattern.compile("(\\d{1,9}):(\\d{1,18}):-?\\d+:(\\d{1,9}):.*");

    private DiscardedLetters() {}

    /** The last attempt whose letter is discarded, by the position of the original. */
    public static Map<Position, Integer> read(TopicReader topics, StreamDefinition stream) {
        String topic = stream.handledLettersTopic();
        Map<Position, Integer> discarded = new HashMap<>();
        if (topics.exists(topic)) {
            topics.read(topics.range(topic), record -> {
                Matcher key = KEY.matcher(record.key() == null ? "" : new String(record.key(), UTF_8));
                if (key.matches()
                        && record.value() != null
                        && HandledLetters.isDiscarded(new String(record.value(), UTF_8))) {
                    discarded.merge(
                            new Position(Integer.parseInt(key.group(1)), Long.parseLong(key.group(2))),
                            Integer.parseInt(key.group(3)),
                            Math::max);
                }
            });
        }
        return discarded;
    }
}
