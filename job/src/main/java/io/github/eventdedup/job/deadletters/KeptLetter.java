package io.github.eventdedup.job.deadletters;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.github.eventdedup.event.ReasonCode;
import io.github.eventdedup.event.SideTopicHeaders;
import java.time.Instant;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;

/**
 * A dead letter as it stands in its topic, without its value.
 *
 * @param letterPartition the partition of the dead-letters topic
 * @param letterOffset the offset there
 * @param putAside when the job wrote it
 * @param partition the partition of the original in the raw topic
 * @param offset its offset there
 * @param timestamp its Kafka time, in milliseconds since 1970
 * @param reasonCode the stable code; where an earlier version wrote none, the one that its reason stands for
 * @param reason the words beside it
 * @param fingerprint in hexadecimal digits, or null where the letter has none
 * @param stateId the lineage of the state that decided the original, or null where the letter has none
 * @param attempt how often the letter had been sent again before
 * @param isWhole whether value, key and headers of the original are in the letter
 */
public record KeptLetter(
        int letterPartition,
        long letterOffset,
        Instant putAside,
        int partition,
        long offset,
        long timestamp,
        String reasonCode,
        String reason,
        String fingerprint,
        String stateId,
        int attempt,
        boolean isWhole) {

    private static final String UNKNOWN_CODE = "unknown";

    /**
     * Reads the headers of a record of the dead-letters topic.
     *
     * @return null where they are not those of a dead letter
     */
    public static KeptLetter of(ConsumerRecord<byte[], byte[]> record) {
        Headers headers = record.headers();
        try {
            String reason = text(headers, SideTopicHeaders.REASON, "");
            String code = text(headers, SideTopicHeaders.REASON_CODE, null);
            return new KeptLetter(
                    record.partition(),
                    record.offset(),
                    Instant.ofEpochMilli(record.timestamp()),
                    Integer.parseInt(text(headers, SideTopicHeaders.PARTITION, "")),
                    Long.parseLong(text(headers, SideTopicHeaders.OFFSET, "")),
                    Long.parseLong(text(headers, SideTopicHeaders.TIMESTAMP, "")),
                    code == null ? codeOfEarlierVersions(reason) : code,
                    reason,
                    text(headers, SideTopicHeaders.FINGERPRINT, null),
                    text(headers, SideTopicHeaders.STATE_ID, null),
                    Integer.parseInt(text(headers, SideTopicHeaders.REPLAY_ATTEMPT, "0")),
                    headers.lastHeader(SideTopicHeaders.VALUE_OMITTED) == null
                            && headers.lastHeader(SideTopicHeaders.ORIGINAL_OMITTED) == null);
        } catch (NumberFormatException e) {
            return null;
        }
    }

    private static String codeOfEarlierVersions(String reason) {
        ReasonCode code = ReasonCode.ofRejection(reason);
        return code == null ? UNKNOWN_CODE : code.code();
    }

    private static String text(Headers headers, String name, String otherwise) {
        Header header = headers.lastHeader(name);
        return header == null || header.value() == null ? otherwise : new String(header.value(), UTF_8);
    }

    /** Where the original is in the raw topic, as a person writes it. */
    public String position() {
        return partition + ":" + offset;
    }

    /**
     * What the replay names as its reason. An event that a database has rejected once is remembered as seen, even where it
     * was invalid the last time: the job had another definition then.
     */
    String replayReasonCode() {
        boolean isRejected = ReasonCode.isRejection(reasonCode);
        return fingerprint != null && !isRejected ? ReasonCode.REJECTED_BY_POSTGRES.code() : reasonCode;
    }

    /** Which original this is about, and which state has decided it. */
    public String original() {
        return position() + ":" + timestamp + ":" + (stateId == null ? "" : stateId);
    }

    /** What is the same for every copy of this letter, and for no other letter. */
    public String key() {
        return position() + ":" + timestamp + ":" + attempt + ":" + (stateId == null ? "" : stateId);
    }
}
