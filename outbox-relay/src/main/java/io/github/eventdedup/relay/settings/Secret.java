package io.github.eventdedup.relay.settings;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A secret, or the file that holds it. A file is read at each use, so that a changed secret needs no restart.
 *
 * @param value the secret itself, or null
 * @param file the file that holds it, or null
 */
public record Secret(String value, Path file) {

    /** The secret; blanks and line ends around what a file holds are not part of it. */
    public String read() throws IOException {
        return value != null ? value : Files.readString(file).strip();
    }

    /** Without the secret: settings are logged. */
    @Override
    public String toString() {
        return value != null ? "***" : "in " + file;
    }
}
