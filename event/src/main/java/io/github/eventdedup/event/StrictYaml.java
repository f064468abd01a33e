package io.github.eventdedup.event;

import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonParseException;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import com.fasterxml.jackson.dataformat.yaml.YAMLParser;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * Reads configuration files in YAML, and refuses what would be read as something else than whoever wrote it meant: keys
 * given twice, aliases, a second document. Thread-safe.
 */
public final class StrictYaml {

    private static final YAMLFactory YAML = YAMLFactory.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .build();

    private StrictYaml() {}

    /**
     * Reads a file.
     *
     * @param text what the file holds
     * @param errors takes what is wrong with the YAML, an element each with its line; nothing is thrown
     * @param content makes something of the document, which is null where there is none; not called where the text is
     *     no YAML
     * @return what that made, or null where it was not called
     */
    public static <T> T read(String text, List<String> errors, Function<JsonNode, T> content) {
        try {
            refuseAliases(text, errors);
            return content.apply(root(text));
        } catch (JsonProcessingException e) {
            errors.add("the file: " + problem(e) + atLine(e.getLocation()));
            return null;
        } catch (IOException e) {
            throw new UncheckedIOException("reading from a string does no I/O", e);
        }
    }

    private static JsonNode root(String text) throws IOException {
        try (JsonParser parser = YAML.createParser(text)) {
            JsonNode root = new ObjectMapper().readTree(parser);
            if (parser.nextToken() != null) {
                throw new JsonParseException(parser, "holds more than one YAML document");
            }
            return root;
        }
    }

    /** Jackson reads the alias *x as the text "x": left alone, it would name a table after an anchor. */
    private static void refuseAliases(String text, List<String> errors) throws IOException {
        try (YAMLParser parser = YAML.createParser(text)) {
            while (parser.nextToken() != null) {
                if (parser.isCurrentAlias()) {
                    errors.add("*" + parser.getText() + ": is an alias; write out what it stands for"
                            + atLine(parser.currentTokenLocation()));
                }
            }
        }
    }

    /** What is wrong with the YAML, on one line: without the excerpts that the parser adds, which are indented. */
    private static String problem(JsonProcessingException e) {
        return e.getOriginalMessage()
                .lines()
                .filter(line -> !line.startsWith(" "))
                .collect(Collectors.joining(": "));
    }

    private static String atLine(JsonLocation location) {
        return location == null ? "" : " (line " + location.getLineNr() + ")";
    }
}
