package io.github.eventdedup.event;

import java.nio.ByteBuffer;
import java.util.HexFormat;

/**
 * What makes two events the same: a SHA-256 over the stream's name and its fingerprint fields. Immutable.
 *
 * <p>Held as four longs: equality is four comparisons, and there is no array that a caller could change.
 */
public final class Fingerprint {

    /** Length in bytes. */
    public static final int BYTES = 32;

    private final long first;
    private final long second;
    private final long third;
    private final long fourth;

    /** The fingerprint whose 32 bytes are the four numbers, big-endian, one after the other. */
    public Fingerprint(long first, long second, long third, long fourth) {
        this.first = first;
        this.second = second;
        this.third = third;
        this.fourth = fourth;
    }

    /**
     * The fingerprint with these bytes.
     *
     * @throws IllegalArgumentException unless there are exactly 32
     */
    public static Fingerprint of(byte[] bytes) {
        if (bytes.length != BYTES) {
            throw new IllegalArgumentException("a fingerprint has " + BYTES + " bytes, not " + bytes.length);
        }
        ByteBuffer buffer = ByteBuffer.wrap(bytes);
        return new Fingerprint(buffer.getLong(), buffer.getLong(), buffer.getLong(), buffer.getLong());
    }

    /** The first 8 bytes as a big-endian number. */
    public long first() {
        return first;
    }

    /** Bytes 8 to 15 as a big-endian number. */
    public long second() {
        return second;
    }

    /** Bytes 16 to 23 as a big-endian number. */
    public long third() {
        return third;
    }

    /** The last 8 bytes as a big-endian number. */
    public long fourth() {
        return fourth;
    }

    /** A new array of the 32 bytes. */
    public byte[] bytes() {
        return ByteBuffer.allocate(BYTES)
                .putLong(first)
                .putLong(second)
                .putLong(third)
                .putLong(fourth)
                .array();
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Fingerprint that
                && first == that.first
                && second == that.second
                && third == that.third
                && fourth == that.fourth;
    }

    /**
     * The first four bytes. They are uniform already, and the value must never change: Flink derives from it which
     * subtask owns the state of this fingerprint, in savepoints too.
     */
    @Override
    public int hashCode() {
        return (int) (first >>> 32);
    }

    /** 64 lower-case hexadecimal digits. */
    @Override
    public String toString() {
        return HexFormat.of().formatHex(bytes());
    }
}
