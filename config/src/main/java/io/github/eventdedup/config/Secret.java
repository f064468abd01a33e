package io.github.eventdedup.config;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A secret, or the file that holds it. A file is read at each use, so that a changed secret needs no restart.
 *
 * @param value the secret itself, or null
 * @param file the file that holds it, or null
 */
public record Secret(String value, Path file) {

    /** The name of the variable that names a file with the secret, for the variable that holds the secret itself. */
    public static String fileVariable(String variable) {
        return variable + "_FILE";
    }

    /**
     * Reads a secret from the environment of this process, for code that runs far from where the settings were read.
     *
     * @throws IllegalStateException where neither the variable nor that of the file is set
     * @throws UncheckedIOException where the file cannot be read
     */
    public static String ofThisProcess(String variable) {
        String value = System.getenv(variable);
        String file = System.getenv(fileVariable(variable));
        if (value == null && file == null) {
            throw new IllegalStateException("set " + variable + ", or " + fileVariable(variable)
                    + " to the path of a file that holds it, in the environment of this process");
        }
        try {
            return new Secret(value, value == null ? Path.of(file) : null).read();
        } catch (IOException e) {
            throw new UncheckedIOException(fileVariable(variable) + ": cannot read " + file, e);
        }
    }

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
