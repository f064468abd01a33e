package io.github.eventdedup.proof.audit.records;

import io.github.eventdedup.event.Fingerprint;

/**
 * The bytes of each kind of record that the audit sorts and merges. Records of one kind have one size, and numbers in them
 * are big-endian:
 *
 * <pre>
 * position         fingerprint 32 │ partition 4 │ offset 8
 * event            position 44 │ record time in ms 8 │ the row that it must become
 * Postgres row     position 44 │ received_at in µs 8 │ escapes 4 │ columns 16 │ document 16 │ a tag of 2 for each column
 * ClickHouse row   key 16 │ columns 16
 * expected row     ClickHouse row 32 │ position 44
 * sent row         fingerprint 32 │ id 8
 * </pre>
 *
 * <p>The row that an event must become is two digests and the tags: columns and document for Postgres, key and columns for
 * ClickHouse. A line of a ledger is a position.
 */
public final class RecordLayout {

    /** The fingerprint comes first, and is the key by which records of several kinds are merged. */
    public static final int FINGERPRINT_BYTES = Fingerprint.BYTES;

    /** The partition of the raw topic, an int. */
    public static final int PARTITION = FINGERPRINT_BYTES;

    /** The offset in the partition, a long. */
    public static final int OFFSET = PARTITION + Integer.BYTES;

    /** Fingerprint, partition and offset: what a record with a position begins with, and its order. */
    public static final int POSITION_BYTES = OFFSET + Long.BYTES;

    /** Of an event: the record time in milliseconds, a long; that of the original where the record is a replay. */
    public static final int EVENT_MILLIS = POSITION_BYTES;

    /** Of an event: the row that it must become. */
    public static final int EVENT_EXPECTED = EVENT_MILLIS + Long.BYTES;

    /** Of an event whose row is in Postgres: the digest of its columns. */
    public static final int EVENT_COLUMNS = EVENT_EXPECTED;

    /** Of an event whose row is in Postgres: the digest of its document. */
    public static final int EVENT_DOCUMENT = EVENT_COLUMNS + RowDigest.BYTES;

    /** Of an event: the tags of its columns. */
    public static final int EVENT_TAGS = EVENT_DOCUMENT + RowDigest.BYTES;

    /** Of a row in Postgres: {@code received_at} in microseconds, a long. */
    public static final int ROW_RECEIVED_MICROS = POSITION_BYTES;

    /** Of a row in Postgres: {@code escapes}, an int. */
    public static final int ROW_ESCAPES = ROW_RECEIVED_MICROS + Long.BYTES;

    /** Of a row in Postgres: the digest of its columns. */
    public static final int ROW_COLUMNS = ROW_ESCAPES + Integer.BYTES;

    /** Of a row in Postgres: the digest of its document. */
    public static final int ROW_DOCUMENT = ROW_COLUMNS + RowDigest.BYTES;

    /** Of a row in Postgres: the tags of its columns. */
    public static final int ROW_TAGS = ROW_DOCUMENT + RowDigest.BYTES;

    /** The digest of its key, by which rows of ClickHouse are grouped. */
    public static final int CLICKHOUSE_KEY_BYTES = RowDigest.BYTES;

    /** A row in ClickHouse. */
    public static final int CLICKHOUSE_ROW_BYTES = CLICKHOUSE_KEY_BYTES + RowDigest.BYTES;

    /** Of an expected row: fingerprint, partition and offset of its event. */
    public static final int EXPECTED_POSITION = CLICKHOUSE_ROW_BYTES;

    /** A row that ClickHouse must have, with the event that it is of. */
    public static final int EXPECTED_ROW_BYTES = EXPECTED_POSITION + POSITION_BYTES;

    /** Of a row of an outbox that is flagged as sent: its id, a long. */
    public static final int SENT_ID = FINGERPRINT_BYTES;

    /** A row of an outbox that is flagged as sent. */
    public static final int SENT_BYTES = SENT_ID + Long.BYTES;

    private RecordLayout() {}

    /** An event, where its row has so many columns. */
    public static int eventBytes(int columns) {
        return EVENT_TAGS + columns * RowDigest.TAG_BYTES;
    }

    /** What of an event follows {@link #EVENT_EXPECTED}. */
    public static int expectedBytes(int columns) {
        return eventBytes(columns) - EVENT_EXPECTED;
    }

    /** A row in Postgres with so many columns. */
    public static int postgresRowBytes(int columns) {
        return ROW_TAGS + columns * RowDigest.TAG_BYTES;
    }
}
