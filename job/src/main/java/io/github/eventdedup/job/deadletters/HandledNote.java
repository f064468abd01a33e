package io.github.eventdedup.job.deadletters;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.eventdedup.event.HandledLetters;
import java.time.Instant;

/** What the topic of handled letters has for each: what was done, when, and for a replay the place it was sent to. */
final class HandledNote {

    private static final ObjectMapper JSON = new ObjectMapper();

    private HandledNote() {}

    static String replayed(String place) {
        return note(HandledLetters.REPLAYED).put("sent-to", place).toString();
    }

    /** A note of now. */
    static String discarded() {
        return note(HandledLetters.DISCARDED).toString();
    }

    /** {@link HandledLetters#REPLAYED} or {@link HandledLetters#DISCARDED}. */
    static String action(String note) {
        return HandledLetters.isDiscarded(note) ? HandledLetters.DISCARDED : HandledLetters.REPLAYED;
    }

    private static ObjectNode note(String action) {
        return JSON.createObjectNode()
                .put(HandledLetters.ACTION, action)
                .put("at", Instant.now().toString());
    }
}
