package io.github.eventdedup.event;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.List;

/**
 * Computes the fingerprints of one stream: SHA-256 (FIPS 180-4) over the stream's name and then the text of each
 * fingerprint field in the order declared, each part preceded by its UTF-8 length as a 4-byte big-endian integer. The
 * lengths keep the parts apart: ("ab", "c") and ("a", "bc") differ.
 *
 * <p>Thread-safe.
 */
public final class FingerprintFunction {

    /** Has taken in the stream's name; cloned for every fingerprint, which is cheaper than to look SHA-256 up again. */
    private final MessageDigest afterStreamName;

    /** A function for events of the stream with this name. */
    public FingerprintFunction(String stream) {
        try {
            afterStreamName = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java platform has SHA-256", e);
        }
        update(afterStreamName, List.of(stream));
    }

    /**
     * The fingerprint of an event whose fingerprint fields have these texts.
     *
     * @param texts one for each fingerprint field, in the order the stream declares them; must hold no lone surrogate,
     *     which has no UTF-8 form
     */
    public Fingerprint apply(List<String> texts) {
        try {
            MessageDigest digest = (MessageDigest) afterStreamName.clone();
            update(digest, texts);
            return Fingerprint.of(digest.digest());
        } catch (CloneNotSupportedException e) {
            throw new AssertionError("the platform's SHA-256 can be cloned", e);
        }
    }

    private static void update(MessageDigest digest, List<String> texts) {
        for (String text : texts) {
            byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
            int length = utf8.length;
            digest.update((byte) (length >>> 24));
            digest.update((byte) (length >>> 16));
            digest.update((byte) (length >>> 8));
            digest.update((byte) length);
            digest.update(utf8);
        }
    }
}
