package io.github.eventdedup.relay;

import io.github.eventdedup.event.InvalidStreamDefinitionException;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.relay.outbox.OutboxConnection;
import io.github.eventdedup.relay.settings.RelaySettings;
import io.github.eventdedup.relay.settings.StartupException;
import io.github.eventdedup.relay.settings.Stop;
import io.github.eventdedup.relay.settings.UnavailableException;
import io.github.eventdedup.relay.topic.TopicWriter;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The relay as a process: {@code --stream FILE} follows the outbox of that stream until SIGTERM; with {@code --once} it
 * sends the rows that are there and ends. Environment variables name Kafka and the databases. An error is printed on
 * standard error, and the exit code is 1; after SIGTERM the current batch finishes, and the exit code is 0.
 */
public final class OutboxRelay {

    private static final Logger LOG = LoggerFactory.getLogger(OutboxRelay.class);

    /** Longer than Kafka's time to finish the batch at hand; less than supervisors wait before they kill. */
    private static final long LAST_RESORT_MILLIS = 20_000;

    private OutboxRelay() {}

    /** Runs the relay until it is told to stop, or, once, until everything is sent. */
    public static void main(String[] arguments) {
        try {
            RelaySettings settings = RelaySettings.from(List.of(arguments), System.getenv());
            Stop stop = new Stop();
            stopOn("TERM", stop);
            stopOn("INT", stop);
            run(settings, stop);
        } catch (StartupException | UnavailableException e) {
            fail(e.getMessage());
        }
        System.exit(0);
    }

    private static void run(RelaySettings settings, Stop stop) throws StartupException, UnavailableException {
        StreamDefinition stream = stream(settings);
        Connection connection = OutboxConnection.open(settings);
        TopicWriter writer = TopicWriter.connect(settings.kafkaBootstrapServers(), stream.stream());
        // Not System.out: it would be flushed after each row, and its characters follow the locale.
        PrintStream output = new PrintStream(new FileOutputStream(FileDescriptor.out), false, StandardCharsets.UTF_8);
        try (Relay relay = new Relay(settings, stream, connection, writer, stop, output)) {
            if (!settings.once()) {
                LOG.info(
                        "Following {} of {}; Kafka at {}",
                        stream.outbox().table(),
                        settings.postgresAddress(),
                        settings.kafkaBootstrapServers());
                relay.follow();
                LOG.info("Stopped");
            } else if (!relay.once()) {
                fail("told to stop before everything was sent; the next run sends the rest");
            }
        }
    }

    private static StreamDefinition stream(RelaySettings settings) throws StartupException {
        try {
            StreamDefinition stream = StreamDefinition.read(settings.streamFile());
            if (stream.outbox() == null) {
                throw new StartupException("the stream '" + stream.stream() + "' of " + settings.streamFile()
                        + " has no outbox to relay: add the key 'outbox', or name another file");
            }
            return stream;
        } catch (InvalidStreamDefinitionException e) {
            throw new StartupException(e.getMessage());
        } catch (IOException e) {
            throw new StartupException(
                    "cannot read " + settings.streamFile() + ", give the path of a stream definition (" + e + ")");
        }
    }

    private static void fail(String message) {
        System.err.println("outbox-relay: " + message);
        System.exit(1);
    }

    /**
     * Stops the relay when the process gets the signal.
     *
     * <p>Not a shutdown hook: after SIGTERM a JVM ends with 143, which supervisors take for a crash. JEP 260 keeps {@code
     * sun.misc.Signal} open for want of another way; called by name, because the compiler's warning about it cannot be
     * suppressed.
     */
    private static void stopOn(String name, Stop stop) {
        try {
            Class<?> signal = Class.forName("sun.misc.Signal");
            Class<?> handler = Class.forName("sun.misc.SignalHandler");
            Object request = Proxy.newProxyInstance(
                    OutboxRelay.class.getClassLoader(), new Class<?>[] {handler}, (proxy, method, arguments) -> {
                        stop.request();
                        Thread lastResort = new Thread(OutboxRelay::exitLate, "last-resort");
                        lastResort.setDaemon(true);
                        lastResort.start();
                        return null;
                    });
            signal.getMethod("handle", signal, handler)
                    .invoke(null, signal.getConstructor(String.class).newInstance(name), request);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("this Java cannot handle the signal " + name, e);
        }
    }

    /** A statement of Postgres cannot be interrupted from outside; the process can. */
    private static void exitLate() {
        try {
            Thread.sleep(LAST_RESORT_MILLIS);
            fail("Postgres has not finished the last batch in time; the next run sends it again");
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
