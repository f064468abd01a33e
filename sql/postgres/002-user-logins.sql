-- Rows of the application, to be sent to Kafka by the relay: those whose `sent_to_kafka` is not TRUE.
CREATE TABLE IF NOT EXISTS user_logins (
    id             serial     PRIMARY KEY,
    username       text,
    event_type     text,
    event_time     timestamp,               -- UTC
    sent_to_kafka  boolean    DEFAULT FALSE
);

-- What is unsent is found at once, however many rows are sent.
CREATE INDEX IF NOT EXISTS user_logins_unsent ON user_logins (id) WHERE sent_to_kafka IS NOT TRUE;

-- Wakes the relay at once. Without it rows wait for its next poll.
CREATE OR REPLACE FUNCTION notify_user_logins() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('user_logins', '');
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER user_logins_inserted AFTER INSERT ON user_logins
    FOR EACH STATEMENT EXECUTE FUNCTION notify_user_logins();

-- Rows of any outbox that the relay cannot send, and why. They stay unsent in their table; to have one tried again, after
-- it was mended, delete its row here.
CREATE TABLE IF NOT EXISTS outbox_set_aside (
    table_name  text         NOT NULL,
    row_id      bigint       NOT NULL,
    reason      text         NOT NULL,
    set_aside   timestamptz  NOT NULL DEFAULT now(),
    PRIMARY KEY (table_name, row_id)
);
