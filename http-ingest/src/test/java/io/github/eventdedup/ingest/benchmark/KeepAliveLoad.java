package io.github.eventdedup.ingest.benchmark;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.github.eventdedup.ingest.testing.PreparedRequest;
import java.io.EOFException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.LongUnaryOperator;
import java.util.function.Supplier;
import java.util.stream.LongStream;

/**
 * Posts events over keep-alive connections. One thread drives all of them, sends bytes that it has prepared and writes
 * no more than a number into each event, so that little of the processor goes to what is not measured.
 */
final class KeepAliveLoad implements AutoCloseable {

    /** How long answers may be late before something must be wrong. */
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private static final int ANSWER_BYTES = 256 * 1024;

    private static final String LENGTH = "Content-Length: ";

    /**
     * What was sent from the end of the warm-up on.
     *
     * @param events those that were acknowledged
     * @param cpu what each process has used
     * @param latencies of the answers in ns, from the time that the request was due, in ascending order
     * @param acknowledged events, those of the warm-up among them
     * @param refused how often each answer came that was not 202 for all events of its request, also during the warm-up
     */
    record Measured(
            long events,
            Duration time,
            List<Duration> cpu,
            long[] latencies,
            long acknowledged,
            Map<String, Integer> refused) {

        double perSecond() {
            return events * 1e9 / time.toNanos();
        }

        double cpuMicros(int process) {
            return cpu.get(process).toNanos() / 1e3 / events;
        }

        double latencyMillis(double quantile) {
            return latencies[(int) Math.ceil(quantile * latencies.length) - 1] / 1e6;
        }
    }

    private final Selector selector;
    private final List<Connection> connections = new ArrayList<>();
    private final Deque<Connection> idle = new ArrayDeque<>();
    private final Supplier<List<Duration>> cpu;
    private final Map<String, Integer> refused = new TreeMap<>();
    private final LongStream.Builder latencies = LongStream.builder();
    private long from;
    private long sentEvents;
    private long acknowledged;
    private long measuredEvents;

    /**
     * @param requests one for each connection
     * @param cpu what the processes that are watched have used so far
     */
    KeepAliveLoad(int port, List<PreparedRequest> requests, Supplier<List<Duration>> cpu) throws IOException {
        this.cpu = cpu;
        selector = Selector.open();
        for (PreparedRequest request : requests) {
            connections.add(new Connection(port, request));
        }
        idle.addAll(connections);
    }

    /**
     * Sends for as long as is said, and waits for the answers. To be called once.
     *
     * @param rate requests a second, sent on a schedule whatever becomes of those before; or 0 to send the next as soon as
     *     the last one is answered
     * @throws IOException where a connection breaks or the first answer is not 202, with that answer
     */
    Measured run(Duration warmUp, Duration time, double rate) throws IOException {
        long begin = System.nanoTime();
        from = begin + warmUp.toNanos();
        long to = from + time.toNanos();
        List<Duration> cpuBefore = null;
        List<Duration> cpuAfter = null;
        LongUnaryOperator schedule =
                rate == 0 ? request -> System.nanoTime() : request -> begin + (long) (request * 1e9 / rate);
        long requests = 0;
        long due = begin;
        while (due < to || cpuAfter == null || idle.size() < connections.size()) {
            long now = System.nanoTime();
            if (cpuBefore == null && now >= from) {
                cpuBefore = cpu.get();
            }
            due = schedule.applyAsLong(requests);
            while (!idle.isEmpty() && due <= System.nanoTime() && due < to) {
                idle.remove().send(due);
                due = schedule.applyAsLong(++requests);
            }
            if (cpuAfter == null && now >= to) {
                cpuAfter = cpu.get();
            }
            if (now > to + PATIENCE.toNanos()) {
                throw new IOException("answers are missing");
            }
            // At a rate, a request may be up to a millisecond late, and counts as late. To look more often would take
            // the
            // processor from what is measured.
            selector.select(rate == 0 ? 100 : 1);
            for (SelectionKey key : selector.selectedKeys()) {
                ((Connection) key.attachment()).proceed();
            }
            selector.selectedKeys().clear();
        }
        return new Measured(
                measuredEvents,
                time,
                difference(cpuBefore, cpuAfter),
                latencies.build().sorted().toArray(),
                acknowledged,
                refused);
    }

    private static List<Duration> difference(List<Duration> before, List<Duration> after) {
        List<Duration> difference = new ArrayList<>();
        for (int i = 0; i < after.size(); i++) {
            difference.add(after.get(i).minus(before.get(i)));
        }
        return difference;
    }

    @Override
    public void close() throws IOException {
        for (Connection connection : connections) {
            connection.channel.close();
        }
        selector.close();
    }

    /** With one request under way, or idle. */
    private final class Connection {

        private final SocketChannel channel;
        private final SelectionKey key;
        private final PreparedRequest request;
        private final ByteBuffer answer = ByteBuffer.allocate(ANSWER_BYTES);
        private long due;

        Connection(int port, PreparedRequest request) throws IOException {
            this.request = request;
            channel = SocketChannel.open(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
            channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
            channel.configureBlocking(false);
            key = channel.register(selector, SelectionKey.OP_READ, this);
        }

        void send(long due) throws IOException {
            this.due = due;
            request.number(sentEvents);
            sentEvents += request.events();
            write();
        }

        private void write() throws IOException {
            channel.write(request.bytes());
            key.interestOps(
                    request.bytes().hasRemaining()
                            ? SelectionKey.OP_READ | SelectionKey.OP_WRITE
                            : SelectionKey.OP_READ);
        }

        void proceed() throws IOException {
            if (key.isWritable()) {
                write();
            }
            if (key.isReadable()) {
                if (channel.read(answer) < 0) {
                    throw new EOFException("the ingest has closed a connection; answers that were not 202: " + refused);
                }
                String text = new String(answer.array(), 0, answer.position(), ISO_8859_1);
                if (isComplete(text)) {
                    answered(text);
                    answer.clear();
                    idle.add(this);
                }
            }
        }

        private void answered(String text) throws IOException {
            int accepted = request.accepted(text);
            acknowledged += accepted;
            if (accepted < request.events()) {
                refused.merge(text.substring(9, 12), 1, Integer::sum);
            }
            if (acknowledged == 0 || request.bytes().hasRemaining()) {
                throw new IOException("the ingest answers " + text);
            }
            if (due >= from) {
                measuredEvents += accepted;
                latencies.add(System.nanoTime() - due);
            }
        }

        private static boolean isComplete(String text) {
            int head = text.indexOf("\r\n\r\n");
            if (head < 0) {
                return false;
            }
            int length = text.indexOf(LENGTH);
            if (length < 0 || length > head) {
                // In chunks, as long answers are; there is no line break within JSON.
                return text.endsWith("\r\n0\r\n\r\n");
            }
            length += LENGTH.length();
            return text.length() == head + 4 + Integer.parseInt(text.substring(length, text.indexOf('\r', length)));
        }
    }
}
