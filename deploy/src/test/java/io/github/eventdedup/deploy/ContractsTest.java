package io.github.eventdedup.deploy;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The names of {@code contracts.txt} are those of the sources. */
class ContractsTest {

    private static final Path PROJECT =
            Path.of(System.getProperty("basedir", "")).toAbsolutePath().getParent();

    private static final Pattern LITERAL = Pattern.compile("\"((?:[^\"\\\\\n]|\\\\.)*)\"");

    private final Map<String, Set<String>> contracts = contracts();
    private final Set<String> literals = literals();

    @Test
    void everyNameIsInTheSources() {
        contracts.forEach((kind, names) -> assertThat(names.stream().filter(name -> !isUsed(kind, name)))
                .as("contracts of kind '%s' that the sources no longer have", kind)
                .isEmpty());
    }

    /** The name of a column is a part of statements; every other name is a string of its own. */
    private boolean isUsed(String kind, String name) {
        return kind.equals("column")
                ? literals.stream()
                        .anyMatch(Pattern.compile("\\b" + Pattern.quote(name) + "\\b")
                                .asPredicate())
                : literals.contains(name);
    }

    @Test
    void everyEnvironmentVariableIsAContract() {
        Set<String> variables = literals.stream()
                .filter(Pattern.compile("DEDUP_[A-Z0-9_]+").asMatchPredicate())
                // A secret may also be the content of a file.
                .map(variable -> variable.replaceFirst("PASSWORD_FILE$", "PASSWORD"))
                .collect(Collectors.toSet());

        assertThat(variables).isSubsetOf(contracts.get("environment"));
    }

    private static Map<String, Set<String>> contracts() {
        Map<String, Set<String>> contracts = new TreeMap<>();
        for (String line : read(PROJECT.resolve("deploy/src/test/resources/contracts.txt"))
                .lines()
                .toList()) {
            if (!line.isBlank() && !line.startsWith("#")) {
                String[] parts = line.split(": ", 2);
                contracts.computeIfAbsent(parts[0], kind -> new TreeSet<>()).addAll(List.of(parts[1].split(" ")));
            }
        }
        return contracts;
    }

    private static Set<String> literals() {
        try (Stream<Path> modules = Files.list(PROJECT)) {
            return modules.map(module -> module.resolve("src/main/java"))
                    .filter(Files::isDirectory)
                    .flatMap(ContractsTest::files)
                    .flatMap(file -> LITERAL.matcher(read(file)).results())
                    .map((MatchResult result) -> result.group(1))
                    .collect(Collectors.toSet());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Stream<Path> files(Path directory) {
        try (Stream<Path> files = Files.walk(directory)) {
            return files.filter(file -> file.toString().endsWith(".java")).toList().stream();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String read(Path file) {
        try {
            return Files.readString(file, StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
