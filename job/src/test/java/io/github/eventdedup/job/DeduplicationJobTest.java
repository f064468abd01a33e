package io.github.eventdedup.job;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.eventdedup.job.pipeline.StateIdentity;
import io.github.eventdedup.job.settings.Endpoints;
import io.github.eventdedup.job.settings.PostgresLogin;
import io.github.eventdedup.job.testing.Fixtures;
import java.util.List;
import java.util.Map;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.graph.StreamNode;
import org.junit.jupiter.api.Test;

class DeduplicationJobTest {

    @Test
    void everyOperatorHasAUidOfItsOwnSoThatASavepointFindsItAgain() throws Exception {
        StreamExecutionEnvironment environment = environment();
        assertThat(environment.getStreamGraph().getStreamNodes())
                .extracting(StreamNode::getTransformationUID)
                .doesNotContainNull()
                .doesNotHaveDuplicates();
    }

    @Test
    void theWebUiShowsTheWayOfAnEvent() throws Exception {
        assertThat(environment().getStreamGraph().getStreamNodes())
                .extracting(StreamNode::getOperatorName)
                .containsAll(List.of("identify", "deduplicate"));
    }

    /** With generic types refused: a type that would fall back to Kryo fails here. */
    private static StreamExecutionEnvironment environment() throws Exception {
        StreamExecutionEnvironment environment = StreamExecutionEnvironment.getExecutionEnvironment(
                Configuration.fromMap(Map.of("pipeline.generic-types", "false")));
        DeduplicationJob.build(
                environment,
                Fixtures.viewEvents(),
                StateIdentity.of(Fixtures.viewEvents()),
                new Endpoints("127.0.0.1:1", new PostgresLogin("jdbc:postgresql://127.0.0.1:1/x", "x"), null));
        return environment;
    }
}
