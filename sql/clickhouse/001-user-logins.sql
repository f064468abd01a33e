-- Each row of Postgres' `user_logins` once. The setting lets an insert that is sent again, after a failure, change nothing:
-- ClickHouse remembers the tokens of this many of the newest parts. Without it the same rows would be stored twice.
CREATE TABLE IF NOT EXISTS user_logins (
    id          UInt32,
    username    String,
    event_type  String,
    event_time  DateTime
) ENGINE = MergeTree() ORDER BY event_time
SETTINGS non_replicated_deduplication_window = 1000;
