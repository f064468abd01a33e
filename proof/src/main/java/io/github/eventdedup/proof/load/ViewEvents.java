package io.github.eventdedup.proof.load;

import static java.nio.charset.StandardCharsets.US_ASCII;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * View events as clients send them: 137 fields, 3.5 KB. Made from a few real-looking ones by writing other values into a
 * copy of their bytes, well under a microsecond each. Event n of a seed has the same bytes wherever and whenever it is
 * made, and no other event of this or any other seed has its fingerprint: the seed is part of {@code userId}, the number
 * of {@code sid}. Immutable.
 */
final class ViewEvents {

    /** Events that one seed has: as many as there are values of {@code sid}. */
    static final long MAX_EVENTS = 10_000_000_000L;

    /** Kinds of what is not an event. */
    static final int INVALID_KINDS = 4;

    private static final String RESOURCE = "view-events.jsonl";

    /** Coprime to {@link #MAX_EVENTS}, so that multiplying permutes its residues; and small enough not to overflow. */
    private static final long SCATTER = 387_420_489;

    private static final long USERS = 200_000;
    private static final long MILLIS_OF_DAY = 86_400_000;
    private static final byte[] HEX = "0123456789abcdef".getBytes(US_ASCII);

    /** How a value is written. Each has the same number of bytes in every event. */
    private enum Value {
        USER("\"u00000000000-0000000000000000\""),
        SESSION("\"0000000000\""),
        TIME("\"2025-05-01T00:00:00.000Z\""),
        MILLIS("1000000"),
        DEVICE("\"00000000-0000-4000-8000-000000000000\""),
        ID("\"00000000000000000000000000000000\"");

        private final String template;

        Value(String template) {
            this.template = template;
        }
    }

    private static final Map<String, Value> FIELDS = Map.ofEntries(
            Map.entry("userId", Value.USER),
            Map.entry("sid", Value.SESSION),
            Map.entry("event_datetime", Value.TIME),
            Map.entry("event_datetime_msc", Value.TIME),
            Map.entry("dt_add", Value.TIME),
            Map.entry("ts", Value.TIME),
            Map.entry("inserted_dt", Value.TIME),
            Map.entry("playtime_ms", Value.MILLIS),
            Map.entry("device_id", Value.DEVICE),
            Map.entry("request_id", Value.ID),
            Map.entry("client_id_query", Value.ID));

    /** @param at where the value's first byte is, without a quote */
    private record Slot(int at, Value value) {}

    private record Template(byte[] bytes, List<Slot> slots) {}

    private final long seed;
    private final long base;
    private final List<Template> templates;
    private final int longest;

    ViewEvents(long seed) {
        this.seed = seed;
        // Other random numbers than the plan's.
        base = new SplittableRandom(~seed).nextLong();
        templates = read().lines().map(ViewEvents::template).toList();
        longest = templates.stream().mapToInt(it -> it.bytes.length).max().orElseThrow();
    }

    private static String read() {
        try (InputStream in = ViewEvents.class.getResourceAsStream(RESOURCE)) {
            return new String(in.readAllBytes(), US_ASCII);
        } catch (IOException e) {
            throw new UncheckedIOException("a part of the jar cannot be read", e);
        }
    }

    private static Template template(String line) {
        String event = line;
        for (Map.Entry<String, Value> field : FIELDS.entrySet()) {
            Matcher value = value(field.getKey(), event);
            event = event.substring(0, value.start(1)) + field.getValue().template + event.substring(value.end(1));
        }
        List<Slot> slots = new ArrayList<>();
        for (Map.Entry<String, Value> field : FIELDS.entrySet()) {
            int at = value(field.getKey(), event).start(1);
            slots.add(new Slot(event.charAt(at) == '"' ? at + 1 : at, field.getValue()));
        }
        slots.sort(Comparator.comparingInt(Slot::at));
        return new Template(event.getBytes(US_ASCII), List.copyOf(slots));
    }

    private static Matcher value(String field, String event) {
        Matcher matcher =
                Pattern.compile("\"" + field + "\":(\"[^\"]*\"|-?\\d+)").matcher(event);
        if (!matcher.find()) {
            throw new IllegalStateException("a template lacks " + field);
        }
        return matcher;
    }

    /** The most bytes that an event, or what is not one, can have. */
    int longest() {
        return longest;
    }

    /**
     * Writes an event.
     *
     * @param event from 0 to {@link #MAX_EVENTS}
     * @return where it ends
     */
    int write(long event, byte[] target, int at) {
        SplittableRandom random = new SplittableRandom(base + event);
        Template template = templates.get(random.nextInt(templates.size()));
        System.arraycopy(template.bytes, 0, target, at, template.bytes.length);
        long user = random.nextLong(USERS);
        for (Slot slot : template.slots) {
            int to = at + slot.at;
            switch (slot.value) {
                case USER -> {
                    digits((base ^ user) & Long.MAX_VALUE, 11, target, to + 1);
                    hex(seed, 16, target, to + 13);
                }
                case SESSION -> digits(event % MAX_EVENTS * SCATTER % MAX_EVENTS, 10, target, to);
                case TIME -> time(event % MILLIS_OF_DAY, target, to + 11);
                case MILLIS -> digits(random.nextInt(1_000_000, 10_000_000), 7, target, to);
                case DEVICE -> {
                    long device = new SplittableRandom(user).nextLong();
                    hex(device >>> 32, 8, target, to);
                    hex(device, 12, target, to + 24);
                }
                case ID -> {
                    hex(random.nextLong(), 16, target, to);
                    hex(random.nextLong(), 16, target, to + 16);
                }
            }
        }
        return at + template.bytes.length;
    }

    /**
     * Writes what is not an event, and is refused: an event that is cut off, lacks {@code sid}, or holds U+0000, or no
     * object at all.
     *
     * @param number which one; the kind changes with it
     * @return where it ends
     */
    int writeInvalid(long number, byte[] target, int at) {
        int kind = (int) (number % INVALID_KINDS);
        if (kind == 0) {
            target[at] = '4';
            target[at + 1] = '2';
            return at + 2;
        }
        int end = write(number, target, at);
        if (kind == 1) {
            return at + (end - at) / 2;
        }
        String event = new String(target, at, end - at, US_ASCII);
        event = kind == 2
                ? event.replace("\"sid\":", "\"sit\":")
                // In the place of as many digits.
                : event.replaceFirst("\"request_id\":\".{6}", "\"request_id\":\"\\\\u0000");
        System.arraycopy(event.getBytes(US_ASCII), 0, target, at, end - at);
        return end;
    }

    private static void time(long millisOfDay, byte[] target, int at) {
        digits(millisOfDay / 3_600_000, 2, target, at);
        digits(millisOfDay / 60_000 % 60, 2, target, at + 3);
        digits(millisOfDay / 1000 % 60, 2, target, at + 6);
        digits(millisOfDay % 1000, 3, target, at + 9);
    }

    private static void digits(long number, int count, byte[] target, int at) {
        long rest = number;
        for (int i = at + count - 1; i >= at; i--) {
            target[i] = (byte) ('0' + rest % 10);
            rest /= 10;
        }
    }

    private static void hex(long number, int count, byte[] target, int at) {
        long rest = number;
        for (int i = at + count - 1; i >= at; i--) {
            target[i] = HEX[(int) rest & 15];
            rest >>>= 4;
        }
    }
}
