package io.github.eventdedup.job;

import java.util.List;

/** Something that keeps the job from being submitted; the message has every reason, one a line. */
final class InvalidSettingsException extends Exception {

    private static final long serialVersionUID = 1L;

    InvalidSettingsException(List<String> errors) {
        super(String.join(System.lineSeparator(), errors), null, false, false);
    }
}
