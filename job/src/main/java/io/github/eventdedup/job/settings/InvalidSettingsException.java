package io.github.eventdedup.job.settings;

import java.util.List;

/** Something that keeps the job from being submitted; the message has every reason, one a line. */
public final class InvalidSettingsException extends Exception {

    private static final long serialVersionUID = 1L;

    public InvalidSettingsException(List<String> errors) {
        super(String.join(System.lineSeparator(), errors), null, false, false);
    }
}
