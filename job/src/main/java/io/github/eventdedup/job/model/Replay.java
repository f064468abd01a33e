package io.github.eventdedup.job.model;

import static io.github.eventdedup.event.SideTopicHeaders.REPLAY_ATTEMPT;
import static io.github.eventdedup.event.SideTopicHeaders.REPLAY_OF;
import static io.github.eventdedup.event.SideTopicHeaders.REPLAY_REASON_CODE;
import static io.github.eventdedup.event.SideTopicHeaders.STATE_ID;
import static java.nio.charset.StandardCharsets.UTF_8;

import io.github.eventdedup.event.ReasonCode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;

/**
 * Says that a record of the raw topic is a dead letter that is sent again (docs/adr/0021-replay.md). The event then has the
 * position and the time of its original record, so that everything is decided as if it had just been read there.
 *
 * @param partition the partition of this record, not of the original
 * @param offset its offset there
 * @param attempt how often the letter has been sent again, this time included: 1 or more
 * @param rejected whether a database rejected the original, which the state therefore remembers as seen; false where it was
 *     invalid, and was never decided
 * @param stateId the lineage of the state that decided the original ({@code StateIdentity}); null where it is unknown
 */
public record Replay(int partition, long offset, int attempt, boolean rejected, String stateId) {

    private static final List<String> OWN = List.of(REPLAY_OF, REPLAY_ATTEMPT, STATE_ID, REPLAY_REASON_CODE);

    private static final Pattern POSITION = Pattern.compile("(\\d{1,9}):(\\d{1,18}):(-1|\\d{1,18})");
    private static final Pattern NUMBER = Pattern.compile("\\d{1,9}");

    /** Any client of the topic can write the header; it is kept with the event. */
    private static final int MAX_STATE_ID = 100;

    /**
     * A record that is sent again, and what it is a replay of.
     *
     * @param original the record with the place, the time and the headers of the original
     * @param replay null where it is an ordinary record
     */
    public record Resolved(SourceRecord original, Replay replay) {}

    /** Adds the headers that make a record a replay of the one at this position. */
    public static void mark(Headers headers, String position, int attempt, String stateId, String reasonCode) {
        put(headers, REPLAY_OF, position);
        put(headers, REPLAY_ATTEMPT, Integer.toString(attempt));
        if (stateId != null) {
            put(headers, STATE_ID, stateId);
        }
        put(headers, REPLAY_REASON_CODE, reasonCode);
    }

    private static void put(Headers headers, String name, String value) {
        headers.add(name, value.getBytes(UTF_8));
    }

    /** Looks whether a record is a replay. One whose headers are not complete is an ordinary record. */
    public static Resolved resolve(SourceRecord record) {
        if (record.headers() == null) {
            return new Resolved(record, null);
        }
        Map<String, String> own = new HashMap<>();
        List<Header> others = new ArrayList<>();
        for (Header header : HeaderBytes.read(record.headers())) {
            if (OWN.contains(header.key()) && header.value() != null) {
                own.put(header.key(), new String(header.value(), UTF_8));
            } else {
                others.add(header);
            }
        }
        Matcher position = POSITION.matcher(own.getOrDefault(REPLAY_OF, ""));
        Matcher attempt = NUMBER.matcher(own.getOrDefault(REPLAY_ATTEMPT, ""));
        String stateId = own.get(STATE_ID);
        boolean unlikely = stateId != null && stateId.length() > MAX_STATE_ID;
        if (!position.matches() || !attempt.matches() || unlikely) {
            return new Resolved(record, null);
        }
        SourceRecord original = new SourceRecord(
                record.value(),
                Integer.parseInt(position.group(1)),
                Long.parseLong(position.group(2)),
                Long.parseLong(position.group(3)),
                record.key(),
                HeaderBytes.write(new RecordHeaders(others)));
        String reasonCode = own.getOrDefault(REPLAY_REASON_CODE, "");
        return new Resolved(
                original,
                new Replay(
                        record.partition(),
                        record.offset(),
                        Integer.parseInt(attempt.group()),
                        reasonCode.equals(ReasonCode.REJECTED_BY_POSTGRES.code())
                                || reasonCode.equals(ReasonCode.REJECTED_BY_CLICKHOUSE.code()),
                        stateId));
    }
}
