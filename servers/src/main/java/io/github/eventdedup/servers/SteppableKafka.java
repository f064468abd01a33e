package io.github.eventdedup.servers;

import java.io.IOException;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Properties;
import kafka.server.KafkaConfig;
import kafka.server.KafkaRaftServer;
import org.apache.kafka.common.utils.Time;

/**
 * The process of {@link KafkaServer}: Kafka's node with a clock that can be set while it runs. Only the time of day steps, as
 * when NTP corrects it; the clock for durations runs on.
 */
final class SteppableKafka {

    private static final int POLL_MILLIS = 100;

    private SteppableKafka() {}

    /**
     * Runs until it is told to end.
     *
     * @param arguments the file with the settings, and the one with the offset of the clock, which need not be there
     */
    public static void main(String[] arguments) throws IOException {
        Properties settings = new Properties();
        try (Reader file = Files.newBufferedReader(Path.of(arguments[0]), StandardCharsets.UTF_8)) {
            settings.load(file);
        }
        KafkaRaftServer server =
                new KafkaRaftServer(new KafkaConfig(settings), new SteppableTime(Path.of(arguments[1])));
        Runtime.getRuntime().addShutdownHook(new Thread(server::shutdown, "shut-down"));
        server.startup();
        server.awaitShutdown();
    }

    /** The system's time, and as many milliseconds more as a file says. Thread-safe. */
    static final class SteppableTime implements Time {

        private final Path file;
        private volatile long offset;

        SteppableTime(Path file) {
            this.file = file;
            offset = read(0);
            Thread thread = new Thread(this::follow, "clock-offset");
            thread.setDaemon(true);
            thread.start();
        }

        private void follow() {
            while (true) {
                sleep(POLL_MILLIS);
                offset = read(offset);
            }
        }

        private long read(long otherwise) {
            try {
                return Long.parseLong(
                        Files.readString(file, StandardCharsets.UTF_8).strip());
            } catch (NoSuchFileException e) {
                return 0;
            } catch (IOException | NumberFormatException e) {
                return otherwise;
            }
        }

        @Override
        public long milliseconds() {
            return System.currentTimeMillis() + offset;
        }

        @Override
        public long nanoseconds() {
            return System.nanoTime();
        }

        @Override
        public void sleep(long millis) {
            try {
                Thread.sleep(millis);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
