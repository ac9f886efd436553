-- Events that are to be published, written in the transaction of the change they tell of.
CREATE TABLE outbox (
    id           uuid        PRIMARY KEY,
    type         text        NOT NULL,
    subject      text        NOT NULL,
    payload      bytea       NOT NULL,
    traceparent  text,
    request_id   text,
    occurred_at  timestamptz NOT NULL,
    published_at timestamptz,
    attempts     integer     NOT NULL DEFAULT 0,
    -- Not before this moment; moves away with each failure.
    due_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_error   text
);

CREATE INDEX idx_outbox_unpublished ON outbox (due_at, id) WHERE published_at IS NULL;
CREATE INDEX idx_outbox_published ON outbox (published_at) WHERE published_at IS NOT NULL;
