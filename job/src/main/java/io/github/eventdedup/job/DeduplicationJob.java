package io.github.eventdedup.job;

import io.github.eventdedup.config.Arguments;
import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.event.InvalidStreamDefinitionException;
import io.github.eventdedup.event.PostgresTable;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.kafka.RawTopic;
import io.github.eventdedup.job.kafka.SideTopics;
import io.github.eventdedup.job.launch.Attachment;
import io.github.eventdedup.job.launch.Preflight;
import io.github.eventdedup.job.launch.StartingPoint;
import io.github.eventdedup.job.launch.StreamSink;
import io.github.eventdedup.job.model.DeadLetter;
import io.github.eventdedup.job.model.IdentifiedEvent;
import io.github.eventdedup.job.model.ImmutableType;
import io.github.eventdedup.job.model.SourceRecord;
import io.github.eventdedup.job.pipeline.DeduplicateFunction;
import io.github.eventdedup.job.pipeline.IdentifyFunction;
import io.github.eventdedup.job.pipeline.StateIdentity;
import io.github.eventdedup.job.settings.Endpoints;
import io.github.eventdedup.job.settings.JobArguments;
import io.github.eventdedup.job.settings.JobSettings;
import io.github.eventdedup.job.settings.PostgresLogin;
import java.util.List;
import java.util.Optional;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/**
 * The job that stores every event of a stream once:
 *
 * <pre>
 *   raw topic → identify → (keyed by fingerprint) → deduplicate → store
 *                   ↘ dead letters                        ↘ duplicates
 * </pre>
 *
 * Submitted with {@code --stream FILE}, at most one of {@code --resume} and {@code --fresh}, and what {@link
 * JobSettings.Consent} lists ({@link StartingPoint}).
 * Where Kafka and the databases are comes from the environment ({@link Endpoints}).
 */
public final class DeduplicationJob {

    private DeduplicationJob() {}

    /**
     * Checks that everything the job needs is there, and submits it.
     *
     * @throws ConfigurationException where something is missing; the message says what to do, a line for each
     * @throws InvalidStreamDefinitionException where the stream's file is not a definition; the message has every error
     */
    public static void main(String[] arguments) throws Exception {
        Optional<String> help = Arguments.help(new JobArguments(), List.of(arguments), Endpoints.SETTINGS);
        if (help.isPresent()) {
            // Not with an exit of the JVM: it may be a JobManager's.
            System.out.print(help.get());
            return;
        }
        try {
            JobSettings settings = JobSettings.of(List.of(arguments), System.getenv());
            StreamDefinition stream = settings.readStream();
            StreamExecutionEnvironment environment = StreamExecutionEnvironment.getExecutionEnvironment();
            StartingPoint start =
                    StartingPoint.of(environment.getConfiguration(), StateIdentity.of(stream), settings.start());
            if (!start.isRecovery()) {
                // A recovered job has passed before; it waits for a dependency that is unavailable now.
                start.requireNewest(
                        environment.getConfiguration(), stream.table() instanceof PostgresTable, settings.consents());
                Preflight.check(stream, settings.endpoints());
                start = start.attachedTo(Attachment.of(stream, settings.endpoints()), settings.consents());
            }
            environment.configure(start.configuration());
            build(environment, stream, start.identity(), settings.endpoints());
            environment.execute(stream.stream());
        } catch (ConfigurationException e) {
            // Flink wraps what is thrown here into a long stack trace; the reason comes before it.
            System.err.println("The job was not submitted:" + System.lineSeparator() + e.getMessage());
            throw e;
        } finally {
            PostgresLogin.releaseDriver();
        }
    }

    /** The job with its connectors. */
    public static void build(
            StreamExecutionEnvironment environment,
            StreamDefinition stream,
            StateIdentity identity,
            Endpoints endpoints)
            throws ConfigurationException, InterruptedException {
        String kafka = endpoints.kafkaBootstrapServers();
        Sink<DeadLetter> deadLetters = SideTopics.deadLetters(kafka, stream, identity.stateId());
        topology(
                environment,
                stream,
                identity,
                RawTopic.source(kafka, stream, identity.topicId()),
                StreamSink.of(stream, identity, endpoints, deadLetters),
                SideTopics.duplicates(kafka, stream),
                deadLetters);
    }

    /** The way of an event. State is found again in a savepoint by the uids: they must never change. */
    static void topology(
            StreamExecutionEnvironment environment,
            StreamDefinition stream,
            StateIdentity identity,
            Source<SourceRecord, ?, ?> rawTopic,
            StreamSink store,
            Sink<IdentifiedEvent> duplicatesTopic,
            Sink<DeadLetter> deadLettersTopic) {

        SingleOutputStreamOperator<IdentifiedEvent> identified = environment
                .fromSource(rawTopic, WatermarkStrategy.noWatermarks(), "read " + stream.stream())
                .uid(identity.sourceUid())
                .process(new IdentifyFunction(stream, store.format()), ImmutableType.IDENTIFIED_EVENT)
                .uid("identify")
                .name("identify");

        SingleOutputStreamOperator<IdentifiedEvent> unique = identified
                .keyBy(IdentifiedEvent::fingerprint, ImmutableType.FINGERPRINT)
                .process(new DeduplicateFunction(stream, identity), ImmutableType.IDENTIFIED_EVENT)
                .uid("deduplicate")
                .name("deduplicate");

        unique.sinkTo(store.sink()).uid("store").name("store");

        unique.getSideOutput(DeduplicateFunction.DUPLICATES)
                .sinkTo(duplicatesTopic)
                .uid("duplicates")
                .name("duplicates");

        identified
                .getSideOutput(IdentifyFunction.DEAD_LETTERS)
                .sinkTo(deadLettersTopic)
                .uid("dead-letters")
                .name("dead-letters");
    }
}
