package io.github.eventdedup.ingest.testing;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/** A request that is made once and sent over and over, each time with other events in it. */
public final class PreparedRequest {

    private static final String USER = "\"userId\":\"u";
    private static final int DIGITS = 10;
    private static final String ACCEPTED = "\"accepted\":";

    private final ByteBuffer bytes;
    /** Where the number of each event is. */
    private final int[] numbers;

    private final boolean batch;

    private PreparedRequest(ByteBuffer bytes, int[] numbers, boolean batch) {
        this.bytes = bytes;
        this.numbers = numbers;
        this.batch = batch;
    }

    /**
     * A request with one event.
     *
     * @param event a line of the sample, a character for each byte
     */
    public static PreparedRequest single(String event) {
        return of("application/json", numbered(event), false);
    }

    public static PreparedRequest lines(List<String> events) {
        return of("application/x-ndjson", numbered(String.join("\n", events)) + "\n", true);
    }

    public static PreparedRequest array(List<String> events) {
        return of("application/json", "[" + numbered(String.join(",", events)) + "]", true);
    }

    private static String numbered(String events) {
        return events.replace(USER, USER + "0".repeat(DIGITS) + "-");
    }

    private static PreparedRequest of(String contentType, String body, boolean batch) {
        String request = "POST /v1/streams/view-events/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: "
                + contentType + "\r\nContent-Length: " + body.length() + "\r\n\r\n" + body;
        List<Integer> numbers = new ArrayList<>();
        for (int at = request.indexOf(USER); at >= 0; at = request.indexOf(USER, at + 1)) {
            numbers.add(at + USER.length());
        }
        ByteBuffer bytes = ByteBuffer.allocateDirect(request.length()).put(request.getBytes(ISO_8859_1));
        return new PreparedRequest(bytes, numbers.stream().mapToInt(it -> it).toArray(), batch);
    }

    public int events() {
        return numbers.length;
    }

    /** What is left to be sent. */
    public ByteBuffer bytes() {
        return bytes;
    }

    /** Makes the request ready to be sent again, its events numbered from here on. */
    public void number(long first) {
        for (int i = 0; i < numbers.length; i++) {
            long rest = first + i;
            for (int digit = DIGITS - 1; digit >= 0; digit--) {
                bytes.put(numbers[i] + digit, (byte) ('0' + rest % 10));
                rest /= 10;
            }
        }
        bytes.rewind();
    }

    /** How many of the events an answer acknowledges. */
    public int accepted(String answer) {
        if (!answer.startsWith("HTTP/1.1 202")) {
            return 0;
        }
        if (!batch) {
            return 1;
        }
        int key = answer.indexOf(ACCEPTED);
        if (key < 0) {
            return 0;
        }
        int start = key + ACCEPTED.length();
        int end = start;
        while (Character.isDigit(answer.charAt(end))) {
            end++;
        }
        return Integer.parseInt(answer.substring(start, end));
    }
}
