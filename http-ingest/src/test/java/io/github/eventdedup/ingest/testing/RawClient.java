package io.github.eventdedup.ingest.testing;

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
public final class RawClient implements AutoCloseable {

    /**
     * An answer as it came over the wire.
     *
     * @param headers by lower-case name
     */
    public record Answer(int status, Map<String, String> headers, String body) {

        public boolean closes() {
            return "close".equals(headers.get("connection"));
        }
    }

    private final Socket socket;
    private final InputStream in;

    public RawClient(int port) throws IOException {
        this(new Socket(InetAddress.getLoopbackAddress(), port));
    }

    /** @param socket connected; closed with this */
    public RawClient(Socket socket) throws IOException {
        this.socket = socket;
        socket.setTcpNoDelay(true);
        socket.setSoTimeout(60_000);
        in = new BufferedInputStream(socket.getInputStream());
    }

    /** The answer to one request on a connection of its own. */
    public static Answer request(int port, String head, byte[] body) throws IOException {
        try (RawClient client = new RawClient(port)) {
            client.send(head, body);
            return client.read();
        }
    }

    public static Answer get(int port, String path) throws IOException {
        return request(port, "GET " + path + " HTTP/1.1\r\n", new byte[0]);
    }

    /** The answer's status; to a HEAD comes no body, whatever length is declared. */
    public static int head(int port, String path) throws IOException {
        try (RawClient client = new RawClient(port)) {
            client.send("HEAD " + path + " HTTP/1.1\r\n", new byte[0]);
            return client.readStatus();
        }
    }

    public static Answer post(int port, String path, String json) throws IOException {
        try (RawClient client = new RawClient(port)) {
            return client.post(path, json.getBytes(StandardCharsets.UTF_8));
        }
    }

    public Answer post(String path, byte[] json) throws IOException {
        sendPost(path, json);
        return read();
    }

    public void sendPost(String path, byte[] json) throws IOException {
        send(
                "POST " + path + " HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: " + json.length
                        + "\r\n",
                json);
    }

    /**
     * Sends a request.
     *
     * @param head request line and headers, without the empty line at their end
     */
    public void send(String head, byte[] body) throws IOException {
        ByteArrayOutputStream request = new ByteArrayOutputStream();
        request.writeBytes((head + "Host: test\r\n\r\n").getBytes(StandardCharsets.ISO_8859_1));
        request.writeBytes(body);
        send(request.toByteArray());
    }

    public void send(byte[] bytes) throws IOException {
        socket.getOutputStream().write(bytes);
        socket.getOutputStream().flush();
    }

    /**
     * Reads the next answer.
     *
     * @throws EOFException where the connection ends before the answer does
     */
    public Answer read() throws IOException {
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
    public int readStatus() throws IOException {
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
    public void reset() throws IOException {
        socket.setSoLinger(true, 0);
        socket.close();
    }

    /** Sends nothing more, and could still read. */
    public void halfClose() throws IOException {
        socket.shutdownOutput();
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }
}
