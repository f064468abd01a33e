package io.github.eventdedup.deploy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;

/** The schema of a custom resource. As the API server applies it, except that fields it does not know are errors. */
final class Schema {

    private final JsonNode root;

    private Schema(JsonNode root) {
        this.root = root;
    }

    /** That of the {@code FlinkDeployment} which the operator's API brings. */
    static Schema ofFlinkDeployment() throws IOException {
        String definition = "/META-INF/fabric8/flinkdeployments.flink.apache.org-v1.yml";
        try (InputStream in = Schema.class.getResourceAsStream(definition)) {
            JsonNode version = Manifest.YAML.readTree(in).at("/spec/versions/0");
            if (!version.path("name").asText().equals("v1beta1")) {
                throw new IllegalStateException("the definition is of version " + version.path("name"));
            }
            return new Schema(version.at("/schema/openAPIV3Schema"));
        }
    }

    /** Allows more values of a field than are listed. */
    Schema allowing(String pointerToField, List<String> values) {
        ArrayNode listed = (ArrayNode) root.at(pointerToField).path("enum");
        values.forEach(listed::add);
        return this;
    }

    /** What is wrong, with the path of each. */
    List<String> errors(JsonNode resource) {
        List<String> errors = new ArrayList<>();
        for (var field : resource.properties()) {
            // Of every resource; not part of the schema.
            if (!List.of("apiVersion", "kind", "metadata").contains(field.getKey())) {
                check(field.getValue(), root.path("properties").path(field.getKey()), field.getKey(), errors);
            }
        }
        return errors;
    }

    private static void check(JsonNode value, JsonNode schema, String path, List<String> errors) {
        if (schema.isMissingNode()) {
            errors.add(path + " is not known");
            return;
        }
        if (schema.path("x-kubernetes-preserve-unknown-fields").asBoolean()) {
            return;
        }
        if (schema.path("x-kubernetes-int-or-string").asBoolean()) {
            if (!value.isIntegralNumber() && !value.isTextual()) {
                errors.add(path + " must be an integer or a string");
            }
            return;
        }
        String type = schema.path("type").asText();
        if (!hasType(value, type)) {
            errors.add(path + " must be of type " + type + ", is " + value);
            return;
        }
        if (schema.has("enum") && !contains(schema.path("enum"), value)) {
            errors.add(path + " is " + value + ", must be one of " + schema.path("enum"));
        }
        if (value.isArray()) {
            for (int i = 0; i < value.size(); i++) {
                check(value.get(i), schema.path("items"), path + "[" + i + "]", errors);
            }
        } else if (value.isObject()) {
            for (JsonNode required : schema.path("required")) {
                if (!value.has(required.asText())) {
                    errors.add(path + "." + required.asText() + " is missing");
                }
            }
            for (var field : value.properties()) {
                JsonNode known = schema.path("properties").path(field.getKey());
                JsonNode schemaOfField = known.isMissingNode() ? schema.path("additionalProperties") : known;
                check(field.getValue(), schemaOfField, path + "." + field.getKey(), errors);
            }
        }
    }

    private static boolean hasType(JsonNode value, String type) {
        return switch (type) {
            case "object" -> value.isObject();
            case "array" -> value.isArray();
            case "string" -> value.isTextual();
            case "integer" -> value.isIntegralNumber();
            case "number" -> value.isNumber();
            case "boolean" -> value.isBoolean();
            default -> throw new IllegalArgumentException("a schema of type '" + type + "'");
        };
    }

    private static boolean contains(JsonNode values, JsonNode value) {
        for (JsonNode allowed : values) {
            if (allowed.equals(value)) {
                return true;
            }
        }
        return false;
    }
}
