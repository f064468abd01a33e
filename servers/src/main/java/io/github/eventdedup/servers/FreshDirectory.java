package io.github.eventdedup.servers;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;

/** Directories for what is worth nothing once its process has ended, and is left there when that was killed. */
public final class FreshDirectory {

    private FreshDirectory() {}

    /**
     * Creates the directory, after deleting one that is there with everything in it.
     *
     * @return the path given
     */
    public static Path create(Path path) throws IOException {
        delete(path);
        return Files.createDirectories(path);
    }

    /** Deletes a directory with everything in it; does nothing where there is none. */
    public static void delete(Path path) throws IOException {
        if (Files.exists(path)) {
            List<Path> files;
            try (var found = Files.walk(path)) {
                files = found.sorted(Comparator.reverseOrder()).toList();
            }
            for (Path file : files) {
                Files.delete(file);
            }
        }
    }
}
