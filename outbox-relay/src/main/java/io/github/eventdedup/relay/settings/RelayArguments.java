package io.github.eventdedup.relay.settings;

import io.github.eventdedup.config.ManifestVersion;
import java.nio.file.Path;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** The relay's command line. */
@Command(
        name = "outbox-relay",
        mixinStandardHelpOptions = true,
        versionProvider = ManifestVersion.class,
        description = "Sends the rows of a stream's outbox to Kafka, until SIGTERM.")
public final class RelayArguments {

    @Option(names = "--stream", paramLabel = "FILE", required = true, description = "the stream definition")
    Path stream;

    @Option(names = "--once", description = "send what there is, and end")
    boolean once;
}
