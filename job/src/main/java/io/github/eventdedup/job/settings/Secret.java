package io.github.eventdedup.job.settings;

import java.io.IOException;
import java.io.Serializable;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A secret known by the name of its environment variable. The value is read where it is used and kept nowhere.
 *
 * @param variable holds the secret itself; with {@code _FILE} appended, the path of a file that holds it
 */
public record Secret(String variable) implements Serializable {

    private static final long serialVersionUID = 1L;

    /** The name of the variable that names a file. */
    String fileVariable() {
        return variable + "_FILE";
    }

    /**
     * The secret.
     *
     * @throws IllegalStateException where neither variable is set
     * @throws UncheckedIOException where the file cannot be read
     */
    public String read() {
        String value = System.getenv(variable);
        if (value != null) {
            return value;
        }
        String file = System.getenv(fileVariable());
        if (file == null) {
            throw new IllegalStateException("set " + variable + ", or " + fileVariable()
                    + " to the path of a file that holds it, in the environment of this process");
        }
        try {
            return Files.readString(Path.of(file)).strip();
        } catch (IOException e) {
            throw new UncheckedIOException(fileVariable() + ": cannot read " + file, e);
        }
    }
}
