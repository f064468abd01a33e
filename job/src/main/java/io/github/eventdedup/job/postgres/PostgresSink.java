package io.github.eventdedup.job.postgres;

import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.job.model.DeadLetter;
import io.github.eventdedup.job.model.IdentifiedEvent;
import io.github.eventdedup.job.settings.PostgresLogin;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Collection;
import java.util.List;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SupportsWriterState;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/**
 * Stores unique events in Postgres: at least once, and by an upsert on the fingerprint exactly once in effect. Why it is
 * not the JDBC connector's sink: docs/adr/0003-postgres-sink.md.
 */
public final class PostgresSink
        implements Sink<IdentifiedEvent>, SupportsWriterState<IdentifiedEvent, PostgresSink.Counts> {

    private static final long serialVersionUID = 1L;

    private final StreamDefinition stream;
    private final PostgresLogin login;
    private final Sink<DeadLetter> deadLetters;

    /**
     * A sink into the stream's table.
     *
     * @param deadLetters receives the events that the database rejects
     */
    public PostgresSink(StreamDefinition stream, PostgresLogin login, Sink<DeadLetter> deadLetters) {
        this.stream = stream;
        this.login = login;
        this.deadLetters = deadLetters;
    }

    /** What a writer has counted so far: counts of the data, which survive a restart. */
    record Counts(long refused, long escapes) {}

    @Override
    public PostgresWriter createWriter(WriterInitContext context) throws IOException {
        return restoreWriter(context, List.of());
    }

    @Override
    public PostgresWriter restoreWriter(WriterInitContext context, Collection<Counts> counts) throws IOException {
        Counts sum = counts.stream()
                .reduce(new Counts(0, 0), (a, b) -> new Counts(a.refused + b.refused, a.escapes + b.escapes));
        context.getUserCodeClassLoader().registerReleaseHookIfAbsent("postgres-driver", PostgresLogin::releaseDriver);
        return new PostgresWriter(stream, login, deadLetters.createWriter(context), context, sum);
    }

    @Override
    public SimpleVersionedSerializer<Counts> getWriterStateSerializer() {
        return new CountsSerializer();
    }

    private static final class CountsSerializer implements SimpleVersionedSerializer<Counts> {

        @Override
        public int getVersion() {
            return 1;
        }

        @Override
        public byte[] serialize(Counts counts) {
            return ByteBuffer.allocate(2 * Long.BYTES)
                    .putLong(counts.refused)
                    .putLong(counts.escapes)
                    .array();
        }

        @Override
        public Counts deserialize(int version, byte[] bytes) {
            ByteBuffer buffer = ByteBuffer.wrap(bytes);
            return new Counts(buffer.getLong(), buffer.getLong());
        }
    }
}
