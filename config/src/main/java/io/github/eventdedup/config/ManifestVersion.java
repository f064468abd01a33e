package io.github.eventdedup.config;

import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** The version of a command for {@code --version}: that of the jar its class is in. */
public final class ManifestVersion implements IVersionProvider {

    @Spec
    private CommandSpec spec;

    @Override
    public String[] getVersion() {
        String version = spec.root().userObject().getClass().getPackage().getImplementationVersion();
        return new String[] {spec.root().name() + " " + (version == null ? "(not built as a jar)" : version)};
    }
}
