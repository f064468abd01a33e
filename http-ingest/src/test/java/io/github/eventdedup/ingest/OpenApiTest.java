package io.github.eventdedup.ingest;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.eventdedup.ingest.testing.OpenApiDocument;
import io.github.eventdedup.ingest.testing.OpenApiDocument.Example;
import io.github.eventdedup.ingest.testing.OpenApiDocument.Operation;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** The OpenAPI document by itself. */
class OpenApiTest {

    private final OpenApiDocument document;

    OpenApiTest() throws Exception {
        document = OpenApiDocument.fromResource();
    }

    @Test
    void isOpenApi31() throws Exception {
        assertThat(document.errors()).isEmpty();
    }

    @Test
    void theCheckFindsWhatIsWrong() throws Exception {
        OpenApiDocument broken = new OpenApiDocument(document.root.deepCopy());
        Operation operation = broken.operation("GET", "/health/live");
        ((ObjectNode) operation.node()).put("operationIdentifier", "live");
        assertThat(broken.errors()).isNotEmpty();

        broken = new OpenApiDocument(document.root.deepCopy());
        ((ObjectNode) broken.root.at("/components/schemas/Problem")).put("type", "thing");
        assertThat(broken.errors()).isNotEmpty();
    }

    @Test
    void referencesLeadSomewhereAndAllPartsAreUsed() {
        Set<String> unused = new HashSet<>();
        document.root.path("components").properties().forEach(kind -> {
            if (!kind.getKey().equals("securitySchemes")) {
                kind.getValue()
                        .fieldNames()
                        .forEachRemaining(name -> unused.add("#/components/" + kind.getKey() + "/" + name));
            }
        });
        for (String reference : document.root.findValuesAsText("$ref")) {
            assertThat(document.root.at(reference.substring(1)).isMissingNode())
                    .as(reference)
                    .isFalse();
            unused.remove(reference);
        }
        assertThat(unused).isEmpty();
    }

    @Test
    void parametersStandWithTheirOperations() {
        // Swagger UI does not follow the references of those that stand with a path.
        assertThat(document.root.path("paths")).noneMatch(path -> path.has("parameters"));
    }

    @Test
    void examplesFitTheirSchemas() {
        List<Example> responses = document.responseExamples();
        assertThat(responses).isNotEmpty().allSatisfy(this::fits);
        List<Example> accepted = document.requestExamples().stream()
                .filter(example -> example.answer() == 202)
                .toList();
        assertThat(accepted).isNotEmpty().allSatisfy(this::fits);
    }

    private void fits(Example example) {
        assertThat(document.errors(example.schema(), example.node().path("value")))
                .as(example.toString())
                .isEmpty();
    }

    @Test
    void schemasRefuseWhatIsNotAnAnswer() {
        JsonNode result = document.root.at("/components/schemas/RejectedResult");
        ObjectNode rejected =
                JsonNodeFactory.instance.objectNode().put("index", 1).put("status", "rejected");
        assertThat(document.errors(result, rejected)).hasSize(1);
        assertThat(document.errors(result, rejected.put("error", "why"))).isEmpty();
        assertThat(document.errors(result, rejected.put("retry", false))).hasSize(1);
    }
}
