package io.github.eventdedup.ingest.testing;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.zip.GZIPOutputStream;

/** What one connection sends: valid requests of every kind, and what is left of them after a few mutations. */
public final class FuzzedRequests {

    private static final byte[] BOMB = gzip(new byte[12 * 1024 * 1024]);
    private static final byte[] BOMB_OF_LINES = gzip("{}\n".repeat(100_000).getBytes(StandardCharsets.ISO_8859_1));

    /** Every byte that is sent. */
    public final byte[] wire;
    /** The bodies before they were compressed and cut into chunks; null where what was sent may differ from them. */
    public final List<byte[]> plainBodies;
    /** Whether every request is as it should be and must be accepted. */
    public final boolean valid;
    /** How many requests there were before something was done to them. */
    public final int requests;

    private final Random random;
    private boolean wireMutated;
    private boolean anyMutated;

    /** The requests number {@code number} of those with this seed. */
    public FuzzedRequests(long seed, long number) {
        // Mixed, because neighbouring seeds of a Random give much the same.
        random = new Random(new Random(seed).nextLong() ^ (number * 0x9E3779B97F4A7C15L));
        boolean mutate = random.nextInt(8) > 0;
        requests = random.nextInt(4) == 0 ? 2 + random.nextInt(3) : 1;
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        List<byte[]> bodies = new ArrayList<>();
        for (int i = 0; i < requests; i++) {
            out.writeBytes(request(number + "-" + i, mutate && random.nextInt(3) > 0, i == requests - 1, bodies));
        }
        byte[] bytes = out.toByteArray();
        if (mutate && random.nextInt(4) == 0) {
            wireMutated = true;
            anyMutated = true;
            bytes = mutated(bytes);
        }
        wire = bytes;
        plainBodies = wireMutated ? null : bodies;
        valid = !anyMutated;
    }

    private byte[] request(String id, boolean mutate, boolean last, List<byte[]> bodies) {
        anyMutated |= mutate;
        boolean legacy = random.nextInt(3) == 0;
        int framing = legacy ? 0 : random.nextInt(3);
        byte[] body = body(id, framing).getBytes(StandardCharsets.UTF_8);
        boolean gzip = random.nextInt(3) == 0;
        boolean chunked = random.nextInt(3) == 0;
        int mutations = mutate ? 1 + random.nextInt(2) : 0;
        int where = random.nextInt(4);

        if (mutations > 0 && where == 0) {
            body = random.nextBoolean() ? mutated(body) : oddJson(body);
        }
        bodies.add(body);
        if (gzip) {
            body = gzip(body);
            if (mutations > 0 && where == 1) {
                wireMutated = true;
                body = oddGzip(body);
            }
        }
        List<String> headers = new ArrayList<>();
        headers.add("Host: test");
        if (!legacy || random.nextBoolean()) {
            headers.add("Content-Type: " + (framing == 2 ? "application/x-ndjson" : "application/json"));
        }
        if (gzip) {
            headers.add("Content-Encoding: gzip");
        }
        if (random.nextInt(8) == 0) {
            headers.add("Expect: 100-continue");
        }
        if (last && random.nextInt(4) == 0) {
            headers.add("Connection: close");
        }
        if (chunked) {
            headers.add("Transfer-Encoding: chunked");
            boolean odd = mutations > 0 && where == 2;
            wireMutated |= odd;
            body = chunks(body, odd);
        } else {
            headers.add("Content-Length: " + body.length);
        }
        String method = "POST";
        String path = legacy ? TestEvents.PATH : "/v1/streams/view-events/events";
        String version = "HTTP/1.1";
        if (mutations > 0 && (where == 3 || (where == 1 && !gzip) || (where == 2 && !chunked))) {
            wireMutated = true;
            switch (random.nextInt(9)) {
                case 0 ->
                    method = one(
                            "GET",
                            "HEAD",
                            "PUT",
                            "DELETE",
                            "OPTIONS",
                            "TRACE",
                            "CONNECT",
                            "PATCH",
                            "PRI",
                            "post",
                            "B@D",
                            "",
                            "X".repeat(9000));
                case 1 ->
                    path = one(
                            "/",
                            "*",
                            "",
                            "//",
                            "/%",
                            "/%00",
                            "/%ff",
                            "/a/../" + path,
                            path + "/",
                            path + ";x=y",
                            path + "?" + "q".repeat(9000),
                            "http://x" + path,
                            "/v1/streams/%2e%2e/events",
                            "/v1/streams/" + "s".repeat(3000) + "/events",
                            "/health/live",
                            "/health/ready",
                            "\u00ff",
                            "http://[",
                            "x:y@z");
                case 2 ->
                    version = one(
                            "HTTP/1.0",
                            "HTTP/0.9",
                            "HTTP/2.0",
                            "HTTP/3",
                            "HTTP/1.2",
                            "",
                            "http/1.1",
                            "HTTP/1.1 ",
                            "ICY");
                case 3 -> headers.add(random.nextInt(headers.size()), "X-Large: " + "x".repeat(random.nextInt(20_000)));
                case 4 -> headers.remove(random.nextInt(headers.size()));
                case 5 -> {
                    for (int i = 0; i < random.nextInt(3000); i++) {
                        headers.add("a:");
                    }
                }
                default -> headers.add(random.nextInt(headers.size() + 1), oddHeader(body.length));
            }
        }
        String head = method + " " + path + " " + version + "\r\n" + String.join("\r\n", headers) + "\r\n\r\n";
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.writeBytes(head.getBytes(StandardCharsets.ISO_8859_1));
        out.writeBytes(body);
        return out.toByteArray();
    }

    private String body(String id, int framing) {
        if (framing == 0) {
            return TestEvents.event(id, random.nextInt(20) == 0 ? random.nextInt(100_000) : random.nextInt(200));
        }
        List<String> events = new ArrayList<>();
        for (int i = 0; i < 1 + random.nextInt(6); i++) {
            events.add(TestEvents.event(id + "-" + i, random.nextInt(200)));
        }
        return framing == 1 ? "[" + String.join(", ", events) + "]" : String.join("\r\n", events);
    }

    private byte[] oddJson(byte[] body) {
        String text = new String(body, StandardCharsets.UTF_8);
        String field = switch (random.nextInt(10)) {
            case 0 -> "\"sid\":\"again\",";
            case 1 -> "\"deep\":" + "[".repeat(33) + "]".repeat(33) + ",";
            case 2 -> "\"deep\":" + "{\"a\":".repeat(20_000) + ",";
            case 3 -> "\"number\":" + "9".repeat(2000) + ",";
            case 4 -> "\"number\":1e999999999,";
            case 5 -> "\"text\":\"\\u0000\",";
            case 6 -> "\"text\":\"\\ud800\",";
            case 7 -> "\"" + "n".repeat(60_000) + "\":1,";
            case 8 -> "\"large\":\"" + "x".repeat(300_000) + "\",";
            default -> "\"text\":\"\u0000\u0001\t\",";
        };
        int at = Math.max(0, text.indexOf('{', random.nextInt(text.length())));
        return (text.substring(0, at + 1) + field + text.substring(at + 1)).getBytes(StandardCharsets.UTF_8);
    }

    private byte[] oddGzip(byte[] gzip) {
        return switch (random.nextInt(20)) {
            case 0 -> BOMB;
            case 1 -> BOMB_OF_LINES;
            case 2, 3, 4 -> slice(gzip, 0, random.nextInt(gzip.length));
            case 5 -> new byte[0];
            case 6 -> concat(gzip, gzip);
            case 7 -> concat(gzip, new byte[20]);
            case 8 -> gzip(gzip);
            case 9 -> concat(gzip(new byte[0]), gzip);
            case 10 -> TestEvents.VECTOR.getBytes(StandardCharsets.UTF_8);
            default -> mutated(gzip);
        };
    }

    private byte[] chunks(byte[] body, boolean odd) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        int oddAt = odd ? random.nextInt(3) : -1;
        int number = 0;
        for (int at = 0; at < body.length || number <= oddAt; number++) {
            int length = Math.min(body.length - at, 1 + random.nextInt(random.nextInt(4) == 0 ? 60 : 9000));
            String size = Integer.toHexString(length) + (random.nextInt(10) == 0 ? ";ext=\"1\"" : "") + "\r\n";
            String end = "\r\n";
            if (number == oddAt) {
                switch (random.nextInt(4)) {
                    case 0 ->
                        size = one(
                                "zz\r\n",
                                "-1\r\n",
                                "ffffffffffffffff\r\n",
                                "7fffffff\r\n",
                                "\r\n",
                                length + "\n",
                                " " + size,
                                "0x" + size,
                                size + "\r\n",
                                "1" + size,
                                ";" + size,
                                "x".repeat(9000) + "\r\n");
                    case 1 -> end = one("", "\n", "\r", "\r\r", "xx", "\r\n\r\n");
                    case 2 -> size = size.stripTrailing() + ";" + "e".repeat(random.nextInt(20_000)) + "\r\n";
                    default -> size = "0\r\n\r\n" + size;
                }
            }
            out.writeBytes(size.getBytes(StandardCharsets.ISO_8859_1));
            out.write(body, at, length);
            out.writeBytes(end.getBytes(StandardCharsets.ISO_8859_1));
            at += length;
        }
        String trailers = switch (random.nextInt(odd ? 4 : 8)) {
            case 0 -> "X-Trailer: 1\r\n";
            case 1 -> odd ? "X-Large: " + "x".repeat(20_000) + "\r\n" : "";
            case 2 -> odd ? "Content-Length: 5\r\nbroken\r\n" : "";
            default -> "";
        };
        out.writeBytes(("0\r\n" + trailers + "\r\n").getBytes(StandardCharsets.ISO_8859_1));
        return out.toByteArray();
    }

    private String oddHeader(int length) {
        return one(
                "Content-Length: " + length,
                "Content-Length: " + (length + 1),
                "Content-Length: " + Math.max(0, length - 1),
                "Content-Length: -1",
                "Content-Length: +" + length,
                "Content-Length: 99999999999999999999",
                "Content-Length: 9999999999",
                "Content-Length: x",
                "Content-Length: " + length + ", " + length,
                "Content-Length:",
                "Transfer-Encoding: chunked",
                "Transfer-Encoding: gzip, chunked",
                "Transfer-Encoding: chunked, gzip",
                "Transfer-Encoding: identity",
                "Transfer-Encoding: xchunked",
                "Transfer-Encoding : chunked",
                "Content-Encoding: br",
                "Content-Encoding: gzip",
                "Content-Encoding: identity",
                "Content-Type: text/plain",
                "Content-Type: application/json; charset=utf-16",
                "Content-Type:",
                "Expect: 100-continue",
                "Expect: x",
                "Connection: close",
                "Connection: keep-alive, Upgrade",
                "Connection: \u00ff",
                "Upgrade: h2c",
                "Upgrade: websocket",
                "HTTP2-Settings: AAMAAABkAAQAAP__",
                "Host: other",
                "Host:",
                "Host: [",
                "Host: a b",
                "Host: test:99999",
                "Accept: \u0000",
                "Cookie: a=b; c=\"d",
                "Forwarded: for=x",
                "no colon",
                ": no name",
                " folded",
                "\tfolded",
                "X: \u007f\u0001",
                "X\u00e4: y",
                "Range: bytes=0-1",
                "If-Modified-Since: x",
                "Trailer: X",
                "TE: trailers");
    }

    /** Bytes flipped, deleted, inserted, or a slice twice. */
    private byte[] mutated(byte[] bytes) {
        byte[] result = bytes;
        for (int i = 0; i < 1 + random.nextInt(3) && result.length > 0; i++) {
            int at = random.nextInt(result.length);
            int end = Math.min(result.length, at + 1 + random.nextInt(random.nextInt(3) == 0 ? 200 : 4));
            byte[] head = slice(result, 0, at);
            byte[] slice = slice(result, at, end);
            byte[] tail = slice(result, end, result.length);
            switch (random.nextInt(5)) {
                case 0 -> slice[random.nextInt(slice.length)] ^= (byte) (1 << random.nextInt(8));
                case 1 -> slice = new byte[0];
                case 2 -> slice = concat(slice, slice);
                case 3 -> random.nextBytes(slice);
                default ->
                    slice = concat(
                            one(
                                            "\r\n",
                                            "\n",
                                            "\u0000",
                                            "\"",
                                            "\\",
                                            "{",
                                            "}",
                                            "[",
                                            "]",
                                            ",",
                                            ":",
                                            " ",
                                            "\u00ff\u00fe",
                                            "\u00c0\u0080",
                                            "0",
                                            "\r\n\r\n")
                                    .getBytes(StandardCharsets.ISO_8859_1),
                            slice);
            }
            result = concat(concat(head, slice), tail);
        }
        return result;
    }

    private String one(String... values) {
        return values[random.nextInt(values.length)];
    }

    private static byte[] slice(byte[] bytes, int from, int to) {
        return Arrays.copyOfRange(bytes, from, to);
    }

    public static byte[] concat(byte[] a, byte[] b) {
        byte[] both = Arrays.copyOf(a, a.length + b.length);
        System.arraycopy(b, 0, both, a.length, b.length);
        return both;
    }

    public static byte[] gzip(byte[] bytes) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (GZIPOutputStream gzip = new GZIPOutputStream(out)) {
            gzip.write(bytes);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return out.toByteArray();
    }
}
