package io.github.eventdedup.ingest.access;

import io.github.eventdedup.config.ConfigurationException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Applies small files, and applies them again when they change, so that keys and certificates are replaced without a
 * restart. Thread-safe; all files are read by one daemon thread.
 *
 * <p>The files are read twice a second, and their contents compared: file times would miss a change within one tick of
 * the file system's clock, and names a switched symbolic link, as in Kubernetes. A change counts once two readings
 * agree. So half a file, or a certificate whose key is not written yet, is not used. A change takes effect about a
 * second after the last write.
 */
public final class FileWatch implements AutoCloseable {

    /**
     * A file to watch.
     *
     * @param setting the setting that names it, for errors
     */
    public record Source(String setting, Path file) {

        @Override
        public String toString() {
            return setting + ": " + file;
        }
    }

    /** Uses files that belong together. Called at the start and then by the watch's thread, never twice at a time. */
    @FunctionalInterface
    public interface Use {

        /**
         * Takes what the files hold.
         *
         * @param texts one for each file, in the order they were named
         * @throws ConfigurationException where this cannot be used; nothing must have changed then
         */
        void accept(List<String> texts) throws ConfigurationException;
    }

    private static final Logger LOG = LoggerFactory.getLogger(FileWatch.class);
    private static final int INTERVAL_MILLIS = 500;

    private final ScheduledExecutorService executor = Executors.newSingleThreadScheduledExecutor(task -> {
        Thread thread = new Thread(task, "file-watch");
        thread.setDaemon(true);
        return thread;
    });

    /**
     * Uses the files as they are now, and from then on whenever they have changed. A later version that cannot be used is
     * logged as one warning, and the previous version stays in use.
     *
     * @throws ConfigurationException where a file cannot be read, or is refused by who uses it; the files are not watched then
     */
    public void use(List<Source> files, Use use) throws ConfigurationException {
        Contents contents = Contents.of(files);
        contents.handTo(use);
        Watched watched = new Watched(files, use, contents);
        var unused =
                executor.scheduleWithFixedDelay(watched::look, INTERVAL_MILLIS, INTERVAL_MILLIS, TimeUnit.MILLISECONDS);
    }

    @Override
    public void close() {
        executor.shutdownNow();
    }

    /**
     * What the files held when they were read.
     *
     * @param texts one for each file; bytes that are no UTF-8 are replaced
     * @param unreadable why a file could not be read, or null
     */
    private record Contents(List<String> texts, String unreadable) {

        static Contents of(List<Source> files) {
            List<String> texts = new ArrayList<>();
            for (Source source : files) {
                try {
                    texts.add(new String(Files.readAllBytes(source.file()), StandardCharsets.UTF_8));
                } catch (NoSuchFileException e) {
                    return new Contents(List.of(), source + " does not exist");
                } catch (IOException e) {
                    return new Contents(List.of(), source + " cannot be read: " + e);
                }
            }
            return new Contents(texts, null);
        }

        void handTo(Use use) throws ConfigurationException {
            if (unreadable != null) {
                throw new ConfigurationException(unreadable);
            }
            use.accept(texts);
        }
    }

    /** Files in use. For one thread. */
    private static final class Watched {

        private final List<Source> files;
        private final Use use;
        private Contents latest;
        private Contents decided;

        Watched(List<Source> files, Use use, Contents inUse) {
            this.files = files;
            this.use = use;
            latest = inUse;
            decided = inUse;
        }

        void look() {
            Contents before = latest;
            latest = Contents.of(files);
            if (!latest.equals(before) || latest.equals(decided)) {
                return;
            }
            decided = latest;
            try {
                latest.handTo(use);
            } catch (ConfigurationException e) {
                LOG.warn("The change is rejected, the previous version stays in use: {}", e.getMessage());
            } catch (RuntimeException e) {
                // An exception that got out would end the watch.
                LOG.error("The change of {} failed, the previous version stays in use", files, e);
            }
        }
    }
}
