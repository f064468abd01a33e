package io.github.eventdedup.config;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine;
import picocli.CommandLine.MissingParameterException;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

/**
 * The command lines of processes that report a wrong argument together with the errors of their other settings, where
 * picocli by itself would stop at the first. Their options are the annotated fields of an object.
 */
public final class Arguments {

    private Arguments() {}

    /**
     * Sets the fields from the arguments.
     *
     * @return what is wrong with the arguments, such as {@code Unknown option: '--x'}; empty where nothing is
     */
    public static Optional<String> parse(Object options, List<String> arguments) {
        CommandLine line = line(options);
        try {
            line.parseArgs(arguments.toArray(String[]::new));
            return Optional.empty();
        } catch (MissingParameterException e) {
            // A misspelt option is missing and unknown: the second says more.
            List<String> unknown = line.getUnmatchedArguments();
            return Optional.of(
                    unknown.isEmpty() ? e.getMessage() : new UnmatchedArgumentException(line, unknown).getMessage());
        } catch (ParameterException e) {
            return Optional.of(e.getMessage());
        }
    }

    /**
     * The text that {@code --help} or {@code --version} asks for; empty where neither is among the arguments.
     *
     * @param options an object of its own: its fields are set
     * @param variables the names of the environment variables that the process reads
     */
    public static Optional<String> help(Object options, List<String> arguments, Collection<String> variables) {
        CommandLine line = line(options);
        List<String> footer = new ArrayList<>(List.of("", "Environment variables (docs/configuration.md):"));
        variables.stream().sorted().forEach(name -> footer.add("  " + name));
        line.getCommandSpec().usageMessage().footer(footer.toArray(String[]::new));
        StringWriter text = new StringWriter();
        try {
            line.parseArgs(arguments.toArray(String[]::new));
        } catch (ParameterException e) {
            return Optional.empty();
        }
        if (line.isUsageHelpRequested()) {
            line.usage(new PrintWriter(text, true));
        } else if (line.isVersionHelpRequested()) {
            line.printVersionHelp(new PrintWriter(text, true));
        } else {
            return Optional.empty();
        }
        return Optional.of(text.toString());
    }

    private static CommandLine line(Object options) {
        // Not from files: the name of one may begin with @.
        return new CommandLine(options).setExpandAtFiles(false);
    }
}
