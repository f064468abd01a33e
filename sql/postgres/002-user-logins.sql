-- Rows of the application, to be sent to Kafka by the relay: those whose `sent_to_kafka` is not TRUE.
CREATE TABLE IF NOT EXISTS user_logins (
    id             serial     PRIMARY KEY,
    username       text,
    event_type     text,
    event_time     timestamp,               -- UTC
    sent_to_kafka  boolean    DEFAULT FALSE
);

CREATE OR REPLACE FUNCTION notify_user_logins() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('user_logins', '');
    RETURN NULL;
END $$;

-- Only what is missing: to ask for it would already lock out the application, behind whoever uses the table for long. On a large
-- table of yours, make the index before: CREATE INDEX CONCURRENTLY.
DO $$
BEGIN
    -- What is unsent is found at once, however many rows are sent.
    IF to_regclass('user_logins_unsent') IS NULL THEN
        CREATE INDEX user_logins_unsent ON user_logins (id) WHERE sent_to_kafka IS NOT TRUE;
    END IF;
    -- Wakes the relay at once. Without it rows wait for its next poll.
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'user_logins'::regclass AND tgname = 'user_logins_inserted') THEN
        CREATE TRIGGER user_logins_inserted AFTER INSERT ON user_logins
            FOR EACH STATEMENT EXECUTE FUNCTION notify_user_logins();
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
