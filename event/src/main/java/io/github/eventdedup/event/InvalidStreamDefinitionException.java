package io.github.eventdedup.event;

import io.github.eventdedup.config.ConfigurationException;
import java.nio.file.Path;
import java.util.List;

/** A stream definition that cannot be used. The message names the file and every error in it, one a line. */
public final class InvalidStreamDefinitionException extends ConfigurationException {

    private static final long serialVersionUID = 1L;

    private final List<String> errors;

    InvalidStreamDefinitionException(Path file, List<String> errors) {
        super(file + " is not a valid stream definition:\n  " + String.join("\n  ", errors));
        this.errors = List.copyOf(errors);
    }

    /** What is wrong in a folder of definitions: whole messages. */
    InvalidStreamDefinitionException(List<String> messages) {
        super(messages);
        this.errors = List.copyOf(messages);
    }

    /** Every error, each starting with the key it is about. */
    public List<String> errors() {
        return errors;
    }
}
