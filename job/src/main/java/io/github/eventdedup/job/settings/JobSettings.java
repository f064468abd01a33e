package io.github.eventdedup.job.settings;

import io.github.eventdedup.config.Arguments;
import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.event.InvalidStreamDefinitionException;
import io.github.eventdedup.event.StreamDefinition;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * What the job is told from outside: the stream on its command line, the endpoints in its environment. Flink's own
 * settings are not here, but in {@code flink-conf/config.yaml}.
 *
 * @param streamFile the stream definition
 * @param start what to do about the state of before
 * @param consents what is agreed to that would otherwise be refused
 * @param endpoints the systems around it
 */
public record JobSettings(Path streamFile, Start start, Set<Consent> consents, Endpoints endpoints) {

    /** What to do about the state of before, where no savepoint or checkpoint to restore is named. */
    public enum Start {
        /** Start where there is none, otherwise refuse. */
        ONLY_WITHOUT_STATE,
        /** Continue from the newest; start without where there is none. */
        RESUME,
        /** Start without it. */
        FRESH
    }

    /** What an operator agrees to about the state that is restored. Without it the job refuses. */
    public enum Consent {
        /** State that is not the newest of its stream, although rows will be stored twice. */
        FROM_OLDER("--from-older"),
        /** Offsets that are not those of the topic: its records are read from the beginning. */
        NEW_TOPIC("--new-topic"),
        /** Another table, which has all rows of the one before. */
        NEW_TABLE("--new-table");

        private final String argument;

        Consent(String argument) {
            this.argument = argument;
        }

        /** As it is given on the command line. */
        String argument() {
            return argument;
        }
    }

    /**
     * Reads the settings.
     *
     * @throws ConfigurationException where they cannot be used, with every error at once
     */
    public static JobSettings of(List<String> arguments, Map<String, String> environment)
            throws ConfigurationException {
        List<String> errors = new ArrayList<>();
        JobArguments given = new JobArguments();
        Optional<String> problem = Arguments.parse(given, arguments);
        if (given.resume && given.fresh) {
            errors.add("arguments: --resume and --fresh exclude each other");
        }
        Start start = given.fresh ? Start.FRESH : given.resume ? Start.RESUME : Start.ONLY_WITHOUT_STATE;
        Set<Consent> consents = given.consents();
        if (given.fresh) {
            consents.forEach(consent -> errors.add("arguments: --fresh starts without state, and " + consent.argument()
                    + " is about the state that is restored: leave one out"));
        }
        problem.ifPresent(what -> errors.add(
                "arguments: give --stream FILE, as in --stream streams/view-events.yaml, and after it at most one of"
                        + " --resume and --fresh, and any of --from-older, --new-topic and --new-table (" + what
                        + ")"));
        Endpoints endpoints = Endpoints.of(environment, errors);
        if (!errors.isEmpty()) {
            throw new ConfigurationException(errors);
        }
        return new JobSettings(given.stream, start, consents, endpoints);
    }

    /**
     * Reads the stream definition.
     *
     * @throws ConfigurationException where the file cannot be read
     * @throws InvalidStreamDefinitionException where it is not a stream definition
     */
    public StreamDefinition readStream() throws ConfigurationException, InvalidStreamDefinitionException {
        try {
            return StreamDefinition.read(streamFile);
        } catch (IOException e) {
            throw new ConfigurationException(List.of(
                    "--stream: cannot read " + streamFile + ", give the path of a stream definition (" + e + ")"));
        }
    }
}
