package io.github.eventdedup.deploy;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * One Kubernetes resource as it is written down.
 *
 * @param source the file it is from
 */
record Manifest(String source, JsonNode content) {

    static final ObjectMapper YAML = YAMLMapper.builder()
            .enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION)
            .build();

    /** All resources of a file. */
    static List<Manifest> read(Path file) {
        try {
            return parse(file.getFileName().toString(), Files.readString(file));
        } catch (IOException e) {
            throw new UncheckedIOException(file.toString(), e);
        }
    }

    static List<Manifest> parse(String source, String yaml) throws IOException {
        List<Manifest> manifests = new ArrayList<>();
        try (JsonParser parser = YAML.createParser(yaml)) {
            YAML.<JsonNode>readValues(parser, JsonNode.class)
                    .forEachRemaining(content -> manifests.add(new Manifest(source, content)));
        }
        return manifests;
    }

    String kind() {
        return content.path("kind").asText();
    }

    String name() {
        return content.at("/metadata/name").asText();
    }

    /** The pods that come of it, their labels and their spec. */
    Optional<JsonNode> podTemplate() {
        return List.of("/spec/template", "/spec/podTemplate").stream()
                .map(content::at)
                .filter(template -> !template.isMissingNode())
                .findFirst();
    }

    /** The labels by which a selector finds its pods. */
    JsonNode podLabels() {
        return podTemplate().orElseThrow().at("/metadata/labels");
    }

    List<JsonNode> containers() {
        List<JsonNode> containers = new ArrayList<>();
        podTemplate().map(template -> template.path("spec")).ifPresent(spec -> {
            spec.path("initContainers").forEach(containers::add);
            spec.path("containers").forEach(containers::add);
        });
        return containers;
    }

    @Override
    public String toString() {
        return source + ": " + kind() + " " + name();
    }
}
