package io.github.eventdedup.config;

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
import java.util.Collection;
import java.util.Iterator;
import java.util.List;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * Reads configuration files in YAML, and rejects text that would be read differently than its author meant: keys given
 * twice, aliases, a second document. Thread-safe.
 */
public final class StrictYaml {

    private static final YAMLFactory YAML = YAMLFactory.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .build();

    private StrictYaml() {}

    /**
     * Reads a file.
     *
     * @param text the content of the file
     * @param errors receives what is wrong with the YAML, an element each with its line; nothing is thrown
     * @param content reads the document, which is null where there is none; not called where the text is not YAML
     * @return the result of that, or null where it was not called
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

    /**
     * Whether the node is a mapping. Adds an error where it is not, and one for each key that is not known.
     *
     * @param where the node's name in messages
     * @param prefix precedes the name of a key that is not known
     */
    public static boolean isMapping(
            String where, String prefix, JsonNode node, Collection<String> known, List<String> errors) {
        if (node == null || !node.isObject()) {
            errors.add(where + (node == null ? ": missing; " : ": ") + "must be a mapping with the "
                    + (known.size() == 1 ? "key " : "keys ") + String.join(", ", new TreeSet<>(known)));
            return false;
        }
        unknownKeys(prefix, node, known, errors);
        return true;
    }

    /** Adds an error for each key of a mapping that is not known. */
    public static void unknownKeys(String prefix, JsonNode mapping, Collection<String> known, List<String> errors) {
        for (Iterator<String> names = mapping.fieldNames(); names.hasNext(); ) {
            String name = names.next();
            if (!known.contains(name)) {
                errors.add(prefix + name + ": unknown key; known here: " + String.join(", ", new TreeSet<>(known)));
            }
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
