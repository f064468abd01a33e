package io.github.eventdedup.relay.settings;

import java.util.List;

/** The relay cannot start. The message is what the person who starts it reads: what is wrong and what to do. */
public final class StartupException extends Exception {

    private static final long serialVersionUID = 1L;

    /** With what is wrong and what to do. */
    public StartupException(String message) {
        super(message, null, false, false);
    }

    /** With every finding: on one line where there is one, otherwise each on its own. */
    public static StartupException of(String subject, List<String> findings) {
        return new StartupException(
                findings.size() == 1 ? findings.get(0) : subject + ":\n  " + String.join("\n  ", findings));
    }
}
