package io.github.eventdedup.servers;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;

/**
 * The clock by which a {@link KafkaServer} stamps records. Needs nothing of Kafka, nor that the node was started by this
 * JVM.
 *
 * @param directory the node's
 */
public record KafkaClock(Path directory) {

    /**
     * Sets the clock to this much after the system's, or before it where it is negative. It steps within half a second, and
     * stays so when the node is started again.
     *
     * @throws ServerException where the directory cannot be written
     */
    public void set(Duration offset) {
        try {
            Path written = directory.resolve("clock-offset.new");
            Files.writeString(written, Long.toString(offset.toMillis()), StandardCharsets.UTF_8);
            Files.move(written, file(), StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            throw new ServerException("kafka's clock cannot be set in " + directory + ": " + e, e);
        }
    }

    /** Where the node reads the offset, in milliseconds. */
    Path file() {
        return directory.resolve("clock-offset");
    }
}
