package io.github.eventdedup.job.deadletters;

/** What has become of a letter: {@link #OPEN}, or what was done with it. */
record ListedLetter(KeptLetter letter, String state) {

    static final String OPEN = "open";

    boolean isOpen() {
        return state.equals(OPEN);
    }
}
