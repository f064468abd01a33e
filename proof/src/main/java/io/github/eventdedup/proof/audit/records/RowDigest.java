package io.github.eventdedup.proof.audit.records;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.List;

/**
 * Stands for a row: 16 bytes of a SHA-256 over the texts of its columns. Both sides write a value as the same text, so
 * rows are the same where their digests are. Not thread-safe.
 */
public final class RowDigest {

    public static final int BYTES = 16;

    /** For each column, by which a difference can be named. */
    public static final int TAG_BYTES = 2;

    private final MessageDigest sha256;
    private final ByteBuffer length = ByteBuffer.allocate(Integer.BYTES);

    public RowDigest() {
        try {
            sha256 = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java platform has SHA-256", e);
        }
    }

    /** Appends the digest of these texts, of which those that are NULL are null. */
    public void put(List<String> texts, ByteBuffer target) {
        for (String text : texts) {
            byte[] utf8 = text == null ? null : text.getBytes(UTF_8);
            sha256.update(length.clear().putInt(utf8 == null ? -1 : utf8.length).flip());
            if (utf8 != null) {
                sha256.update(utf8);
            }
        }
        target.put(sha256.digest(), 0, BYTES);
    }

    /** Appends the digest of some bytes. */
    public void put(byte[] bytes, ByteBuffer target) {
        target.put(sha256.digest(bytes), 0, BYTES);
    }

    /** Appends a few bits of each text. */
    public static void putTags(List<String> texts, ByteBuffer target) {
        for (String text : texts) {
            int hash = text == null ? 0 : text.hashCode() * 0x9E3779B1 | 1;
            target.putShort((short) (hash >>> 16 ^ hash));
        }
    }
}
