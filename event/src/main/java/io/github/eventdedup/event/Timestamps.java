package io.github.eventdedup.event;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.time.DateTimeException;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.ZoneOffset;
import java.time.temporal.ChronoUnit;

/** Reads the points in time that clients send. What is finer than a microsecond is cut off, as Postgres keeps none. */
final class Timestamps {

    /** Numbers from here on are milliseconds: as seconds they would lie after the year 5138, as milliseconds in 1973. */
    private static final BigDecimal FIRST_MILLIS = BigDecimal.valueOf(100_000_000_000L);

    private static final Instant MIN = Instant.parse("0001-01-01T00:00:00Z");
    private static final Instant MAX = Instant.parse("9999-12-31T23:59:59.999999999Z");

    private final String text;

    private int at;

    private Timestamps(String text) {
        this.text = text;
    }

    /** The instant that an ISO 8601 date or date-time names, or null where the text is neither or out of range. */
    static Instant parse(String text) {
        try {
            return inRange(new Timestamps(text).instant());
        } catch (DateTimeException e) {
            return null;
        }
    }

    /**
     * Reads {@code yyyy-MM-dd[(T| )HH:mm[:ss[.fraction]][Z|±HH[[:]mm]]]}. By hand, as every event has one: a {@link
     * java.time.format.DateTimeFormatter} would take a seventh of the time that reading an event takes.
     */
    private Instant instant() {
        int year = number(4);
        expect('-');
        int month = number(2);
        expect('-');
        LocalDate date = LocalDate.of(year, month, number(2));
        if (at == text.length()) {
            return date.atStartOfDay(ZoneOffset.UTC).toInstant();
        }
        if (!take(' ')) {
            expect('T');
        }
        int hour = number(2);
        expect(':');
        int minute = number(2);
        int second = 0;
        int nano = 0;
        if (take(':')) {
            second = number(2);
            nano = take('.') ? fraction() : 0;
        }
        LocalTime time = LocalTime.of(hour, minute, second, nano);
        ZoneOffset offset = offset();
        if (at != text.length()) {
            throw malformed();
        }
        return LocalDateTime.of(date, time).toInstant(offset);
    }

    private ZoneOffset offset() {
        if (at == text.length() || take('Z')) {
            return ZoneOffset.UTC;
        }
        int sign = take('-') ? -1 : 1;
        if (sign > 0) {
            expect('+');
        }
        int hours = number(2);
        boolean hasMinutes = take(':') || at < text.length();
        int minutes = hasMinutes ? number(2) : 0;
        return ZoneOffset.ofHoursMinutes(sign * hours, sign * minutes);
    }

    /** Nanoseconds from one digit or more; those from the tenth on are passed over. */
    private int fraction() {
        int nanos = number(1);
        int digits = 1;
        for (; at < text.length() && isDigit(text.charAt(at)); at++, digits++) {
            nanos = digits < 9 ? nanos * 10 + text.charAt(at) - '0' : nanos;
        }
        for (; digits < 9; digits++) {
            nanos *= 10;
        }
        return nanos;
    }

    private int number(int digits) {
        int number = 0;
        for (int end = at + digits; at < end; at++) {
            if (at == text.length() || !isDigit(text.charAt(at))) {
                throw malformed();
            }
            number = number * 10 + text.charAt(at) - '0';
        }
        return number;
    }

    private static boolean isDigit(char c) {
        return c >= '0' && c <= '9';
    }

    private boolean take(char expected) {
        boolean found = at < text.length() && text.charAt(at) == expected;
        at += found ? 1 : 0;
        return found;
    }

    private void expect(char expected) {
        if (!take(expected)) {
            throw malformed();
        }
    }

    private static DateTimeException malformed() {
        return new DateTimeException("not an ISO 8601 date-time");
    }

    /** The instant so many seconds or milliseconds after 1970, or null where it is out of range. */
    static Instant ofEpoch(String number) {
        BigDecimal value;
        try {
            value = new BigDecimal(number);
        } catch (NumberFormatException e) {
            // The exponent does not fit into an int.
            return null;
        }
        // Before any arithmetic: 1e999999999 would be expanded digit by digit.
        if ((long) value.precision() - value.scale() > 16 || value.scale() > 64) {
            return null;
        }
        BigDecimal seconds = value.abs().compareTo(FIRST_MILLIS) < 0 ? value : value.movePointLeft(3);
        BigDecimal whole = seconds.setScale(0, RoundingMode.FLOOR);
        int nanos = seconds.subtract(whole).movePointRight(9).intValue();
        return inRange(Instant.ofEpochSecond(whole.longValueExact(), nanos));
    }

    private static Instant inRange(Instant instant) {
        boolean fits = !instant.isBefore(MIN) && !instant.isAfter(MAX);
        return fits ? instant.truncatedTo(ChronoUnit.MICROS) : null;
    }
}
