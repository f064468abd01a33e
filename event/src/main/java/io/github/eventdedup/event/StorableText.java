package io.github.eventdedup.event;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/**
 * Refuses bytes that Postgres could not store as JSON text even where a JSON parser would pass them: malformed UTF-8
 * (overlong forms and encoded surrogates included, which Jackson decodes without complaint), U+0000 and lone surrogates
 * written as escapes, and a byte order mark. One such row would fail its whole batch for ever.
 *
 * <p>Eight bytes at a time while they are ASCII without a backslash, which is nearly always: half a microsecond for a
 * 3.5 KB event. The tests of a word for a byte are from Warren, <i>Hacker's Delight</i>, 6-1.
 */
final class StorableText {

    private static final VarHandle LONGS = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.nativeOrder());
    private static final long HIGH_BITS = 0x8080808080808080L;
    private static final long LOW_BITS = 0x0101010101010101L;
    private static final long BACKSLASHES = LOW_BITS * '\\';

    private StorableText() {}

    static void check(byte[] json) throws InvalidEventException {
        if (json.length >= 3 && json[0] == (byte) 0xEF && json[1] == (byte) 0xBB && json[2] == (byte) 0xBF) {
            throw new InvalidEventException(
                    ReasonCode.NOT_UTF8, "starts with a byte order mark; send UTF-8 without one");
        }
        int at = 0;
        while (at < json.length) {
            if (at + Long.BYTES <= json.length && isPlain((long) LONGS.get(json, at))) {
                at += Long.BYTES;
            } else if (json[at] == '\\') {
                at = afterEscape(json, at);
            } else if (json[at] > 0) {
                at++;
            } else if (json[at] == 0) {
                throw holdsNul(at);
            } else {
                at = afterMultiByte(json, at);
            }
        }
    }

    /** Whether all eight bytes are ASCII, and none is a backslash or zero. */
    private static boolean isPlain(long word) {
        long noBackslash = word ^ BACKSLASHES;
        return ((word | (word - LOW_BITS) | (noBackslash - LOW_BITS)) & HIGH_BITS) == 0;
    }

    /** The position after the escape that starts here. A malformed one is left to the JSON parser to name. */
    private static int afterEscape(byte[] json, int at) throws InvalidEventException {
        int unit = escapedUnit(json, at);
        if (unit < 0) {
            return at + 2;
        }
        if (unit == 0) {
            throw holdsNul(at);
        }
        if (!Character.isSurrogate((char) unit)) {
            return at + 6;
        }
        int next = escapedUnit(json, at + 6);
        if (next < 0 || !Character.isSurrogatePair((char) unit, (char) next)) {
            throw new InvalidEventException(
                    ReasonCode.NOT_STORABLE, "holds a lone surrogate at byte " + at + ", which is not a character");
        }
        return at + 12;
    }

    /** The code unit of the backslash-u escape at this position, or -1 where there is none. */
    private static int escapedUnit(byte[] json, int at) {
        if (at + 6 > json.length || json[at] != '\\' || json[at + 1] != 'u') {
            return -1;
        }
        int unit = 0;
        for (int i = at + 2; i < at + 6; i++) {
            int digit = Character.digit(json[i], 16);
            if (digit < 0) {
                return -1;
            }
            unit = unit << 4 | digit;
        }
        return unit;
    }

    /** The position after a character of two to four bytes, well-formed as in table 3-7 of the Unicode standard. */
    private static int afterMultiByte(byte[] json, int at) throws InvalidEventException {
        int lead = json[at] & 0xFF;
        int length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
        // The second byte's range excludes overlong forms, surrogates and what lies beyond U+10FFFF.
        int low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
        int high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
        if (lead < 0xC2 || lead > 0xF4 || at + length > json.length) {
            throw notUtf8(at);
        }
        for (int i = at + 1; i < at + length; i++) {
            int next = json[i] & 0xFF;
            if (next < low || next > high) {
                throw notUtf8(at);
            }
            low = 0x80;
            high = 0xBF;
        }
        return at + length;
    }

    private static InvalidEventException notUtf8(int at) {
        return new InvalidEventException(ReasonCode.NOT_UTF8, "is not UTF-8 at byte " + at);
    }

    private static InvalidEventException holdsNul(int at) {
        return new InvalidEventException(
                ReasonCode.NOT_STORABLE, "holds U+0000 at byte " + at + ", which the database cannot store");
    }
}
