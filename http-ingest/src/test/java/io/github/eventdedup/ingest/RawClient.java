package io.github.eventdedup.ingest;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;

/** One connection, and nothing between the test and the bytes on it. */
final class RawClient implements AutoCloseable {

    /** @param headers by lower-case name */
    record Answer(int status, Map<String, String> headers, String body) {

        boolean closes() {
            return "close".equals(headers.get("connection"));
        }
    }

    private final Socket socket;
    private final InputStream in;

    RawClient(int port) throws IOException {
        this(new Socket(InetAddress.getLoopbackAddress(), port));
    }

    /** @param socket connected; closed with this */
    RawClient(Socket socket) throws IOException {
        this.socket = socket;
        socket.setTcpNoDelay(true);
        socket.setSoTimeout(60_000);
        in = new BufferedInputStream(socket.getInputStream());
    }

    /** The answer to one request on a connection of its own. */
    static Answer request(int port, String head, byte[] body) throws IOException {
        try (RawClient client = new RawClient(port)) {
            client.send(head, body);
            return client.read();
        }
    }

    static Answer get(int port, String path) throws IOException {
        return request(port, "GET " + path + " HTTP/1.1\r\n", new byte[0]);
    }

    /** The answer's status; to a HEAD comes no body, whatever length is declared. */
    static int head(int port, String path) throws IOException {
        try (RawClient client = new RawClient(port)) {
            client.send("HEAD " + path + " HTTP/1.1\r\n", new byte[0]);
            return client.readStatus();
        }
    }

    static Answer post(int port, String path, String json) throws IOException {
        try (RawClient client = new RawClient(port)) {
            return client.post(path, json.getBytes(StandardCharsets.UTF_8));
        }
    }

    Answer post(String path, byte[] json) throws IOException {
        sendPost(path, json);
        return read();
    }

    void sendPost(String path, byte[] json) throws IOException {
        send(
                "POST " + path + " HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: " + json.length
                        + "\r\n",
                json);
    }

    /** @param head request line and headers, without the empty line at their end */
    void send(String head, byte[] body) throws IOException {
        ByteArrayOutputStream request = new ByteArrayOutputStream();
        request.writeBytes((head + "Host: test\r\n\r\n").getBytes(StandardCharsets.ISO_8859_1));
        request.writeBytes(body);
        send(request.toByteArray());
    }

    void send(byte[] bytes) throws IOException {
        socket.getOutputStream().write(bytes);
        socket.getOutputStream().flush();
    }

    /** @throws EOFException where the connection ends before the answer does */
    Answer read() throws IOException {
        int status = readStatus();
        Map<String, String> headers = new HashMap<>();
        for (String line = line(); !line.isEmpty(); line = line()) {
            int colon = line.indexOf(':');
            headers.put(
                    line.substring(0, colon).toLowerCase(Locale.ROOT),
                    line.substring(colon + 1).strip());
        }
        byte[] body = "chunked".equals(headers.get("transfer-encoding"))
                ? readChunks()
                : readFully(Integer.parseInt(headers.getOrDefault("content-length", "0")));
        return new Answer(status, headers, new String(body, StandardCharsets.UTF_8));
    }

    private byte[] readChunks() throws IOException {
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        for (int length = chunkLength(); length > 0; length = chunkLength()) {
            body.writeBytes(readFully(length));
            line();
        }
        line();
        return body.toByteArray();
    }

    private int chunkLength() throws IOException {
        return Integer.parseInt(line(), 16);
    }

    private byte[] readFully(int length) throws IOException {
        byte[] bytes = in.readNBytes(length);
        if (bytes.length < length) {
            throw new EOFException("the answer ended early");
        }
        return bytes;
    }

    /** The status alone, where no body follows whatever length is declared. */
    int readStatus() throws IOException {
        return Integer.parseInt(line().split(" ", 3)[1]);
    }

    private String line() throws IOException {
        StringBuilder line = new StringBuilder();
        for (int c = in.read(); c != '\n'; c = in.read()) {
            if (c < 0) {
                throw new EOFException("no answer");
            }
            line.append((char) c);
        }
        return line.toString().strip();
    }

    /** Ends the connection as a process does that dies with answers unread. */
    void reset() throws IOException {
        socket.setSoLinger(true, 0);
        socket.close();
    }

    /** Sends nothing more, and could still read. */
    void halfClose() throws IOException {
        socket.shutdownOutput();
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }
}
