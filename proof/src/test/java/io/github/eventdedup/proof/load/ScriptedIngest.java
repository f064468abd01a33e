package io.github.eventdedup.proof.load;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static java.nio.charset.StandardCharsets.UTF_8;

import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.InvalidEventException;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntFunction;

/** Answers as the ingest does, or as badly as a script says; over plain sockets, to be as rude as a killed process. */
final class ScriptedIngest implements AutoCloseable {

    enum Act {
        ANSWER,
        ANSWER_IN_CHUNKS,
        /** Every other event of a batch is accepted, the others are to come again. */
        ACCEPT_HALF,
        UNAVAILABLE,
        /** Of another event than was sent. */
        ANSWER_OF_ANOTHER,
        /** Each result twice, and none of the second half. */
        ANSWER_TWICE,
        NOT_FOUND,
        DROP_BEFORE_ANSWER,
        DROP_WITHIN_ANSWER,
        HANG
    }

    private final ServerSocket server;
    private final EventReader reader;
    private final IntFunction<Act> script;
    private final ExecutorService threads = Executors.newCachedThreadPool();
    private final AtomicInteger requests = new AtomicInteger();
    private final AtomicInteger offset = new AtomicInteger();

    /** @param script what to do with a request, by its number from 0 */
    ScriptedIngest(EventReader reader, IntFunction<Act> script) throws IOException {
        this.reader = reader;
        this.script = script;
        server = new ServerSocket(0, 100, InetAddress.getLoopbackAddress());
        threads.execute(this::accept);
    }

    InetSocketAddress address() {
        return (InetSocketAddress) server.getLocalSocketAddress();
    }

    int requests() {
        return requests.get();
    }

    private void accept() {
        try {
            while (true) {
                Socket socket = server.accept();
                threads.execute(() -> serve(socket));
            }
        } catch (IOException e) {
            // Closed.
        }
    }

    private void serve(Socket socket) {
        try (socket) {
            InputStream in = new BufferedInputStream(socket.getInputStream());
            while (true) {
                List<String> head = head(in);
                if (head.isEmpty()) {
                    return;
                }
                int length = head.stream()
                        .filter(line -> line.startsWith("Content-Length: "))
                        .mapToInt(line -> Integer.parseInt(line.substring("Content-Length: ".length())))
                        .findFirst()
                        .orElseThrow();
                boolean batch = head.stream().anyMatch(line -> line.contains("x-ndjson"));
                String body = new String(in.readNBytes(length), UTF_8);
                if (!act(script.apply(requests.getAndIncrement()), batch, body, in, socket.getOutputStream())) {
                    return;
                }
            }
        } catch (SocketException e) {
            // The client has gone away.
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    private static List<String> head(InputStream in) throws IOException {
        List<String> lines = new ArrayList<>();
        StringBuilder line = new StringBuilder();
        for (int c = in.read(); c >= 0; c = in.read()) {
            if (c != '\n') {
                line.append((char) c);
            } else if (line.toString().isBlank()) {
                return lines;
            } else {
                lines.add(line.toString().strip());
                line.setLength(0);
            }
        }
        return List.of();
    }

    /** Returns whether the connection lives on. */
    private boolean act(Act act, boolean batch, String body, InputStream in, OutputStream out) throws IOException {
        switch (act) {
            case UNAVAILABLE -> out.write(bytes("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}"));
            case NOT_FOUND -> out.write(bytes("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}"));
            case DROP_BEFORE_ANSWER -> {
                return false;
            }
            case DROP_WITHIN_ANSWER -> {
                out.write(bytes("HTTP/1.1 202 Accepted\r\nContent-Length: 149\r\n\r\n{\"status\":\"acc"));
                return false;
            }
            case HANG -> {
                // Until the client has had enough.
                return in.read() >= 0;
            }
            default -> answer(act, batch, body, out);
        }
        return true;
    }

    private void answer(Act act, boolean batch, String body, OutputStream out) throws IOException {
        List<String> results = new ArrayList<>();
        int accepted = 0;
        for (String event : batch ? body.lines().toList() : List.of(body)) {
            String result;
            try {
                String fingerprint =
                        reader.read(event.getBytes(UTF_8)).fingerprint().toString();
                if (act == Act.ACCEPT_HALF && results.size() % 2 == 1) {
                    result = "\"status\":\"rejected\",\"error\":\"later\",\"retry\":true";
                } else {
                    accepted++;
                    if (act == Act.ANSWER_OF_ANOTHER) {
                        fingerprint = "ab".repeat(32);
                    }
                    result = "\"status\":\"accepted\",\"fingerprint\":\"" + fingerprint
                            + "\",\"topic\":\"view-events\",\"partition\":1,\"offset\":" + offset.getAndIncrement();
                }
            } catch (InvalidEventException e) {
                result = "\"status\":\"rejected\",\"error\":\"bad\"";
            }
            int index = act == Act.ANSWER_TWICE ? results.size() / 2 : results.size();
            results.add((batch ? "{\"index\":" + index + "," : "{") + result + "}");
        }
        String json = batch
                ? "{\"accepted\":" + accepted + ",\"results\":[" + String.join(",", results) + "]}"
                : accepted == 1 ? results.get(0) : "{\"status\":400,\"detail\":\"bad\"}";
        String start = "HTTP/1.1 " + (accepted == results.size() ? "202 " : accepted > 0 ? "207 " : "400 ")
                + "Whatever\r\nContent-Type: application/json\r\n";
        if (act == Act.ANSWER_IN_CHUNKS) {
            int half = json.length() / 2;
            out.write(bytes(start + "Transfer-Encoding: chunked\r\n\r\n" + chunk(json.substring(0, half))));
            out.flush();
            out.write(bytes(chunk(json.substring(half)) + "0\r\n\r\n"));
        } else {
            out.write(bytes(start + "Content-Length: " + json.length() + "\r\n\r\n" + json));
        }
    }

    private static String chunk(String text) {
        return Integer.toHexString(text.length()) + "\r\n" + text + "\r\n";
    }

    private static byte[] bytes(String text) {
        return text.getBytes(US_ASCII);
    }

    @Override
    public void close() throws IOException {
        server.close();
        threads.shutdownNow();
    }
}
