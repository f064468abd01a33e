package io.github.eventdedup.event;

/**
 * What the topic of handled dead letters says of each ({@link StreamDefinition#handledLettersTopic}): a JSON object without
 * white space, of which this is the action.
 */
public final class HandledLetters {

    /** The member that says what was done. */
    public static final String ACTION = "action";

    /** The letter was sent again. */
    public static final String REPLAYED = "replayed";

    /** The letter is not to be stored. */
    public static final String DISCARDED = "discarded";

    private HandledLetters() {}

    /** Whether the note of a letter says that it was discarded. */
    public static boolean isDiscarded(String note) {
        return note.contains("\"" + ACTION + "\":\"" + DISCARDED + '"');
    }
}
