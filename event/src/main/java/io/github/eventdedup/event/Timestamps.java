package io.github.eventdedup.event;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.time.DateTimeException;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeFormatterBuilder;
import java.time.format.ResolverStyle;
import java.time.temporal.ChronoUnit;
import java.time.temporal.TemporalAccessor;

/** Reads the points in time that clients send. What is finer than a microsecond is cut off, as Postgres keeps none. */
final class Timestamps {

    /** Numbers from here on are milliseconds: as seconds they would lie after the year 5138, as milliseconds in 1973. */
    private static final BigDecimal FIRST_MILLIS = BigDecimal.valueOf(100_000_000_000L);

    private static final Instant MIN = Instant.parse("0001-01-01T00:00:00Z");
    private static final Instant MAX = Instant.parse("9999-12-31T23:59:59.999999999Z");

    /** Up to here a date-time is a date; what separates the time may be a T or a space (RFC 3339, 5.6). */
    private static final int DATE_LENGTH = 10;

    private static final DateTimeFormatter ISO_8601 = new DateTimeFormatterBuilder()
            .append(DateTimeFormatter.ISO_LOCAL_DATE)
            .optionalStart()
            .appendLiteral('T')
            .append(DateTimeFormatter.ISO_LOCAL_TIME)
            .optionalStart()
            // Lenient takes +03, +0300 and +03:00 alike.
            .parseLenient()
            .appendOffset("+HH:mm", "Z")
            .parseStrict()
            .toFormatter()
            .withResolverStyle(ResolverStyle.STRICT);

    private Timestamps() {}

    /** The instant that an ISO 8601 date or date-time names, or null where the text is neither or out of range. */
    static Instant parse(String text) {
        boolean spaced = text.length() > DATE_LENGTH && text.charAt(DATE_LENGTH) == ' ';
        String iso = spaced ? text.substring(0, DATE_LENGTH) + 'T' + text.substring(DATE_LENGTH + 1) : text;
        try {
            TemporalAccessor parsed =
                    ISO_8601.parseBest(iso, OffsetDateTime::from, LocalDateTime::from, LocalDate::from);
            Instant instant;
            if (parsed instanceof OffsetDateTime dateTime) {
                instant = dateTime.toInstant();
            } else if (parsed instanceof LocalDateTime dateTime) {
                instant = dateTime.toInstant(ZoneOffset.UTC);
            } else {
                instant = LocalDate.from(parsed).atStartOfDay().toInstant(ZoneOffset.UTC);
            }
            return inRange(instant);
        } catch (DateTimeException e) {
            return null;
        }
    }

    /** The instant so many seconds or milliseconds after 1970, or null where it is out of range. */
    static Instant ofEpoch(String number) {
        BigDecimal value = new BigDecimal(number);
        // Before any arithmetic: 1e999999999 would be expanded digit by digit.
        if (value.precision() - value.scale() > 16 || value.scale() > 64) {
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
