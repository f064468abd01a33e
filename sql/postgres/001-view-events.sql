-- One row for every distinct view event. The job inserts; `fingerprint` keeps a second copy out whatever happens upstream.
CREATE TABLE IF NOT EXISTS view_events (
    fingerprint     bytea       NOT NULL PRIMARY KEY,  -- SHA-256, 32 bytes
    user_id         text        NOT NULL,
    content_id      text        NOT NULL,
    event_name      text        NOT NULL,
    event_datetime  timestamptz NOT NULL,
    sid             text        NOT NULL,
    platform        text,
    content_type    text,
    device_id       text,
    app_version     text,
    playtime_ms     bigint,
    -- The event as it was sent: `json`, uncompressed and, up to 8 KB, in the row itself. Anything else costs two to four times
    -- the CPU (docs/adr/0004-document-storage.md).
    event           json        STORAGE EXTERNAL NOT NULL,
    -- Where the stored copy came from: the position in the raw topic, and the Kafka record time.
    kafka_partition int         NOT NULL,
    kafka_offset    bigint      NOT NULL,
    received_at     timestamptz NOT NULL,
    -- Copies that deduplication let through inside the window; the key caught them. Must stay 0.
    escapes         int         NOT NULL DEFAULT 0
) WITH (toast_tuple_target = 8160);
