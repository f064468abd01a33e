package io.github.eventdedup.job.deadletters;

import java.time.Instant;

/**
 * Which letters of a stream are meant; null where it does not matter.
 *
 * @param reasonCode of the letter
 * @param from when it was put aside, or later
 * @param to before which it was put aside
 * @param position of the original in the raw topic, {@code partition:offset}
 * @param fingerprint 64 hexadecimal digits
 */
public record LetterFilter(String reasonCode, Instant from, Instant to, String position, String fingerprint) {

    boolean matches(KeptLetter letter) {
        return (reasonCode == null || reasonCode.equals(letter.reasonCode()))
                && (from == null || !letter.putAside().isBefore(from))
                && (to == null || letter.putAside().isBefore(to))
                && (position == null || position.equals(letter.position()))
                && (fingerprint == null || fingerprint.equalsIgnoreCase(letter.fingerprint()));
    }

    /** Whether it names the letters of one event. */
    boolean namesOne() {
        return position != null || fingerprint != null;
    }

    /** Whether all letters are meant. */
    public boolean isEverything() {
        return reasonCode == null && from == null && to == null && !namesOne();
    }
}
