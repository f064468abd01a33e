package io.github.eventdedup.deploy;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What CONTRIBUTING asks of the pages that people read. */
class DocumentationTest {

    private static final Path PROJECT = Path.of("..").toAbsolutePath().normalize();
    private static final int MAX_CHARACTERS = 100;

    /** Of a link to a file of the project, with or without a place in it. */
    private static final Pattern LINK = Pattern.compile("]\\((?!https?://|#)([^)#\\s]+)(?:#[^)]*)?\\)");

    private static List<Path> pages() throws IOException {
        List<Path> pages = new ArrayList<>();
        try (Stream<Path> here =
                        Files.walk(PROJECT, 2).filter(file -> !file.toString().contains("/target/"));
                Stream<Path> docs = Files.walk(PROJECT.resolve("docs"));
                Stream<Path> deploy = Files.walk(PROJECT.resolve("deploy/kubernetes"))) {
            Stream.of(here, docs, deploy)
                    .flatMap(files -> files)
                    .filter(file -> file.toString().endsWith(".md"))
                    // Written by ./dedup prove.
                    .filter(file -> !file.endsWith("docs/proof/report.md"))
                    .map(PROJECT::relativize)
                    .distinct()
                    .sorted()
                    .forEach(pages::add);
        }
        return pages;
    }

    /** Tables, code and what cannot be broken excepted. */
    @ParameterizedTest
    @MethodSource("pages")
    void linesAreWrapped(Path page) throws IOException {
        List<String> tooLong = new ArrayList<>();
        boolean code = false;
        for (String line : Files.readAllLines(PROJECT.resolve(page))) {
            if (line.strip().startsWith("```")) {
                code = !code;
            } else if (!code && !line.matches("(\\||    |\\[!\\[).*")) {
                String broken = line.strip().replaceAll("`[^`]*`", "`").replaceAll("\\(\\S*\\)", "()");
                if (line.codePointCount(0, line.length()) > MAX_CHARACTERS && broken.contains(" ")) {
                    tooLong.add(line);
                }
            }
        }
        assertThat(tooLong).isEmpty();
    }

    @ParameterizedTest
    @MethodSource("pages")
    void linksLeadSomewhere(Path page) throws IOException {
        Path file = PROJECT.resolve(page);
        Matcher link = LINK.matcher(Files.readString(file).replaceAll("(?s)```.*?```", ""));
        while (link.find()) {
            assertThat(file.resolveSibling(link.group(1)).normalize())
                    .as(link.group())
                    .exists();
        }
    }
}
