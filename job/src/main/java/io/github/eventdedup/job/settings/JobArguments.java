package io.github.eventdedup.job.settings;

import io.github.eventdedup.config.ManifestVersion;
import io.github.eventdedup.job.settings.JobSettings.Consent;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.Set;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** The job's command line. */
@Command(
        name = "deduplication-job",
        mixinStandardHelpOptions = true,
        versionProvider = ManifestVersion.class,
        description = "Submits the job that stores every event of a stream once.")
public final class JobArguments {

    @Option(names = "--stream", paramLabel = "FILE", required = true, description = "the stream definition")
    Path stream;

    @Option(
            names = "--resume",
            description = "continue from the newest savepoint or checkpoint; start without state where there is none")
    boolean resume;

    @Option(names = "--fresh", description = "start without the state of before")
    boolean fresh;

    @Option(
            names = "--from-older",
            description = "restore state that is not the newest of its stream; rows are stored twice")
    boolean fromOlder;

    @Option(names = "--new-topic", description = "the topic was created again: read it from the beginning")
    boolean newTopic;

    @Option(names = "--new-table", description = "the table is another one, and has all rows of the one before")
    boolean newTable;

    Set<Consent> consents() {
        Set<Consent> consents = EnumSet.noneOf(Consent.class);
        if (fromOlder) {
            consents.add(Consent.FROM_OLDER);
        }
        if (newTopic) {
            consents.add(Consent.NEW_TOPIC);
        }
        if (newTable) {
            consents.add(Consent.NEW_TABLE);
        }
        return consents;
    }
}
