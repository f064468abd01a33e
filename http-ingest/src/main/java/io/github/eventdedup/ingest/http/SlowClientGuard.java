package io.github.eventdedup.ingest.http;

import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.eclipse.jetty.io.AbstractEndPoint;
import org.eclipse.jetty.io.Connection;
import org.eclipse.jetty.io.EndPoint;
import org.eclipse.jetty.io.ssl.SslConnection;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.util.component.AbstractLifeCycle;
import org.eclipse.jetty.util.thread.Scheduler;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Cuts off clients that send their request, or take their answer, so slowly that it can only be meant to hold a
 * connection and its memory. The web server's idle timeout does not: a byte now and then is enough for it.
 *
 * <p>Looks at all connections every other second. What counts is the time that the service waits for the client; while
 * it waits for Kafka, and between requests, a connection is left alone.
 */
final class SlowClientGuard extends AbstractLifeCycle {

    private static final Logger LOG = LoggerFactory.getLogger(SlowClientGuard.class);

    private static final Duration PERIOD = Duration.ofSeconds(2);

    /** How long a request or an answer may take beside what its bytes need: for a network that is interrupted. */
    private static final Duration PATIENCE = Duration.ofSeconds(10);

    /** Less than the slowest networks carry that are still in use, and enough that a large event cannot take minutes. */
    private static final long LEAST_BYTES_PER_SECOND = 4 * 1024;

    private final ServerConnector connector;
    private Map<EndPoint, Exchange> exchanges = new HashMap<>();
    private long lookedAt;
    private volatile Scheduler.Task next;

    SlowClientGuard(ServerConnector connector) {
        this.connector = connector;
    }

    /** A request and its answer, as far as they have come. */
    private static final class Exchange {
        private final long answers;
        private final long bytesInBefore;
        private final long bytesOutBefore;
        private long bytesOut;
        private boolean sending;
        private boolean taking;
        private long sendingNanos;
        private long takingNanos;

        Exchange(long answers, long bytesInBefore, long bytesOutBefore) {
            this.answers = answers;
            this.bytesInBefore = bytesInBefore;
            this.bytesOutBefore = bytesOutBefore;
        }
    }

    @Override
    protected void doStart() {
        lookedAt = System.nanoTime();
        schedule();
    }

    @Override
    protected void doStop() {
        Scheduler.Task task = next;
        if (task != null) {
            task.cancel();
        }
    }

    private void schedule() {
        next = connector.getScheduler().schedule(this::look, PERIOD.toMillis(), TimeUnit.MILLISECONDS);
    }

    private void look() {
        long now = System.nanoTime();
        long passed = now - lookedAt;
        lookedAt = now;
        Map<EndPoint, Exchange> current = new HashMap<>();
        for (EndPoint endPoint : connector.getConnectedEndPoints()) {
            try {
                Exchange exchange = look(endPoint, passed);
                if (exchange != null) {
                    current.put(endPoint, exchange);
                }
            } catch (RuntimeException e) {
                // An exception that got out would end the watch.
                LOG.error("A connection could not be checked", e);
            }
        }
        exchanges = current;
        if (isRunning()) {
            schedule();
        }
    }

    /** The exchange to remember, or null where the client was cut off. */
    private Exchange look(EndPoint endPoint, long passed) {
        Connection connection = endPoint.getConnection();
        if (connection == null) {
            return null;
        }
        Connection http =
                connection instanceof SslConnection tls ? tls.getSslEndPoint().getConnection() : connection;
        long answers = http.getMessagesOut();
        // After the handshake only what it carries counts: a connection may be made in advance of its first request.
        long bytesIn = isHandshakeOver(connection) ? http.getBytesIn() : connection.getBytesIn();
        Exchange exchange = exchanges.get(endPoint);
        if (exchange == null) {
            // What came before an answer belongs to its request, and a connection may rest after that.
            exchange = new Exchange(answers, answers == 0 ? 0 : bytesIn, 0);
        } else if (exchange.answers != answers) {
            // The bytes of an answer are counted when it begins to be written, so this one's may be among them already.
            exchange = new Exchange(answers, bytesIn, exchange.bytesOut);
        }
        exchange.bytesOut = connection.getBytesOut();

        boolean underWay = bytesIn > exchange.bytesInBefore || http.getMessagesIn() > answers;
        boolean sending = underWay && endPoint.isFillInterested();
        boolean taking = endPoint instanceof AbstractEndPoint socket
                && socket.getWriteFlusher().isPending();
        // Only a period with the same at both its ends was waited for.
        exchange.sendingNanos += sending && exchange.sending ? passed : 0;
        exchange.takingNanos += taking && exchange.taking ? passed : 0;
        exchange.sending = sending;
        exchange.taking = taking;

        if ((sending && isSlow(exchange.sendingNanos, bytesIn - exchange.bytesInBefore))
                || (taking && isSlow(exchange.takingNanos, exchange.bytesOut - exchange.bytesOutBefore))) {
            LOG.debug("Too slow: {}", endPoint);
            cutOff(endPoint, connection);
            return null;
        }
        return exchange;
    }

    private static boolean isHandshakeOver(Connection connection) {
        return connection instanceof SslConnection tls
                && !tls.getSSLEngine().getSession().getProtocol().equals("NONE");
    }

    private static boolean isSlow(long nanos, long bytes) {
        return nanos > PATIENCE.toNanos() + TimeUnit.SECONDS.toNanos(bytes) / LEAST_BYTES_PER_SECOND;
    }

    /** As when nothing has happened for the idle timeout: a request that has begun to be read is answered. */
    private static void cutOff(EndPoint endPoint, Connection connection) {
        TimeoutException timeout = new TimeoutException("the client is too slow");
        if (connection.onIdleExpired(timeout)) {
            endPoint.close(timeout);
        }
    }
}
