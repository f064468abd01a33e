package io.github.eventdedup.proof.load;

import static java.nio.charset.StandardCharsets.US_ASCII;

import java.io.EOFException;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;

/**
 * A keep-alive connection to the ingest, with one request at a time, driven by a selector. It connects when it is needed.
 * Not thread-safe.
 */
final class HttpConnection {

    private static final int DIGITS_OF_LENGTH = 10;

    /** Writes the body of a request. */
    interface Body {

        /**
         * Writes it.
         *
         * @return the index after its last byte
         */
        int write(byte[] target, int at);
    }

    /**
     * Where requests go.
     *
     * @param head of each, up to the length of its body
     */
    record Target(InetSocketAddress address, byte[] head) {

        static Target of(InetSocketAddress address, String path, String contentType) {
            String head = "POST " + path + " HTTP/1.1\r\nHost: " + address.getHostString() + ":" + address.getPort()
                    + "\r\nContent-Type: " + contentType + "\r\nContent-Length: ";
            return new Target(address, head.getBytes(US_ASCII));
        }
    }

    private final Target target;
    private final Selector selector;
    private final Object attachment;
    private final int maxBodyBytes;
    private final HttpAnswer answer = new HttpAnswer();
    private SocketChannel channel;
    private ByteBuffer out;

    /** @param attachment of its key in the selector */
    HttpConnection(Target target, Selector selector, Object attachment, int maxBodyBytes) {
        this.target = target;
        this.selector = selector;
        this.attachment = attachment;
        this.maxBodyBytes = maxBodyBytes;
    }

    /** Begins to send a request. */
    void send(Body body) throws IOException {
        fill(body);
        answer.clear();
        if (channel == null) {
            channel = SocketChannel.open();
            channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
            channel.configureBlocking(false);
            boolean connected = channel.connect(target.address);
            SelectionKey key =
                    channel.register(selector, connected ? SelectionKey.OP_READ : SelectionKey.OP_CONNECT, attachment);
            if (connected) {
                write(key);
            }
        } else {
            write(channel.keyFor(selector));
        }
    }

    /** Writes the body, and the head right before it: its length is known only then. */
    private void fill(Body body) {
        byte[] head = target.head;
        int bodyAt = head.length + DIGITS_OF_LENGTH + 4;
        if (out == null) {
            out = ByteBuffer.allocate(bodyAt + maxBodyBytes);
        }
        byte[] bytes = out.array();
        int end = body.write(bytes, bodyAt);
        byte[] length = (end - bodyAt + "\r\n\r\n").getBytes(US_ASCII);
        int from = bodyAt - length.length - head.length;
        System.arraycopy(head, 0, bytes, from, head.length);
        System.arraycopy(length, 0, bytes, bodyAt - length.length, length.length);
        out.limit(end).position(from);
    }

    /**
     * Does what the selector has found the connection ready for.
     *
     * @return whether some of the answer has arrived
     */
    boolean proceed(SelectionKey key) throws IOException {
        if (key.isConnectable()) {
            boolean connected = channel.finishConnect();
            if (connected) {
                write(key);
            }
            return false;
        }
        if (key.isWritable()) {
            write(key);
        }
        if (!key.isReadable()) {
            return false;
        }
        if (channel.read(answer.space()) < 0) {
            throw new EOFException("the ingest has closed the connection");
        }
        return true;
    }

    private void write(SelectionKey key) throws IOException {
        int unused = channel.write(out);
        key.interestOps(out.hasRemaining() ? SelectionKey.OP_READ | SelectionKey.OP_WRITE : SelectionKey.OP_READ);
    }

    /** The answer to the last request, as far as it has arrived. */
    HttpAnswer answer() {
        return answer;
    }

    /** Closes it; the next request makes a new one. */
    void disconnect() {
        if (channel != null) {
            try {
                channel.close();
            } catch (IOException e) {
                // It is not used any more in either case.
            }
            channel = null;
        }
    }
}
