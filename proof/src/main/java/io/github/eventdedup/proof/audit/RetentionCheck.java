package io.github.eventdedup.proof.audit;

import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.proof.audit.records.StreamReport;
import io.github.eventdedup.proof.audit.topics.BelowStart;
import io.github.eventdedup.proof.system.Flink;
import io.github.eventdedup.proof.system.TopicRange;
import io.github.eventdedup.proof.system.TopicReader;
import java.io.IOException;
import java.util.OptionalLong;

/** What Kafka has deleted before the job had read it. Not thread-safe. */
final class RetentionCheck {

    private final StreamReport report;
    private final long deletedUnread;

    /**
     * Compares what the job has read with the beginning of the topic: where the job is behind that, it goes on there.
     *
     * @param committed what the job has read before the audit has begun to wait for it
     */
    RetentionCheck(TopicRange range, long[] committed, StreamReport report) {
        this.report = report;
        long sum = 0;
        for (int i = 0; i < committed.length; i++) {
            long deleted = committed[i] == 0 ? 0 : range.begin()[i] - committed[i];
            if (deleted > 0) {
                sum += deleted;
                report.offend(
                        "retention-lost",
                        deleted,
                        i,
                        committed[i],
                        null,
                        "Kafka has deleted the offsets from here to " + (range.begin()[i] - 1)
                                + " before the job had read them");
            }
        }
        deletedUnread = sum;
    }

    /**
     * Asks the job what it has counted, and says which offsets it may be about.
     *
     * @param rowsHavePositions whether the table names the offsets of its rows, so that the others are not accounted for
     */
    void ask(Flink flink, StreamDefinition stream, BelowStart below, boolean rowsHavePositions) {
        try {
            OptionalLong lost = flink.counter(stream.stream(), "retentionLost");
            report.retentionLost = lost.isPresent() ? (Long) lost.getAsLong() : null;
        } catch (IOException e) {
            // Said where the topic has lost records: only there it matters.
        } catch (InterruptedException e) {
            throw TopicReader.interrupted(e);
        }
        if (rowsHavePositions) {
            below.close();
            report.unaccounted = below.count();
            report.unaccountedOffsets = below.ranges();
        }
        long more = report.retentionLost == null ? 0 : report.retentionLost - deletedUnread;
        if (more > 0) {
            report.offend(
                    "retention-lost",
                    more,
                    null,
                    null,
                    null,
                    "Kafka has deleted " + more
                            + " offsets before the job had read them, as its metric retentionLost says"
                            + (below.count() == 0
                                    ? "; its log names them"
                                    : "; no row, duplicate or dead letter names " + String.join(", ", below.ranges())));
        }
    }
}
