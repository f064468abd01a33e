package io.github.eventdedup.ingest.testing;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import com.networknt.schema.Error;
import com.networknt.schema.SchemaLocation;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import com.networknt.schema.dialect.DialectId;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/** The OpenAPI document, and what tests ask of it. */
public final class OpenApiDocument {

    private static final Set<String> METHODS =
            Set.of("get", "put", "post", "delete", "options", "head", "patch", "trace");

    private static final SchemaRegistry SCHEMAS = SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12);

    public final JsonNode root;

    public OpenApiDocument(JsonNode root) {
        this.root = root;
    }

    public static OpenApiDocument fromResource() throws IOException {
        try (InputStream yaml = OpenApiDocument.class.getResourceAsStream("/openapi.yaml")) {
            return new OpenApiDocument(new YAMLMapper().readTree(yaml));
        }
    }

    public static OpenApiDocument of(String json) throws JsonProcessingException {
        return new OpenApiDocument(new JsonMapper().readTree(json));
    }

    /** What the document can be asked to do. */
    public record Operation(String method, String path, JsonNode node, List<JsonNode> parameters) {

        @Override
        public String toString() {
            return method + " " + path;
        }
    }

    /** One body that the document gives as an example. */
    public record Example(Operation operation, String contentType, String name, JsonNode schema, JsonNode node) {

        public int answer() {
            return node.path("x-answer").intValue();
        }

        public String body() {
            JsonNode value = node.path("value");
            return contentType.equals("application/json") ? value.toString() : value.textValue();
        }

        @Override
        public String toString() {
            return operation + " " + contentType + " " + name;
        }
    }

    public List<Operation> operations() {
        List<Operation> operations = new ArrayList<>();
        for (Map.Entry<String, JsonNode> path : root.path("paths").properties()) {
            for (Map.Entry<String, JsonNode> method : path.getValue().properties()) {
                if (METHODS.contains(method.getKey())) {
                    List<JsonNode> parameters = new ArrayList<>();
                    method.getValue().path("parameters").forEach(parameter -> parameters.add(resolve(parameter)));
                    operations.add(new Operation(
                            method.getKey().toUpperCase(Locale.ROOT), path.getKey(), method.getValue(), parameters));
                }
            }
        }
        return operations;
    }

    public Operation operation(String method, String path) {
        return operations().stream()
                .filter(operation ->
                        operation.method().equals(method) && operation.path().equals(path))
                .findFirst()
                .orElseThrow();
    }

    public List<Example> requestExamples() {
        List<Example> examples = new ArrayList<>();
        for (Operation operation : operations()) {
            addExamples(
                    examples, operation, operation.node().path("requestBody").path("content"));
        }
        return examples;
    }

    public List<Example> responseExamples() {
        List<Example> examples = new ArrayList<>();
        for (Operation operation : operations()) {
            for (JsonNode response : operation.node().path("responses")) {
                addExamples(examples, operation, resolve(response).path("content"));
            }
        }
        return examples;
    }

    private static void addExamples(List<Example> examples, Operation operation, JsonNode contents) {
        for (Map.Entry<String, JsonNode> content : contents.properties()) {
            JsonNode schema = content.getValue().path("schema");
            for (Map.Entry<String, JsonNode> example :
                    content.getValue().path("examples").properties()) {
                examples.add(new Example(operation, content.getKey(), example.getKey(), schema, example.getValue()));
            }
        }
    }

    /** The responses of an operation, by status. */
    public JsonNode response(Operation operation, int status) {
        return resolve(operation.node().path("responses").path(Integer.toString(status)));
    }

    /** What is at the end of a reference, or the node itself where it is none; missing where it leads nowhere. */
    public JsonNode resolve(JsonNode node) {
        return node.has("$ref") ? root.at(node.path("$ref").textValue().substring(1)) : node;
    }

    /** What the value has that its schema does not allow. */
    public List<Error> errors(JsonNode schema, JsonNode value) {
        ObjectNode withComponents = new JsonMapper().createObjectNode();
        withComponents.set("components", root.path("components"));
        withComponents.putArray("allOf").add(schema);
        return SCHEMAS.getSchema(withComponents).validate(value);
    }

    /** What OpenAPI 3.1, and for the schemas JSON Schema 2020-12, do not allow. */
    public List<Error> errors() throws IOException {
        List<Error> errors = new ArrayList<>();
        try (InputStream schema = OpenApiDocument.class.getResourceAsStream("/openapi-3.1-schema.json")) {
            errors.addAll(SCHEMAS.getSchema(new JsonMapper().readTree(schema)).validate(root));
        }
        for (JsonNode schema : root.findValues("schema")) {
            errors.addAll(schemaErrors(schema));
        }
        for (JsonNode schema : root.path("components").path("schemas")) {
            errors.addAll(schemaErrors(schema));
        }
        return errors;
    }

    private static List<Error> schemaErrors(JsonNode schema) {
        return SCHEMAS.getSchema(SchemaLocation.of(DialectId.DRAFT_2020_12)).validate(schema);
    }
}
