package io.github.eventdedup.proof.load;

import static java.nio.charset.StandardCharsets.US_ASCII;

import io.github.eventdedup.event.EventReader;
import io.github.eventdedup.event.Fingerprint;
import io.github.eventdedup.event.InvalidEventException;
import io.github.eventdedup.proof.ledger.Ledger;
import io.github.eventdedup.proof.load.LoadPlan.Kind;
import io.github.eventdedup.proof.system.ProofException;
import java.io.EOFException;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.LongAdder;
import org.HdrHistogram.SingleWriterRecorder;

/**
 * Posts the copies of a {@link LoadPlan} over keep-alive connections, all of them driven by one thread. A connection is a
 * client: it has one request under way, and sends it again until each of its events was accepted, refused for good, or is
 * too old. What is due meanwhile waits for the next client that is free; as nothing but a count, whatever the backlog.
 *
 * <p>To be run once. The counters and {@link #stop} are for any thread.
 */
final class Sender {

    /** Overdue events from which on the schedule waits. */
    static final int MAX_BACKLOG = 100_000;

    /**
     * How to send.
     *
     * @param rate copies a second on a schedule, or 0 for as many as are taken
     * @param copies how many in all
     * @param nanos for how long
     * @param batch events in a request; a request of one event is no batch
     * @param answerNanos how long an answer may take
     * @param giveUpNanos how long to send an event again and again
     * @param longestPauseNanos between two tries
     */
    record Settings(
            double rate,
            long copies,
            long nanos,
            int batch,
            int connections,
            long answerNanos,
            long giveUpNanos,
            long longestPauseNanos) {

        /** With a client's patience. */
        Settings(double rate, long copies, long nanos, int batch, int connections) {
            this(
                    rate,
                    copies,
                    nanos,
                    batch,
                    connections,
                    TimeUnit.SECONDS.toNanos(15),
                    TimeUnit.MINUTES.toNanos(5),
                    TimeUnit.SECONDS.toNanos(5));
        }
    }

    private static final long FIRST_PAUSE_NANOS = TimeUnit.MILLISECONDS.toNanos(50);
    private static final long NANOS_BETWEEN_PROBES = TimeUnit.MILLISECONDS.toNanos(10);
    private static final long NANOS_BETWEEN_LOOKS = TimeUnit.MILLISECONDS.toNanos(200);
    private static final long NANOS_TO_END = TimeUnit.SECONDS.toNanos(2);
    private static final int DIGITS_OF_LENGTH = 10;

    /** Copies handed to a client, first tries only. */
    final LongAdder sent = new LongAdder();
    /** First copies among them. */
    final LongAdder distinct = new LongAdder();

    final LongAdder acknowledged = new LongAdder();
    /** First copies among them. */
    final LongAdder distinctAcknowledged = new LongAdder();

    final LongAdder invalid = new LongAdder();
    final LongAdder unknown = new LongAdder();
    /** Copies that took more than one try. */
    final LongAdder retried = new LongAdder();
    /** Tries that failed: no connection, no answer in time, an answer that says to come again. */
    final LongAdder refused = new LongAdder();
    /** Events that the schedule has left out because too many were overdue. */
    final LongAdder behind = new LongAdder();
    /** Valid copies that were refused for good, and invalid ones that were accepted. */
    final LongAdder wrong = new LongAdder();
    /** Answers in µs, from the time that the event was due. */
    final SingleWriterRecorder latency = new SingleWriterRecorder(3);

    private final InetSocketAddress address;
    private final byte[] head;
    private final Settings settings;
    private final LoadPlan plan;
    private final ViewEvents events;
    private final EventReader reader;
    private final VisibilityTracker probes;
    private final Ledger ledger;
    private final Selector selector;
    private final List<Connection> connections = new ArrayList<>();
    private final Deque<Connection> idle = new ArrayDeque<>();
    private final Set<Connection> pausing = new HashSet<>();
    private final Deque<Long> twins = new ArrayDeque<>();
    private final byte[] scratch;

    private volatile boolean stopped;
    private volatile String firstWrong = "";
    private volatile String lastFailure = "";
    private volatile long begin;
    private volatile long lastAnswer;

    private Request filling;
    private long next;
    private long skipped;
    private long lastProbe;
    private long firstsSinceProbe;

    /**
     * @param path where events are posted
     * @param probes learns of the events to look for
     * @param ledger learns of what becomes of each copy
     */
    Sender(
            InetSocketAddress address,
            String path,
            Settings settings,
            LoadPlan plan,
            ViewEvents events,
            EventReader reader,
            VisibilityTracker probes,
            Ledger ledger)
            throws IOException {
        this.address = address;
        this.settings = settings;
        this.plan = plan;
        this.events = events;
        this.reader = reader;
        this.probes = probes;
        this.ledger = ledger;
        head = ("POST " + path + " HTTP/1.1\r\nHost: " + address.getHostString() + ":" + address.getPort()
                        + "\r\nContent-Type: application/" + (settings.batch == 1 ? "json" : "x-ndjson")
                        + "\r\nContent-Length: ")
                .getBytes(US_ASCII);
        filling = new Request();
        scratch = new byte[events.longest()];
        selector = Selector.open();
        for (int i = 0; i < settings.connections; i++) {
            connections.add(new Connection());
        }
        idle.addAll(connections);
    }

    /** Ends the load early: what has no answer soon is unknown. */
    void stop() {
        stopped = true;
        selector.wakeup();
    }

    boolean isStopped() {
        return stopped;
    }

    /** A valid event that was refused, or an invalid one that was not: what the ingest said first, or empty. */
    String firstWrong() {
        return firstWrong;
    }

    /** Why a request had to be sent again, the last time; or empty. */
    String lastFailure() {
        return lastFailure;
    }

    /** When sending began. */
    long begin() {
        return begin;
    }

    /** When the last answer came that decided something. */
    long lastAnswer() {
        return lastAnswer;
    }

    /**
     * Sends, and returns once the fate of each copy is in the ledger.
     *
     * @throws ProofException where the ingest refuses requests as such, so that going on is of no use
     */
    void run() throws IOException {
        begin = System.nanoTime();
        lastAnswer = begin;
        lastProbe = begin - NANOS_BETWEEN_PROBES;
        long nextLook = begin;
        long stopAt = Long.MAX_VALUE;
        try {
            while (true) {
                long now = System.nanoTime();
                if (stopped && stopAt == Long.MAX_VALUE) {
                    stopAt = now + NANOS_TO_END;
                }
                boolean more = pump(now);
                if (!more && idle.size() == connections.size()) {
                    return;
                }
                if (now >= stopAt) {
                    return;
                }
                if (now >= nextLook) {
                    nextLook = now + NANOS_BETWEEN_LOOKS;
                    for (Connection connection : connections) {
                        connection.look(now);
                    }
                    ledger.flush();
                }
                select(now);
            }
        } finally {
            for (Connection connection : connections) {
                // Also where the load fails: what was sent may be in the topic.
                connection.giveUp();
                connection.disconnect();
            }
            selector.close();
        }
    }

    private void select(long now) throws IOException {
        long until = now + NANOS_BETWEEN_LOOKS;
        for (Connection connection : pausing) {
            until = Math.min(until, connection.resumeAt);
        }
        if (settings.rate > 0 && !idle.isEmpty() && next < settings.copies) {
            until = Math.min(until, due(next));
        }
        // An event may be up to a millisecond late, and counts as late: to look more often would take the processor
        // from
        // what is measured.
        selector.select(Math.max(1, (until - now) / 1_000_000));
        for (SelectionKey key : selector.selectedKeys()) {
            ((Connection) key.attachment()).proceed(key);
        }
        selector.selectedKeys().clear();
        long after = System.nanoTime();
        for (Connection connection : List.copyOf(pausing)) {
            if (connection.resumeAt <= after) {
                pausing.remove(connection);
                connection.send();
            }
        }
    }

    /** A twin is due with the copy before it. */
    private long due(long copy) {
        long with = copy;
        while (plan.kind(with) == Kind.TWIN) {
            with--;
        }
        return begin + (long) ((with + skipped) * 1e9 / settings.rate);
    }

    /**
     * Sends what is due, as far as clients are free.
     *
     * @return whether there will be more to send
     */
    private boolean pump(long now) {
        if (settings.rate > 0) {
            long overdue = (long) ((now - begin) / 1e9 * settings.rate) - skipped - next;
            if (overdue > MAX_BACKLOG && next < settings.copies && now - begin < settings.nanos) {
                skipped += overdue - MAX_BACKLOG;
                behind.add(overdue - MAX_BACKLOG);
            }
        }
        while (true) {
            boolean more = hasMore(now);
            if (filling.size == 0 && !more && twins.isEmpty()) {
                return false;
            }
            // One client is kept free for a copy at the same moment.
            boolean twin = !twins.isEmpty() || (more && plan.kind(next) == Kind.TWIN);
            if (idle.size() < (twin || connections.size() == 1 || !more ? 1 : 2)) {
                return true;
            }
            while (filling.size < settings.batch && !twins.isEmpty()) {
                filling.add(twins.remove(), now);
            }
            while (filling.size < settings.batch && more) {
                long due = settings.rate > 0 ? due(next) : now;
                if (due > now) {
                    break;
                }
                if (filling.size > 0 && plan.kind(next) == Kind.TWIN) {
                    twins.add(next);
                } else {
                    filling.add(next, due);
                }
                next++;
                more = hasMore(now);
            }
            if (filling.size < settings.batch && (more || filling.size == 0)) {
                return true;
            }
            Request full = filling;
            filling = new Request();
            idle.remove().begin(full);
        }
    }

    private boolean hasMore(long now) {
        if (stopped || next >= settings.copies) {
            return false;
        }
        return settings.nanos == Long.MAX_VALUE || (settings.rate > 0 ? due(next) : now) - begin < settings.nanos;
    }

    private Fingerprint fingerprint(long event) {
        int length = events.write(event, scratch, 0);
        try {
            return reader.read(Arrays.copyOf(scratch, length)).fingerprint();
        } catch (InvalidEventException e) {
            throw new ProofException(
                    "the stream's definition does not fit the events of this load: " + e.getMessage(), e);
        }
    }

    private void wrong(String what) {
        wrong.increment();
        if (firstWrong.isEmpty()) {
            firstWrong = what;
        }
    }

    /** Copies that are sent together; those that are decided leave. */
    private final class Request {

        private long[] copies = new long[settings.batch];
        private int size;
        private long due;
        private long firstSent;
        private int tries;
        private long probeCopy = -1;
        private Fingerprint probe;

        void add(long copy, long copyDue) {
            copies[size++] = copy;
            // Events wait for a batch to be full: what is timed is the batch.
            due = copyDue;
        }

        /** It is handed to a client. */
        void started() {
            sent.add(size);
            for (int i = 0; i < size; i++) {
                if (plan.kind(copies[i]) == Kind.FIRST) {
                    distinct.increment();
                    firstsSinceProbe++;
                    if (probe == null && due - lastProbe >= NANOS_BETWEEN_PROBES) {
                        lastProbe = due;
                        probeCopy = copies[i];
                        probe = fingerprint(probeCopy);
                        probes.sent(probe, due, firstsSinceProbe);
                        firstsSinceProbe = 0;
                    }
                }
            }
        }

        void acknowledged(long copy, HttpAnswer.Result result, long now) {
            acknowledged.increment();
            latency.recordValue((now - due) / 1000);
            Kind kind = plan.kind(copy);
            // What was sent, not what the answer says: an answer about another event must not hide that this one is
            // lost.
            String fingerprint = result.fingerprint();
            if (kind == Kind.INVALID) {
                wrong("what is no event was accepted as " + fingerprint);
            } else {
                fingerprint = fingerprint(plan.event(copy)).toString();
                if (!fingerprint.equals(result.fingerprint())) {
                    wrong("event " + fingerprint + " was acknowledged as " + result.fingerprint());
                }
            }
            ledger.acknowledged(fingerprint, result.partition(), result.offset());
            if (kind == Kind.FIRST) {
                distinctAcknowledged.increment();
            }
            if (copy == probeCopy) {
                probes.acknowledged(probe, now);
            }
        }

        void refused(long copy, String error) {
            ledger.invalid();
            invalid.increment();
            if (plan.kind(copy) != Kind.INVALID) {
                wrong("a valid event was refused: " + error);
            }
            if (copy == probeCopy) {
                probes.givenUp(probe);
            }
        }

        void unknown() {
            for (int i = 0; i < size; i++) {
                if (plan.kind(copies[i]) == Kind.INVALID) {
                    // It has no fingerprint, and was not accepted.
                    ledger.invalid();
                    invalid.increment();
                } else {
                    ledger.unknown(fingerprint(plan.event(copies[i])).toString());
                    unknown.increment();
                }
                if (copies[i] == probeCopy) {
                    probes.givenUp(probe);
                }
            }
            size = 0;
        }
    }

    /** A client: idle, connecting, waiting for an answer, or pausing before it tries again. */
    private final class Connection {

        private final HttpAnswer answer = new HttpAnswer();
        private SocketChannel channel;
        private ByteBuffer out;
        private Request request;
        private long answerBy = Long.MAX_VALUE;
        private long resumeAt;

        void begin(Request toSend) {
            request = toSend;
            request.started();
            request.firstSent = System.nanoTime();
            send();
        }

        void send() {
            answerBy = System.nanoTime() + settings.answerNanos;
            fill();
            answer.clear();
            try {
                if (channel == null) {
                    channel = SocketChannel.open();
                    channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
                    channel.configureBlocking(false);
                    boolean connected = channel.connect(address);
                    SelectionKey key = channel.register(
                            selector, connected ? SelectionKey.OP_READ : SelectionKey.OP_CONNECT, this);
                    if (connected) {
                        write(key);
                    }
                } else {
                    write(channel.keyFor(selector));
                }
            } catch (IOException e) {
                failed(e.toString());
            }
        }

        /** Writes the body, and the head right before it: its length is known only then. */
        private void fill() {
            int bodyAt = head.length + DIGITS_OF_LENGTH + 4;
            if (out == null) {
                out = ByteBuffer.allocate(bodyAt + settings.batch * (events.longest() + 1));
            }
            byte[] bytes = out.array();
            int at = bodyAt;
            for (int i = 0; i < request.size; i++) {
                long copy = request.copies[i];
                at = plan.kind(copy) == Kind.INVALID
                        ? events.writeInvalid(copy, bytes, at)
                        : events.write(plan.event(copy), bytes, at);
                if (settings.batch > 1) {
                    bytes[at++] = '\n';
                }
            }
            byte[] length = (at - bodyAt + "\r\n\r\n").getBytes(US_ASCII);
            int from = bodyAt - length.length - head.length;
            System.arraycopy(head, 0, bytes, from, head.length);
            System.arraycopy(length, 0, bytes, bodyAt - length.length, length.length);
            out.limit(at).position(from);
        }

        void proceed(SelectionKey key) {
            if (!key.isValid()) {
                return;
            }
            try {
                if (key.isConnectable()) {
                    boolean connected = channel.finishConnect();
                    if (connected) {
                        write(key);
                    }
                    return;
                }
                if (key.isWritable()) {
                    write(key);
                }
                if (!key.isReadable()) {
                    return;
                }
                if (channel.read(answer.space()) < 0) {
                    throw new EOFException("the ingest has closed the connection");
                }
                if (request == null) {
                    throw new IOException("an answer without a request");
                }
                if (answer.isComplete()) {
                    answered();
                }
            } catch (IOException e) {
                failed(e.toString());
            }
        }

        private void write(SelectionKey key) throws IOException {
            int unused = channel.write(out);
            key.interestOps(out.hasRemaining() ? SelectionKey.OP_READ | SelectionKey.OP_WRITE : SelectionKey.OP_READ);
        }

        private void answered() throws IOException {
            long now = System.nanoTime();
            answerBy = Long.MAX_VALUE;
            int status = answer.status();
            int pauseSeconds = answer.retryAfterSeconds();
            String failure = "the ingest answers " + status;
            if (status == 202 || status == 207 || status == 400) {
                decide(status, now);
            } else if (status != 408 && status != 429 && status < 500) {
                throw new ProofException(failure + ": " + answer.text());
            }
            if (answer.closes()) {
                disconnect();
            }
            if (request.size > 0) {
                tryAgain(failure, pauseSeconds, now);
            } else {
                free();
            }
        }

        /** Takes the events that are accepted or refused for good from the request. */
        private void decide(int status, long now) throws IOException {
            lastAnswer = now;
            List<HttpAnswer.Result> results = answer.results();
            if (results.isEmpty() && settings.batch == 1 && status == 400) {
                request.refused(request.copies[0], answer.text());
                request.size = 0;
                return;
            }
            if (results.size() != request.size) {
                throw new ProofException("the ingest answers " + status + " with " + results.size() + " results for "
                        + request.size + " events: " + answer.text());
            }
            int left = 0;
            BitSet decided = new BitSet();
            for (HttpAnswer.Result result : results) {
                if (result.index() < 0 || result.index() >= request.size || decided.get(result.index())) {
                    throw new ProofException("the ingest answers about event " + result.index() + " of " + request.size
                            + ", or twice: " + answer.text());
                }
                decided.set(result.index());
                long copy = request.copies[result.index()];
                if (result.fingerprint() != null) {
                    request.acknowledged(copy, result, now);
                } else if (result.retry()) {
                    // Results come in the order of the events, so this overwrites only what is decided.
                    request.copies[left++] = copy;
                } else {
                    request.refused(copy, result.error());
                }
            }
            request.size = left;
        }

        /** The connection is of no more use. */
        private void failed(String reason) {
            disconnect();
            if (request != null) {
                tryAgain(reason, 0, System.nanoTime());
            }
        }

        private void tryAgain(String reason, int pauseSeconds, long now) {
            answerBy = Long.MAX_VALUE;
            lastFailure = reason;
            refused.increment();
            if (request.tries++ == 0) {
                retried.add(request.size);
            }
            if (now - request.firstSent > settings.giveUpNanos) {
                request.unknown();
                free();
                return;
            }
            // At random, or all clients would come back at the same moment.
            long longest = Math.min(settings.longestPauseNanos, FIRST_PAUSE_NANOS << Math.min(request.tries, 20));
            resumeAt = now
                    + Math.max(
                            TimeUnit.SECONDS.toNanos(pauseSeconds),
                            ThreadLocalRandom.current().nextLong(longest));
            pausing.add(this);
        }

        private void free() {
            request = null;
            answer.clear();
            idle.add(this);
        }

        void look(long now) {
            if (now > answerBy) {
                failed("no answer in " + TimeUnit.NANOSECONDS.toSeconds(settings.answerNanos) + " s");
            }
        }

        void giveUp() {
            if (request != null) {
                pausing.remove(this);
                request.unknown();
                free();
            }
        }

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
}
