-- Rows of the application, to be sent to Kafka by the relay: those whose `sent_to_kafka` is not TRUE.
CREATE TABLE IF NOT EXISTS user_logins (
    id             serial     PRIMARY KEY,
    username       text,
    event_type     text,
    event_time     timestamp,               -- UTC
    sent_to_kafka  boolean    DEFAULT FALSE
);

-- What is unsent is found at once, however many rows are sent. Only where it is missing: to ask for it would already lock out
-- the application, behind whatever uses the table for long. On a large table of yours, make the index before: CREATE INDEX
-- CONCURRENTLY.
--
-- No trigger tells the relay of new rows: it looks five times a second. NOTIFY would cost the application most of its commits
-- (docs/limits.md, "Outbox tables").
DO $$
BEGIN
    IF to_regclass('user_logins_unsent') IS NULL THEN
        CREATE INDEX user_logins_unsent ON user_logins (id) WHERE sent_to_kafka IS NOT TRUE;
    END IF;
END $$;

-- Rows of any outbox that the relay cannot send, and why. They stay unsent in their table; to have one tried again, after
-- it was mended, delete its row here.
CREATE TABLE IF NOT EXISTS outbox_set_aside (
    table_name  text         NOT NULL,
    row_id      bigint       NOT NULL,
    reason      text         NOT NULL,
    set_aside   timestamptz  NOT NULL DEFAULT now(),
    PRIMARY KEY (table_name, row_id)
);
