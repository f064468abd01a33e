package io.github.eventdedup.proof.prove;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import io.github.eventdedup.proof.prove.faults.Fault;
import io.github.eventdedup.proof.prove.faults.Fault.Kind;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.w3c.dom.Document;
import org.w3c.dom.Element;

class ProofReportTest {

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final RunDirectory.Result LOAD = result(0, "", MissingNode.getInstance());
    private static final String EXACT = """
            {"verdict":"exact","streams":[{"stream":"view-events","raw":9,"unique":7,"stored":7,"duplicates":2,
            "deadLetters":0,"missing":0,"extra":0,"different":0,"escapes":0,"acknowledged":9,"acknowledgedMissing":0,"refused":0,
            "broken":{},"offenders":[]}]}""";

    @TempDir
    private Path directory;

    private static Verdict verdict(String audit, int auditStatus) throws Exception {
        return Verdict.of(LOAD, result(auditStatus, "", JSON.readTree(audit)), List.of(), List.of(), List.of());
    }

    private static RunDirectory.Result result(int status, String lastLine, JsonNode json) {
        return new RunDirectory.Result(status, lastLine, json, "");
    }

    @Test
    void anExactAuditOfARunningSystemIsAProof() throws Exception {
        assertThat(verdict(EXACT, 0).isProved()).isTrue();
        assertThat(verdict(EXACT, 0).streams()).containsExactly(new Verdict.OfStream("view-events", 0, 0, 0));
    }

    @Test
    void everythingThatTheAuditFindsBreaksTheProof() throws Exception {
        for (String count : List.of("missing", "extra", "different", "escapes", "acknowledgedMissing", "refused")) {
            String broken =
                    EXACT.replace("\"" + count + "\":0", "\"" + count + "\":3").replace("exact", "broken");
            assertThat(verdict(broken, 1).problems())
                    .as(count)
                    .anySatisfy(problem ->
                            assertThat(problem).startsWith("view-events: 3 ").contains(count));
        }
        String odd = EXACT.replace("\"broken\":{}", "\"broken\":{\"conservation\":2,\"missing\":0}");
        assertThat(verdict(odd, 0).problems()).containsExactly("view-events: 2 conservation");
        assertThat(verdict(EXACT.replace("exact", "broken"), 0).isProved()).isFalse();
        assertThat(verdict(EXACT, 1).isProved()).isFalse();
    }

    @Test
    void lostIsWhatIsMissingAndWhatWasAcknowledgedForNothing() throws Exception {
        String broken = EXACT.replace("\"missing\":0", "\"missing\":3")
                .replace("\"acknowledgedMissing\":0", "\"acknowledgedMissing\":4")
                .replace("\"extra\":0", "\"extra\":5");
        assertThat(verdict(broken, 1).streams()).containsExactly(new Verdict.OfStream("view-events", 7, 5, 0));
    }

    @Test
    void withoutAnAuditNothingIsProved() {
        assertThat(Verdict.of(
                                LOAD,
                                result(1, "no such topic", MissingNode.getInstance()),
                                List.of(),
                                List.of(),
                                List.of())
                        .problems())
                .containsExactly("the audit counted nothing, see audit.log: no such topic");
    }

    @Test
    void aSystemThatIsNotUpAtTheEndBreaksTheProof() throws Exception {
        InjectedFault failed = new InjectedFault(kill(0, "kafka"), 0, 0, "it did not run", OptionalLong.empty());

        assertThat(Verdict.of(
                                result(3, "12 not acknowledged", MissingNode.getInstance()),
                                result(0, "", JSON.readTree(EXACT)),
                                List.of("kafka is down", "job view-events is RESTARTING"),
                                List.of(failed),
                                List.of("odd"))
                        .problems())
                .containsExactly(
                        "odd",
                        "the load ended with status 3, see load.log: 12 not acknowledged",
                        "kafka is down at the end",
                        "job view-events is RESTARTING at the end",
                        "could not be done: kill -9 kafka (it did not run)");
    }

    private static Fault kill(int second, String name) {
        return new Fault(second, Kind.KILL, List.of(name), List.of(), 0, "", 0, 0, false);
    }

    @Test
    void writesWhatPeopleAndProgramsRead() throws Exception {
        List<InjectedFault> faults = List.of(
                new InjectedFault(kill(20, "kafka"), 20_000, 20_100, "", OptionalLong.of(4_200)),
                new InjectedFault(
                        new Fault(40, Kind.PAUSE, List.of(), List.of("a<b>&\"c\""), 12, "", 0, 0, true),
                        40_000,
                        52_000,
                        "",
                        OptionalLong.empty()));
        ProofReport report = new ProofReport(
                verdict(EXACT, 0),
                new ProofReport.Run("./dedup prove --seed 7", 7, 0, 90),
                new ProofReport.Faults(faults, 1),
                new RunDirectory.Result(0, "", JSON.readTree("{\"acknowledged\":9}"), "acknowledged   9\n"),
                new RunDirectory.Result(0, "", JSON.readTree(EXACT), "view-events\n  = rows   7\nexact\n"),
                Map.of("inserted", 5L),
                new Machine(Map.of("cores", "2"), Map.of("Kafka", 1_500_000L)));
        List<Sample> samples = new ArrayList<>();
        for (int i = 0; i < 90; i++) {
            samples.add(new Sample(1000L * i, 300L * i, 240L * i, i == 45 ? 8_000 : 500));
        }
        report.write(directory, samples, samples);

        String markdown = Files.readString(directory.resolve("report.md"), StandardCharsets.UTF_8);
        assertThat(markdown)
                .startsWith("# PROVED\n")
                .contains(
                        "| view-events | 0 | 0 | 0 |",
                        "    ./dedup prove --seed 7\n",
                        "](plot.svg)",
                        "| 1 | 0:20 | kill -9 kafka | 0.1 s | 4.2 s |",
                        "| 12.0 s | not while the load ran |",
                        "\n    acknowledged   9\n",
                        "\n    view-events\n      = rows   7\n    exact\n",
                        "in user_logins: 5 inserted.",
                        "| Kafka | 1.5 |");

        JsonNode json = JSON.readTree(directory.resolve("report.json").toFile());
        assertThat(json.path("verdict").asText()).isEqualTo("proved");
        assertThat(json.path("seed").asLong()).isEqualTo(7);
        assertThat(json.path("faults")).hasSize(2);
        assertThat(json.at("/load/acknowledged").asLong()).isEqualTo(9);
        assertThat(json.at("/faults/0/recoverySeconds").asDouble()).isEqualTo(4.2);
        assertThat(json.at("/faults/1/recoverySeconds").isNull()).isTrue();

        Document svg = DocumentBuilderFactory.newInstance()
                .newDocumentBuilder()
                .parse(directory.resolve("plot.svg").toFile());
        assertThat(svg.getDocumentElement().getTagName()).isEqualTo("svg");
        assertThat(svg.getElementsByTagName("title").item(1).getTextContent()).isEqualTo("pause a<b>&\"c\" for 12 s");
        assertThat(svg.getElementsByTagName("polyline").getLength()).isEqualTo(4);
        for (int i = 0; i < 4; i++) {
            String points = ((Element) svg.getElementsByTagName("polyline").item(i)).getAttribute("points");
            assertThat(points.split(" ", -1)).hasSizeGreaterThan(80).allSatisfy(point -> {
                assertThat(Double.parseDouble(point.split(",", -1)[0])).isBetween(0.0, 900.0);
                assertThat(Double.parseDouble(point.split(",", -1)[1])).isBetween(0.0, 540.0);
            });
        }
    }

    /** The system may be broken from the begin. */
    @Test
    void thereIsAPictureOfNothing() throws Exception {
        Files.writeString(
                directory.resolve("plot.svg"), Plot.svg("", List.of(), List.of(), List.of()), StandardCharsets.UTF_8);

        assertThat(DocumentBuilderFactory.newInstance()
                        .newDocumentBuilder()
                        .parse(directory.resolve("plot.svg").toFile())
                        .getElementsByTagName("polyline")
                        .getLength())
                .isEqualTo(4);
    }
}
