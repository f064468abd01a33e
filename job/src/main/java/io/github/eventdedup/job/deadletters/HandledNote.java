package io.github.eventdedup.job.deadletters;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Instant;

/** What the topic of handled letters has for each: what was done, when, and for a replay the place it was sent to. */
public final class HandledNote {

    /** The letter was sent again. */
    public static final String REPLAYED = "replayed";

    /** The letter is not to be stored. */
    public static final String DISCARDED = "discarded";

    private static final ObjectMapper JSON = new ObjectMapper();

    private HandledNote() {}

    static String replayed(String place) {
        return note(REPLAYED).put("sent-to", place).toString();
    }

    /** A note of now. */
    public static String discarded() {
        return note(DISCARDED).toString();
    }

    /** {@link #REPLAYED} or {@link #DISCARDED}. */
    public static String action(String note) {
        return note.contains("\"action\":\"" + DISCARDED + '"') ? DISCARDED : REPLAYED;
    }

    private static ObjectNode note(String action) {
        return JSON.createObjectNode()
                .put("action", action)
                .put("at", Instant.now().toString());
    }
}
