package io.github.eventdedup.relay;

import io.github.eventdedup.config.Arguments;
import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.config.Termination;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.event.StreamDirectory;
import io.github.eventdedup.relay.outbox.OutboxConnection;
import io.github.eventdedup.relay.settings.RelayArguments;
import io.github.eventdedup.relay.settings.RelaySettings;
import io.github.eventdedup.relay.settings.Stop;
import io.github.eventdedup.relay.settings.UnavailableException;
import io.github.eventdedup.relay.topic.TopicWriter;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.util.List;
import java.util.Optional;
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
        Optional<String> help = Arguments.help(new RelayArguments(), List.of(arguments), RelaySettings.SETTINGS);
        if (help.isPresent()) {
            System.out.print(help.get());
            return;
        }
        try {
            RelaySettings settings = RelaySettings.from(List.of(arguments), System.getenv());
            Stop stop = new Stop();
            Termination.onSignal(() -> {
                stop.request();
                Thread lastResort = new Thread(OutboxRelay::exitLate, "last-resort");
                lastResort.setDaemon(true);
                lastResort.start();
            });
            run(settings, stop);
        } catch (ConfigurationException | UnavailableException e) {
            fail(e.getMessage());
        }
        System.exit(0);
    }

    private static void run(RelaySettings settings, Stop stop) throws ConfigurationException, UnavailableException {
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

    private static StreamDefinition stream(RelaySettings settings) throws ConfigurationException {
        try {
            StreamDefinition stream = StreamDirectory.readOne(settings.streamFile());
            if (stream.outbox() == null) {
                throw new ConfigurationException("the stream '" + stream.stream() + "' of " + settings.streamFile()
                        + " has no outbox to relay: add the key 'outbox', or name another file");
            }
            return stream;
        } catch (IOException e) {
            throw new ConfigurationException(
                    "cannot read " + settings.streamFile() + ", give the path of a stream definition (" + e + ")");
        }
    }

    private static void fail(String message) {
        System.err.println("outbox-relay: " + message);
        System.exit(1);
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
