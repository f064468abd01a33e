package io.github.eventdedup.config;

import java.util.List;

/** A process cannot work with what it was given. The message is for the operator: what is wrong, and what to do. */
public class ConfigurationException extends Exception {

    private static final long serialVersionUID = 1L;

    /** With one message, of one line or more. */
    public ConfigurationException(String message) {
        super(message, null, false, false);
    }

    /** With every error, one a line. */
    public ConfigurationException(List<String> errors) {
        this(String.join(System.lineSeparator(), errors));
    }

    /** With every error on a line of its own below the subject; a single error stands alone. */
    public ConfigurationException(String subject, List<String> errors) {
        this(errors.size() == 1 ? errors.get(0) : subject + ":\n  " + String.join("\n  ", errors));
    }
}
