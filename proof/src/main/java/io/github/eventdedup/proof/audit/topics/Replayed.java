package io.github.eventdedup.proof.audit.topics;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.github.eventdedup.event.ReasonCode;
import io.github.eventdedup.event.SideTopicHeaders;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;

/**
 * A record of the raw topic that is a dead letter, sent again. Written from the format (docs/adr/0021-replay.md), not from
 * the job.
 *
 * @param of where the original is
 * @param ofMillis the record time of the original
 * @param attempt how often the letter had been sent, this time included
 * @param wasRejected whether a database had rejected the event, which was decided then; false where it was never decided
 * @param millis the record time of this record
 */
record Replayed(Position of, long ofMillis, int attempt, boolean wasRejected, long millis) {

    private static final Pattern OF = Pattern.compile("(\\d{1,9}):(\\d{1,18}):(-1|\\d{1,18})");
    private static final Pattern ATTEMPT = Pattern.compile("\\d{1,9}");

    /** What the headers say, or null where it is an ordinary record. */
    static Replayed of(ConsumerRecord<byte[], byte[]> record) {
        Matcher of = OF.matcher(text(record.headers(), SideTopicHeaders.REPLAY_OF));
        Matcher attempt = ATTEMPT.matcher(text(record.headers(), SideTopicHeaders.REPLAY_ATTEMPT));
        if (!of.matches() || !attempt.matches()) {
            return null;
        }
        return new Replayed(
                new Position(Integer.parseInt(of.group(1)), Long.parseLong(of.group(2))),
                Long.parseLong(of.group(3)),
                Integer.parseInt(attempt.group()),
                ReasonCode.isRejection(text(record.headers(), SideTopicHeaders.REPLAY_REASON_CODE)),
                record.timestamp());
    }

    private static String text(Headers headers, String name) {
        Header header = headers.lastHeader(name);
        return header == null || header.value() == null ? "" : new String(header.value(), UTF_8);
    }
}
