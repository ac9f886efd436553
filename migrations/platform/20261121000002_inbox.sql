-- Events whose effect is done, one row a consumer and event, written in the transaction of the effect.
CREATE TABLE inbox (
    consumer     text        NOT NULL,
    event_id     uuid        NOT NULL,
    processed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (consumer, event_id)
);

CREATE INDEX idx_inbox_processed ON inbox (processed_at);

-- Attempts that failed. The broker's own count is not relied on: from 4.3 on it leaves out some ways to fail.
CREATE TABLE inbox_failures (
    consumer   text        NOT NULL,
    event_id   uuid        NOT NULL,
    attempts   integer     NOT NULL,
    last_error text        NOT NULL,
    failed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Set when the event went to the dead-letter queue.
    dead       boolean     NOT NULL DEFAULT false,
    PRIMARY KEY (consumer, event_id)
);
